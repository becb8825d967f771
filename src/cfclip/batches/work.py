"""Making what a batch still lacks: rows to an engine, what comes back to the disk."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cfclip.batches.batch_folder import BatchFolder
from cfclip.batches.finished import Results
from cfclip.batches.openly import without_folders
from cfclip.batches.packing import FIELDS
from cfclip.batches.row_editing import Outcome
from cfclip.batches.rows import Row, outcome_of
from cfclip.optim import Progress
from cfclip.training import RunCallback

DONE, FAILED = "done", "failed"


@dataclass(frozen=True)
class BatchRows:
    """Rows with the folder and the results that they belong to."""

    rows: Sequence[Row]
    folder: BatchFolder
    results: Results

    @property
    def left(self) -> list[Row]:
        """The rows without a result, in their order; those that failed are tried again."""
        return [row for row in self.rows if row.name not in self.results]

    def failures(self) -> list[tuple[Row, str]]:
        """The rows that were tried and have no result, each with the reason."""
        reports = [(row, self.folder.report(row.name)) for row in self.left]
        return [(row, str(report["error"])) for row, report in reports if report.get("error")]

    @property
    def untried(self) -> int:
        """How many rows have neither a result nor a reason."""
        return len(self.left) - len(self.failures())

    def report(self, row: Row) -> dict[str, Any]:
        """What there is to know of a row that was tried, as JSON values."""
        report = {**self.folder.report(row.name), **outcome_of(row)}
        if row.name in self.results:
            file = self.results.file(row.name).relative_to(self.folder.path).as_posix()
            return {**report, "status": DONE, "error": None, "file": file}
        return {**report, "status": FAILED}


@dataclass(frozen=True)
class BatchRun:
    """What one run of an engine did."""

    done: int
    """Rows that got their result."""
    failed: int
    seconds: float
    """From the moment the workers were ready to the last result."""
    alone: float = 0.0
    """Pictures per second of the generators alone; 0 if that was not measured."""

    @property
    def rate(self) -> float:
        """Results per second."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def speed(self) -> str:
        """What it did, for the user."""
        return f"{self.done:,} pictures at {self.rate:.1f} per second"


class Engine(AbstractContextManager["Engine"], Protocol):
    """Workers, ready once the block of the engine is entered, and ended with it."""

    def run(
        self, chunks: Iterator[Sequence[Row]], stopping: Callable[[], bool]
    ) -> Iterator[list[Outcome]]:
        """The outcome of every row of every chunk, as they come.

        Once `stopping` is true, no more rows are begun, and it ends when those at hand are done.
        Rows whose worker was killed are done by another.

        Raises:
            CfclipError: workers that cannot work at all.
        """

    def synthesis_rate(self, seconds: float) -> float:
        """Pictures per second of the generators of all workers at the same time, and nothing
        else, measured for about so long."""


def run_batch(batch: BatchRows, engine: Engine, chunk: int, callback: RunCallback) -> BatchRun:
    """Make the results that are not there yet.

    What there is to know of a row is noted before its result is there: a result then always has it,
    and a note without a result does no harm.

    Args:
        batch: what is to be made.
        engine: ready workers.
        chunk: rows that are handed out at a time.
        callback: called after each chunk; returning False ends the run once the rows at hand are
            done.

    Raises:
        InputError: there is no room for a result; what is there is kept.
        CfclipError: the workers cannot work.
    """
    # Those that failed before come last: what they do to workers holds up no other.
    left = sorted(batch.left, key=lambda row: bool(batch.folder.report(row.name).get("error")))
    rows = {row.name: row for row in left}
    metadata = _shard_metadata(batch)
    total, before = len(batch.rows), len(batch.rows) - len(left)
    done = failed = 0
    stopping = threading.Event()
    began = time.monotonic()
    seconds = 0.0
    for outcomes in engine.run(_chunks(left, chunk), stopping.is_set):
        # A row is done once, whatever an engine does about workers that died.
        new = [each for each in outcomes if each.name in rows]
        batch.folder.add_reports(
            [_report(rows[each.name], each, batch.folder.path) for each in new]
        )
        for each in new:
            row = rows.pop(each.name)
            if each.png is None:
                failed += 1
                continue
            batch.results.add(row.name, each.png, metadata)
            done += 1
        seconds = time.monotonic() - began
        rate, tried = done / seconds, before + done + failed
        terms = {"per_second": rate, **({"failed": float(failed)} if failed else {})}
        left_seconds = (total - tried) / rate if rate else 0.0
        if callback(Progress(tried, total, terms, left_seconds)) is False:
            stopping.set()
    if not stopping.is_set():
        batch.results.pack(metadata)
    return BatchRun(done, failed, seconds)


def _chunks(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _report(row: Row, outcome: Outcome, folder: Path) -> dict[str, Any]:
    known = (row.place.path, folder)
    error = outcome.error
    return outcome_of(
        row,
        status=FAILED if outcome.png is None else DONE,
        error=None if error is None else without_folders(error, known),
        psnr=outcome.psnr,
        warnings=[without_folders(each, known) for each in outcome.warnings],
    )


def _shard_metadata(batch: BatchRows) -> Callable[[str], dict[str, Any]]:
    """What a shard tells of a row, by its name."""
    rows = {row.name: row for row in batch.rows}

    def metadata(name: str) -> dict[str, Any]:
        # What was told may be lost; what the row itself says is not.
        row = outcome_of(rows[name]) if name in rows else {}
        report = {**batch.folder.report(name), **row}
        return {name: report.get(name) for name in FIELDS}

    return metadata


def conclude(batch: BatchRows) -> Path:
    """Leave one line in the folder for each row that was tried, in their order."""
    failed = {row.name for row, _ in batch.failures()}
    tried = [row for row in batch.rows if row.name in batch.results or row.name in failed]
    return batch.folder.conclude(map(batch.report, tried))
