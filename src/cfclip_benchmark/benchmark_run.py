"""Edits of held-out avatars by every method, measured against the truth.

Avatars are rendered and inverted once. The oracle answers every case first, then each method; what
is done is in `RowLog`, and is not done again.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from cfclip.editing.inversions import InversionProgress, Inversions
from cfclip.editing.methods import Method
from cfclip.editing.session import Session
from cfclip.errors import InputError
from cfclip.images.image_files import write_png
from cfclip.tensors import pil_from_signed
from cfclip.training.runs import RunCallback, RunProgress
from cfclip_benchmark.avatars import judges
from cfclip_benchmark.avatars.cases import Case, draw_avatars, pictures
from cfclip_benchmark.avatars.measures import Instruments, Subject
from cfclip_benchmark.benchmark import Benchmark
from cfclip_benchmark.benchmark_folder import BenchmarkFolder
from cfclip_benchmark.candidates import Candidate, Editing, Oracle, Unanswered
from cfclip_benchmark.figures import write_charts, write_examples
from cfclip_benchmark.measured_edits import MeasuredEdit, RowLog
from cfclip_benchmark.realism import measure_realism
from cfclip_benchmark.report import write_summary
from cfclip_benchmark.summary import Summary, summarise_rows


@dataclass
class BenchmarkOutcome:
    """How far a benchmark came."""

    step: int
    """Rows that there are, of `steps`."""
    steps: int
    left_out: list[str] = field(default_factory=list)
    """One line for each prompt that a method cannot do."""
    poor: int = 0
    """Avatars that could not be reproduced well."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.step >= self.steps


def run_benchmark(
    benchmark: Benchmark,
    methods: Sequence[Method],
    folder: BenchmarkFolder,
    callback: RunCallback | None = None,
    oracle: bool = True,
) -> BenchmarkOutcome:
    """Make and measure every edit that `folder` has no row of.

    Args:
        benchmark: what is measured.
        methods: that are compared.
        folder: claimed for this benchmark.
        callback: called after each inverted avatar and after each batch of rows; returning False
            ends the benchmark with what there is.
        oracle: whether it answers the cases too, before the methods.

    Raises:
        InputError: rows that cannot be read or written, or another process at work in the folder.
        KeyboardInterrupt: Ctrl-C; what is done is kept.
    """
    with folder.alone():
        return _run(benchmark, methods, folder, callback, oracle)


def _run(
    benchmark: Benchmark,
    methods: Sequence[Method],
    folder: BenchmarkFolder,
    callback: RunCallback | None,
    oracle: bool,
) -> BenchmarkOutcome:
    session = benchmark.session
    records = draw_avatars(benchmark.split, benchmark.images)
    cases = benchmark.cases(records)
    rows = RowLog(folder.rows)
    store = Inversions(session, folder.inversions, benchmark.projection)
    originals = pictures(records, session.generator.resolution)
    subjects = _subjects(session, originals, store, folder, callback)
    instruments = Instruments(
        list(judges.load_probes().values()), session.embedder, benchmark.judge
    )
    candidates: list[Candidate] = (
        [Oracle(session, benchmark.projection, folder.truths)] if oracle else []
    )
    candidates += [Editing(method, session, benchmark.seed) for method in methods]
    todo = [
        (candidate, batch)
        for candidate in candidates
        for batch in _batches(
            [case for case in cases if not _done(rows, folder, candidate.name, case)],
            benchmark.batch,
        )
    ]
    total = len(candidates) * len(cases)
    left = sum(len(batch) for _, batch in todo)
    poor = sum(subject.psnr < benchmark.projection.warn_below_psnr for subject in subjects)
    outcome = BenchmarkOutcome(total - left, total, poor=poor)
    pace = _Pace([candidate.name for candidate, batch in todo for _ in batch])
    for candidate, batch in todo:
        began = time.monotonic()
        try:
            made = _answer(candidate, batch, subjects, instruments, folder)
        except Unanswered as error:
            outcome.steps -= len(batch)
            pace.skip(candidate.name, len(batch))
            if (line := str(error)) not in outcome.left_out:
                outcome.left_out.append(line)
            continue
        rows.append(made)
        outcome.step += len(made)
        seconds = pace.seconds_left(candidate.name, time.monotonic() - began, len(made))
        progress = RunProgress(outcome.step, outcome.steps, {}, seconds)
        if callback is not None and callback(progress) is False:
            break
    return outcome


