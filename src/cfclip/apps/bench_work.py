"""What `cfclip bench` and `cfclip tune` share."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from cfclip.apps.console import watched_run
from cfclip.apps.options import OnPack
from cfclip.encoders import ProjectionConfig
from cfclip.errors import InputError
from cfclip.settings import check_seed

if TYPE_CHECKING:
    from cfclip.editing import Session
    from cfclip.embedders import Embedder
    from cfclip_benchmark import Benchmark, BenchmarkFolder, BenchmarkOutcome, Editing, Variant
    from cfclip_benchmark.avatars import Split

_EXTRA_MODULES = ("dicebear_styles", "resvg_py", "matplotlib")
_QUICK_AVATARS = 2
_QUICK_PROJECTION_STEPS = 5


@dataclass(frozen=True, kw_only=True)
class BenchWork(OnPack):
    """Options of commands that edit avatars and measure what comes out."""

    out: Path
    """Folder for all that is made; made if needed."""

    methods: tuple[str, ...] = ()
    """Methods to compare, by the names that `cfclip edit --help` has; if none is given, all that
    optimise and those that --files are given for."""

    files: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """METHOD=PATH: what a method takes, such as cfclip-mapper=runs/all; of a folder of trainings,
    all that have a mapper. May be repeated."""

    prompts: Path | None = None
    """File of prompts, laid out as cfclip_benchmark/avatars/prompts.toml, which is the default."""

    images: int = 8
    """Avatars to edit with every prompt."""

    seed: int = 0
    """Of every random draw."""

    share: float = 1.0
    """Share of all edits that is made, drawn by the seed: for a quick look, or a second run."""

    batch: int = 1
    """Pictures that are edited together by a prompt; each takes an even share of the seconds."""

    resume: bool = False
    """Go on in --out, which has to be of the same pack, settings and versions; methods may be
    added, and avatars unless --share is given."""

    quick: bool = False
    """Try the command itself: two avatars, a prompt of each family, edits of two steps."""

    projection: ProjectionConfig = field(default_factory=ProjectionConfig)

    def benchmark(
        self,
        session: "Session",
        split: "Split",
        judge: "Embedder | None" = None,
        judge_hash: str | None = None,
    ) -> "Benchmark":
        """What is measured, every option and text of it checked. Raises `InputError`."""
        from cfclip_benchmark import Benchmark, quick_edits
        from cfclip_benchmark.avatars import SHIPPED_PROMPTS, draw_avatars, read_prompts

        check_seed(self.seed)
        draw_avatars(split, self.images)  # which knows the limits
        edits = read_prompts(self.prompts or SHIPPED_PROMPTS).of(split)
        projection = self.projection
        if self.quick:
            projection = replace(projection, steps=min(projection.steps, _QUICK_PROJECTION_STEPS))
        benchmark = Benchmark(
            session=session,
            edits=quick_edits(edits) if self.quick else edits,
            split=split,
            images=min(self.images, _QUICK_AVATARS) if self.quick else self.images,
            projection=projection,
            seed=self.seed,
            batch=self.batch,
            share=self.share,
            judge=judge,
            judge_hash=judge_hash,
        )
        benchmark.check_texts()
        return benchmark

    def chosen_methods(self, session: "Session") -> "list[Variant]":
        """The methods that the options name, or all that can be compared. Raises `InputError`."""
        from cfclip_benchmark import choose_variants, parse_files

        return choose_variants(session.pack, self.methods, parse_files(self.files))

    def measured(
        self,
        kind: str,
        benchmark: "Benchmark",
        variants: "Sequence[Variant]",
        oracle: bool = True,
        confined: bool = False,
    ) -> "tuple[BenchmarkFolder, list[Editing], BenchmarkOutcome] | None":
        """Make and measure the edits of methods that are not done yet, after the oracle's if it is
        asked, and confine them afterwards if that is; None if it was stopped, which is said here.

        Raises `InputError` for methods that cannot be opened, or a folder of another benchmark.
        """
        from cfclip_benchmark import BenchmarkFolder, Editing, run_benchmark

        console, session = self.console, benchmark.session
        methods = [Editing(each, session, self.seed, self.quick) for each in variants]
        folder = BenchmarkFolder(self.out)
        description = {"kind": kind, **benchmark.description(methods)}
        folder.claim(description, self.resume, reads_anew=True)
        for warning in session.pack.text_warnings([edit.prompt for edit in benchmark.edits]):
            console.warning(warning)
        goes_on = f"kept in {self.out}; the same command with --resume goes on from there"
        try:
            with watched_run(console, self.out.name or "benchmark") as watch:
                outcome = run_benchmark(benchmark, methods, folder, watch, oracle, confined)
        except KeyboardInterrupt:
            console.error(f"interrupted; what is finished is {goes_on}")
            return None
        if not outcome.finished:
            edits = f"{outcome.step} of {outcome.steps} edits"
            if outcome.unread:
                edits += f" and {outcome.unread} rows still to be read by the new ruler"
            console.error(f"stopped with {edits}, which are {goes_on}")
            return None
        if outcome.poor:
            console.warning(
                f"{outcome.poor} avatars could not be reproduced well, so that the figures say "
                "little of edits"
            )
        for line in outcome.left_out:
            console.warning(line)
        return folder, methods, outcome

    def report(self, outcome: "BenchmarkOutcome", files: Sequence[Path]) -> None:
        """Say what came out, and where it is written."""
        content = {
            "out": str(self.out),
            "edits": outcome.steps,
            "files": [str(file) for file in files],
            "left_out": outcome.left_out,
        }
        self.console.result(content, *map(str, files))


def check_extra() -> None:
    """Raise `InputError` unless the packages are there that avatars and charts are drawn with."""
    if missing := [name for name in _EXTRA_MODULES if find_spec(name) is None]:
        raise InputError(
            f"a benchmark cannot be run without {', '.join(missing)}; pip install 'cfclip[bench]'"
        )
