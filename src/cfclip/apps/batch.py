"""`cfclip batch`."""

import gc
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from cfclip.apps.console import silence_pillow, watched_run
from cfclip.apps.options import (
    FAILED,
    INTERRUPTED,
    OK,
    FastOption,
    Marked,
    MethodFiles,
    MethodName,
    MethodSettings,
    OnPack,
    Texts,
    as_settings,
    optimisation_options,
    pack_settings,
)
from cfclip.apps.tasks import check_texts
from cfclip.batches import Form
from cfclip.editing import MAPPER, OPTIMISATION, method_named
from cfclip.encoders import ProjectionConfig
from cfclip.errors import InputError
from cfclip.io import keep_large_blocks
from cfclip.settings import MOST_AT_ONCE, check_number, check_strength

if TYPE_CHECKING:
    from cfclip.batches import BatchFolder, BatchJob, BatchRows, BatchRun, Engine, Refused, Row
    from cfclip.editing import OpenedMethod, Session

_ERRORS_SHOWN = 20
_MOST_WORKERS = 1024
_SHOWN = {OPTIMISATION: "latent optimisation", MAPPER: "a text mapper"}
"""Methods, as the page of a batch calls them."""


@dataclass(frozen=True)
class Batch(OnPack, FastOption, Marked):
    """Edit any number of pictures, each row of the input to one result.

    May be stopped or killed at any moment: the same command goes on, redoes nothing that is
    finished, and tries again what failed. See docs/BATCHES.md.
    """

    inputs: Annotated[
        tyro.conf.Positional[tuple[str, ...]],
        tyro.conf.arg(metavar="INPUT...", help_behavior_hint="(required)"),
    ]
    """Folders of pictures, patterns such as 'in/**/*.png', lists (.csv, .jsonl), webdataset shards
    (.tar), or sample:FIRST-LAST."""

    out: Path = field(kw_only=True)
    """Folder of the batch; made if needed."""

    text: Texts = ()
    """What the pictures shall show, where a list gives no text. Given several times, an edit for
    each."""

    all_texts: bool = False
    """An edit for each text that the mapper was trained for."""

    mapper: Path | None = None
    """Folder of a training or file of a mapper (see `cfclip apply`): the same as --method mapper
    --files with it."""

    method: MethodName = OPTIMISATION

    files: MethodFiles = ()

    strength: float | None = None
    """Factor on the edit, where a list gives none; 1 (unless the pack says otherwise) is the edit
    as found."""

    seed: int = 0
    """Of latent optimisation, where a list gives none."""

    root: Path | None = None
    """Folder that paths in lists are relative to and have to be in; that of the list if not
    given."""

    to: Form = "folder"
    """Form of the results: PNG files, or shards of many."""

    shard_rows: int = 1000
    """Results in a shard."""

    batch: int = 16
    """Pictures that are edited at a time, by a mapper or another method without steps."""

    workers: int | None = None
    """Processes that edit; as many as there are cores if not given, on a GPU one."""

    engine: Literal["local", "ray"] = "local"
    """Processes of this machine, or Ray Data (needs the ray extra)."""

    address: str | None = None
    """Of a Ray cluster to work on; Ray is started on this machine if not given."""

    measure: float = 0.0
    """Seconds for which the generators of all workers alone are measured, before the work and again
    after it; not at all if 0."""

    settings: MethodSettings = field(default_factory=optimisation_options)
    projection: ProjectionConfig = field(default_factory=ProjectionConfig)

    def run(self) -> int:
        """Make every result that is not there yet, then sum up."""
        self._check()
        from cfclip.batches import BatchFolder, BatchRows, Results, packer_of

        console = self.console
        packer = packer_of(self.to)
        session = self.open_session()
        method = self._method(session)
        rows, refused = self._rows(session, method)
        folder = BatchFolder(self.out)
        with folder.alone():
            job = self._job(session, method, folder)
            gone = folder.claim(job.claim(self.to), rows)
            if gone:
                console.warning(f"{gone:,} rows of earlier starts are not listed any more")
            batch = BatchRows(rows, folder, Results(self.out, packer, self.shard_rows))
            return self._work(batch, job, session, refused)

    def _check(self) -> None:
        check_texts(self.text)
        check_number("batch", self.batch, 1, MOST_AT_ONCE)
        check_number("shard_rows", self.shard_rows, 1)
        check_number("measure", self.measure, 0.0)
        if self.workers is not None:
            check_number("workers", self.workers, 1, _MOST_WORKERS)
        method_named(self.method)
        if self.mapper is not None:
            if self.method != OPTIMISATION or self.files:
                raise InputError("--mapper names the method and its file; leave out the others")
            fast_on = self.device if self.fast else None
            if self.settings != pack_settings(self.pack, fast_on=fast_on)[0]:
                raise InputError(
                    "settings of an optimisation say nothing to a mapper; leave them out"
                )
        if self.engine != "ray":
            if self.address is not None:
                raise InputError("an address is that of a Ray cluster; ask for --engine ray")
            return
        from importlib.util import find_spec

        if find_spec("ray") is None:
            raise InputError("--engine ray needs Ray; pip install 'cfclip[ray]'")
        if self.measure or self.c2pa_key is not None:
            raise InputError(
                "with --engine ray nothing is measured (--measure) and no key leaves this machine "
                "(--c2pa-key); leave them out, or take --engine local"
            )

    def _method(self, session: "Session") -> "OpenedMethod":
        if self.mapper is not None:
            return session.method(MAPPER, [self.mapper])
        return session.method(self.method, self.files, as_settings(self.settings))

    def _rows(
        self, session: "Session", method: "OpenedMethod"
    ) -> "tuple[Sequence[Row], Sequence[Refused]]":
        """The rows of the input, and a line for each part of it that is none."""
        from cfclip.batches import RowDefaults, find_entries, make_rows

        texts: tuple[str, ...] = ()
        if self.text or self.all_texts or len(method.prompts) == 1:
            texts = tuple(dict.fromkeys(method.choose(self.text, self.all_texts)))
        for text in texts:
            session.check_edit(method, text)  # which refuses what it cannot read
        strength = method.config.strength if self.strength is None else self.strength
        check_strength("strength", strength)
        entries = find_entries(self.inputs, self.root, self.console.warning, session.generator)
        rows, refused = make_rows(entries, RowDefaults(texts, strength, self.seed))
        if not rows:
            first = f": {refused[0].line}" if refused else ""
            raise InputError(f"{', '.join(self.inputs)} has no usable row{first}")
        used = tuple(dict.fromkeys(row.text for row in rows))
        for warning in (*session.pack.text_warnings(used), *method.warnings(used)):
            self.console.warning(warning)
        return rows, refused

    def _job(self, session: "Session", method: "OpenedMethod", folder: "BatchFolder") -> "BatchJob":
        from cfclip.batches import BatchJob

        return BatchJob(
            pack=session.pack.folder.absolute(),
            fingerprint=session.pack.fingerprint,
            device=self.device,
            method=method.name,
            files=tuple(Path(origin["path"]).absolute() for origin in method.origins),
            hashes=tuple(origin["sha256"] for origin in method.origins),
            settings=method.config,
            projection=self.projection,
            batch=self.batch,
            marking=self.marking(),
            inversions=folder.inversions.absolute(),
            one_pass=method.one_pass,
        )

    def _engine(self, job: "BatchJob") -> "AbstractContextManager[Engine]":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        on_cpu = self.device == "cpu"
        workers = self.workers or ((cores or 1) if on_cpu else 1)
        threads = max(1, (cores or 1) // workers)
        prepare = partial(prepare_worker, threads)
        if self.engine == "ray":
            from cfclip.batches import RayEngine

            return RayEngine(job, workers, self.address, prepare)
        from cfclip.batches import LocalEngine

        return LocalEngine(job, workers, prepare)

    def _work(
        self, batch: "BatchRows", job: "BatchJob", session: "Session", refused: "Sequence[Refused]"
    ) -> int:
        """Do what is left, and tell what came of it; the exit status."""
        from cfclip.batches import BatchRun, conclude, run_batch

        console = self.console
        left = len(batch.left)
        if left < len(batch.rows):
            console.note(f"{len(batch.rows) - left:,} of {len(batch.rows):,} are done already")
        run = BatchRun(0, 0, 0.0)
        if left:
            try:
                with self._engine(job) as engine, watched_run(console, self.out.name) as watch:
                    before = self._measured(engine)
                    gc.freeze()  # what is there stays, and is not looked through with every chunk
                    run = run_batch(batch, engine, job.chunk, watch)
                    if not batch.untried:  # workers that were stopped are not there any more
                        run = replace(run, alone=(before + self._measured(engine)) / 2)
            except KeyboardInterrupt:
                console.error(f"interrupted; {self._kept(batch)}")
                return INTERRUPTED
        conclude(batch)
        if batch.untried:
            console.error(f"stopped; {self._kept(batch)}")
            return INTERRUPTED
        return self._sum_up(batch, session, run, [each.line for each in refused])

    def _measured(self, engine: "Engine") -> float:
        return engine.synthesis_rate(self.measure) if self.measure else 0.0

    def _kept(self, batch: "BatchRows") -> str:
        done = len(batch.rows) - len(batch.left)
        return (
            f"{done:,} of {len(batch.rows):,} results are kept in {self.out}, the same command "
            "goes on from there"
        )

    def _sum_up(
        self, batch: "BatchRows", session: "Session", run: "BatchRun", refused: list[str]
    ) -> int:
        from cfclip.batches import RESULTS_FILE, SUMMARY_FILE, without_folders, write_summary

        console = self.console
        failures = [f"{row.name}: {reason}" for row, reason in batch.failures()]
        done = len(batch.rows) - len(failures)
        page = self.out / SUMMARY_FILE
        openly = [without_folders(line, (*self.inputs, self.root, self.out)) for line in refused]
        write_summary(batch, session, self._facts(session, run), openly, page)
        warned = sum(bool(batch.folder.report(row.name).get("warnings")) for row in batch.rows)
        content = {
            "out": str(self.out),
            "results": str(self.out / RESULTS_FILE),
            "summary": str(page),
            "done": done,
            "failed": len(failures),
            "refused": len(refused),
            "done_now": run.done,
            "seconds": round(run.seconds, 3),
            "per_second": round(run.rate, 3),
            "generator_per_second": round(run.alone, 3) if run.alone else None,
        }
        console.result(content, str(self.out / RESULTS_FILE), str(page))
        if run.done:
            console.note(run.speed)
        if run.alone:
            share = f"the batch {run.rate / run.alone:.2f} of it"
            console.note(f"the generator alone: {run.alone:.1f} per second; {share}")
        if warned:
            console.note(f"{warned:,} pictures have warnings, see {RESULTS_FILE}")
        lines = [*refused, *failures]
        for line in lines[:_ERRORS_SHOWN]:
            console.error(line)
        if len(lines) > _ERRORS_SHOWN:
            console.error(f"and {len(lines) - _ERRORS_SHOWN:,} more, see {page}")
        if lines:
            console.note(f"{done:,} of {done + len(lines):,} pictures done")
        return FAILED if lines else OK

    def _facts(self, session: "Session", run: "BatchRun") -> dict[str, str]:
        """What the page says above its pictures."""
        from cfclip.version import __version__

        manifest = session.pack.manifest
        name = self.method if self.mapper is None else MAPPER
        facts = {
            "pack": f"{manifest.name} {manifest.version}",
            "method": _SHOWN.get(name, name),
            "results": self.to,
            "cfclip": __version__,
        }
        if run.done:
            facts["last run"] = run.speed
        if run.alone:
            facts["generator alone"] = f"{run.alone:.1f} per second"
        return facts


def prepare_worker(threads: int) -> None:
    """Set up a worker process: all workers together have as many threads as there are cores."""
    import torch

    silence_pillow()
    keep_large_blocks()
    torch.set_num_threads(threads)
