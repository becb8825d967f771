"""Edits of held-out avatars by every method, measured against the truth.

Avatars are rendered and inverted once. The oracle answers every case first, then each method; what
is done is in `RowLog`, and is not done again.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TypeAlias

import torch

from cfclip.editing import Inversions
from cfclip.errors import InputError
from cfclip.images import write_png
from cfclip.optim import Progress
from cfclip.tensors import pil_from_signed
from cfclip.training import RunCallback
from cfclip_benchmark.avatars import Case, Instruments, Subject, draw_avatars, load_probes, pictures
from cfclip_benchmark.benchmark import Benchmark
from cfclip_benchmark.benchmark_folder import BenchmarkFolder
from cfclip_benchmark.candidates import Editing, Oracle, Unanswered
from cfclip_benchmark.confined import Confined
from cfclip_benchmark.figures import draw_charts, write_drawn, write_examples
from cfclip_benchmark.measured_edits import MeasuredEdit, RowLog
from cfclip_benchmark.realism import measure_realism
from cfclip_benchmark.report import write_summary
from cfclip_benchmark.rescoring import read_rows_anew
from cfclip_benchmark.summary import Summary, summarise_rows

Candidate: TypeAlias = Oracle | Editing | Confined
"""Whom a benchmark asks."""


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
    unread: int = 0
    """Rows, of any method, that are still as another ruler read them."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.step >= self.steps and not self.unread


def run_benchmark(
    benchmark: Benchmark,
    methods: Sequence[Editing],
    folder: BenchmarkFolder,
    callback: RunCallback | None = None,
    oracle: bool = True,
    confined: bool = False,
) -> BenchmarkOutcome:
    """Make and measure every edit that `folder` has no row of, after rows of another ruler.

    Args:
        benchmark: what is measured.
        methods: that are compared.
        folder: claimed for this benchmark.
        callback: called after each inverted avatar, after each row that is read anew and after each
            batch of rows; returning False ends the benchmark with what there is.
        oracle: whether it answers the cases too, before the methods.
        confined: whether the edits of every method are confined and measured once more, after the
            methods.

    Raises:
        InputError: rows that cannot be read or written, or another process at work in the folder.
        KeyboardInterrupt: Ctrl-C; what is done is kept.
    """
    session = benchmark.session
    with folder.alone():
        rows = RowLog(folder.rows)
        candidates: list[Candidate] = [*methods]
        if oracle:
            candidates.insert(0, Oracle(session, benchmark.projection))
        if confined:
            candidates += [Confined(each, rows, session) for each in methods]
        return _run(benchmark, candidates, rows, folder, callback)


def _run(
    benchmark: Benchmark,
    candidates: Sequence[Candidate],
    rows: RowLog,
    folder: BenchmarkFolder,
    callback: RunCallback | None,
) -> BenchmarkOutcome:
    records = draw_avatars(benchmark.split, benchmark.images)
    cases = benchmark.cases(records)
    originals = pictures(records, benchmark.session.generator.resolution)
    subjects = _subjects(benchmark, originals, folder, callback)
    instruments = Instruments(
        list(load_probes().values()), benchmark.session.embedder, benchmark.judge
    )

    def done(name: str, case: Case) -> bool:
        """Whether there are a row and a picture; one without the other is made again."""
        key = (name, case.edit.prompt, case.avatar)
        return key in rows and folder.picture(name, case.name).is_file()

    todo = [
        (candidate, batch)
        for candidate in candidates
        for batch in _batches(
            [case for case in cases if not done(candidate.name, case)], benchmark.batch
        )
    ]
    left = Counter(candidate.name for candidate, batch in todo for _ in batch)
    spent: dict[str, list[float]] = defaultdict(list)
    total = len(candidates) * len(cases)
    poor = sum(subject.psnr < benchmark.projection.warn_below_psnr for subject in subjects)
    outcome = BenchmarkOutcome(total - left.total(), total, poor=poor)
    outcome.unread = read_rows_anew(benchmark, cases, rows, subjects, instruments, callback)
    if outcome.unread:
        return outcome
    for candidate, batch in todo:
        began = time.monotonic()
        left[candidate.name] -= len(batch)
        try:
            measured = _measure(candidate, batch, subjects, instruments, folder)
        except Unanswered as error:
            outcome.steps -= len(batch)
            if (line := str(error)) not in outcome.left_out:
                outcome.left_out.append(line)
            continue
        rows.append(measured)
        outcome.step += len(batch)
        spent[candidate.name] += [(time.monotonic() - began) / len(batch)] * len(batch)
        progress = Progress(outcome.step, outcome.steps, {}, _seconds_left(left, spent))
        if callback is not None and callback(progress) is False:
            break
    return outcome