def conclude(benchmark: Benchmark, folder: BenchmarkFolder) -> tuple[Summary, tuple[Path, ...]]:
    """The figures of all rows that there are, and the files that they are written to.

    Raises `InputError` for no rows, a picture that is missing, or a file that cannot be written.
    """
    rows = RowLog(folder.rows).rows
    if not rows:
        raise InputError(f"{folder.rows} has no rows yet; go on with --resume")
    about = folder.about()
    instruments = Instruments(list(judges.load_probes().values()), benchmark.session.embedder)
    resolution = benchmark.session.generator.resolution
    realism = measure_realism(
        rows, folder, benchmark.edits, benchmark.split, instruments, resolution
    )
    summary = summarise_rows(rows, realism)
    files = write_summary(folder, rows, summary, about)
    examples = write_examples(folder, rows, summary.methods)
    return summary, (*files, *examples, *write_charts(folder, rows, summary))


def _done(rows: RowLog, folder: BenchmarkFolder, name: str, case: Case) -> bool:
    """Whether there are a row and a picture; one without the other is made again."""
    key = (name, case.edit.prompt, case.avatar)
    return key in rows and folder.picture(name, case.name).is_file()


def _batches(cases: Sequence[Case], size: int) -> list[list[Case]]:
    """Cases of one prompt each, at most `size` together, the first avatars of all prompts first."""
    by_prompt: dict[str, list[Case]] = {}
    for case in cases:
        by_prompt.setdefault(case.edit.prompt, []).append(case)
    batches = [
        found[start : start + size]
        for found in by_prompt.values()
        for start in range(0, len(found), size)
    ]
    return sorted(batches, key=lambda batch: batch[0].avatar)


def _answer(
    candidate: Candidate,
    cases: Sequence[Case],
    subjects: Sequence[Subject],
    instruments: Instruments,
    folder: BenchmarkFolder,
) -> list[MeasuredEdit]:
    own = [subjects[case.avatar] for case in cases]
    rows = []
    for case, subject, answer in zip(cases, own, candidate.answer(cases, own), strict=True):
        rows.append(instruments.measure(candidate.name, case, subject, answer))
        (picture,) = pil_from_signed(answer.image)
        write_png(picture, folder.picture(candidate.name, case.name), overwrite=True)
    return rows


def _subjects(
    session: Session,
    originals: torch.Tensor,
    store: Inversions,
    folder: BenchmarkFolder,
    callback: RunCallback | None,
) -> list[Subject]:
    """The avatars, inverted; found on the disk if they were before."""
    files = {f"avatar {row}": folder.avatar(row) for row in range(len(originals))}
    for picture, file in zip(pil_from_signed(originals), files.values(), strict=True):
        write_png(picture, file, overwrite=True)

    def watch(progress: InversionProgress) -> None:
        # Before the first row there is nothing to keep: to stop here is to be interrupted.
        if callback is not None and progress.terms:
            told = RunProgress(
                progress.step, progress.steps, progress.terms, progress.seconds_left or 0.0
            )
            if callback(told) is False:
                raise KeyboardInterrupt

    found, failures = store.invert_all(files, watch)
    if failures:
        raise InputError(failures[0])
    subjects = []
    for row, name in enumerate(files):
        latents = found[name].latents[None]
        with torch.no_grad():
            made = session.generator.synthesis(latents.to(session.device)).cpu()
        write_png(pil_from_signed(made)[0], folder.inverted(row), overwrite=True)
        subjects.append(Subject(row, originals[row : row + 1], latents, made, found[name].psnr))
    return subjects


class _Pace:
    """The time that is left, of work whose pieces take as long as others of their name.

    Args:
        names: of all pieces, in any order.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._left = Counter(names)
        self._took: dict[str, tuple[float, int]] = {}

    def skip(self, name: str, pieces: int) -> None:
        """So many pieces less to do."""
        self._left[name] -= pieces

    def seconds_left(self, name: str, seconds: float, pieces: int) -> float:
        """After pieces that took some seconds; names that have not begun count as the mean."""
        self._left[name] -= pieces
        took, done = self._took.get(name, (0.0, 0))
        self._took[name] = (took + seconds, done + pieces)
        means = {each: took / done for each, (took, done) in self._took.items()}
        usual = sum(means.values()) / len(means)
        return sum(left * means.get(each, usual) for each, left in self._left.items())