def _seconds_left(left: Mapping[str, int], spent: Mapping[str, Sequence[float]]) -> float:
    """For what is left by name; names that have not begun take the mean of the others' means."""
    means = {name: fmean(seconds) for name, seconds in spent.items()}
    usual = fmean(means.values())
    return sum(count * means.get(name, usual) for name, count in left.items())


def summarise_benchmark(
    benchmark: Benchmark, folder: BenchmarkFolder
) -> tuple[Summary, tuple[Path, ...]]:
    """The figures of all rows that there are, and the files that they are written to.

    Raises `InputError` for no rows, a picture that is missing, or a file that cannot be written.
    """
    rows = RowLog(folder.rows).rows
    if not rows:
        raise InputError(f"{folder.rows} has no rows yet; go on with --resume")
    if len({row.ruler for row in rows}) > 1:
        images = max(row.avatar for row in rows) + 1
        raise InputError(
            f"{folder.rows} has rows that another ruler read; go on with --resume --images {images}"
        )
    description = folder.description()
    instruments = Instruments(list(load_probes().values()), benchmark.session.embedder)
    resolution = benchmark.session.generator.resolution
    realism = measure_realism(
        rows, folder, benchmark.edits, benchmark.split, instruments, resolution
    )
    summary = summarise_rows(rows, realism)
    files = write_summary(folder, rows, summary, description)
    examples = write_examples(folder, rows, summary.methods)
    drawn = write_drawn(folder, rows)
    charts = draw_charts(rows, summary, summary).items()
    drawings = [folder.write(name, text) for name, text in charts]
    return summary, (*files, *examples, *drawn, *drawings)


def _batches(cases: Sequence[Case], size: int) -> list[list[Case]]:
    """Cases of one prompt each, at most `size` together, the first avatars of all prompts first."""
    by_prompt: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        by_prompt[case.edit.prompt].append(case)
    batches = [
        own[start : start + size]
        for own in by_prompt.values()
        for start in range(0, len(own), size)
    ]
    return sorted(batches, key=lambda batch: batch[0].avatar)


def _measure(
    candidate: Candidate,
    cases: Sequence[Case],
    subjects: Sequence[Subject],
    instruments: Instruments,
    folder: BenchmarkFolder,
) -> list[MeasuredEdit]:
    """The rows of a candidate's answers, whose pictures are written, and rendered true answers."""
    own = [subjects[case.avatar] for case in cases]
    rows = []
    for case, subject in zip(cases, own, strict=True):
        if not folder.truth(case.name).is_file():
            (picture,) = pil_from_signed(case.truth(subject.original.shape[-1]))
            write_png(picture, folder.truth(case.name), overwrite=True)
    for case, subject, answer in zip(cases, own, candidate.answer(cases, own), strict=True):
        rows.append(instruments.measure(candidate.name, case, subject, answer))
        (picture,) = pil_from_signed(answer.image)
        write_png(picture, folder.picture(candidate.name, case.name), overwrite=True)
    return rows


def _subjects(
    benchmark: Benchmark,
    originals: torch.Tensor,
    folder: BenchmarkFolder,
    callback: RunCallback | None,
) -> list[Subject]:
    """The avatars, inverted; from the disk if they were before."""
    session = benchmark.session
    store = Inversions(session, folder.inversions, benchmark.projection)
    files = {f"avatar {row}": folder.avatar(row) for row in range(len(originals))}
    for picture, file in zip(pil_from_signed(originals), files.values(), strict=True):
        write_png(picture, file, overwrite=True)

    # Before the first row there is nothing to keep: to stop here is to be interrupted.
    inverted, failures = store.invert_all(files, callback)
    if failures:
        raise InputError(failures[0])
    subjects = []
    for row, inversion in enumerate(inverted.values()):
        latents = inversion.latents[None]
        with torch.no_grad():
            image = session.generator.synthesis(latents.to(session.device)).cpu()
        write_png(pil_from_signed(image)[0], folder.inverted(row), overwrite=True)
        subjects.append(Subject(originals[row : row + 1], latents, image, inversion.psnr))
    return subjects
