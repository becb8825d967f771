"""What `cfclip bench` and `cfclip tune` share."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from cfclip.apps.console import Console
from cfclip.apps.options import DEFAULT_PACK, Output
from cfclip.apps.run_watch import watched_run
from cfclip.encoders.projection_config import ProjectionConfig
from cfclip.errors import InputError
from cfclip.settings import check_seed

if TYPE_CHECKING:
    from cfclip.editing.session import Session
    from cfclip.embedders.embedder import Embedder
    from cfclip.training.runs import RunCallback
    from cfclip_benchmark.avatars.splits import Split
    from cfclip_benchmark.benchmark import Benchmark
    from cfclip_benchmark.benchmark_run import BenchmarkOutcome

_EXTRA_MODULES = ("dicebear_styles", "resvg_py", "matplotlib")


@dataclass(frozen=True, kw_only=True)
class BenchWork(Output):
    """Options of commands that edit avatars and measure what comes out."""

    out: Path
    """Folder for all that is made; made if needed."""

    methods: tuple[str, ...] = ()
    """Methods to compare, by their names in docs/BASELINES.md; if none is given, all that optimise
    and those that --files are given for."""

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

    pack: str = DEFAULT_PACK
    """Model pack of avatars, by name or folder."""

    device: str = "cpu"
    """Where to compute: cpu, cuda, cuda:1, mps."""

    projection: ProjectionConfig = field(default_factory=ProjectionConfig)

    def benchmark(
        self,
        session: "Session",
        split: "Split",
        judge: "Embedder | None" = None,
        judge_hash: str | None = None,
    ) -> "Benchmark":
        """What is measured, every option and text of it checked. Raises `InputError`."""
        from cfclip_benchmark.avatars.benchmark_prompts import SHIPPED, read_prompts
        from cfclip_benchmark.avatars.cases import draw_avatars
        from cfclip_benchmark.benchmark import Benchmark
        from cfclip_benchmark.method_choices import (
            QUICK_AVATARS,
            QUICK_PROJECTION_STEPS,
            quick_edits,
        )

        check_seed(self.seed)
        draw_avatars(split, self.images)  # which knows the limits
        edits = read_prompts(self.prompts or SHIPPED).of(split)
        projection = self.projection
        if self.quick:
            projection = replace(projection, steps=min(projection.steps, QUICK_PROJECTION_STEPS))
        benchmark = Benchmark(
            session=session,
            edits=quick_edits(edits) if self.quick else edits,
            split=split,
            images=min(self.images, QUICK_AVATARS) if self.quick else self.images,
            projection=projection,
            seed=self.seed,
            batch=self.batch,
            share=self.share,
            judge=judge,
            judge_hash=judge_hash,
        )
        benchmark.check_texts()
        return benchmark

    def watched(
        self, console: Console, work: "Callable[[RunCallback], BenchmarkOutcome]"
    ) -> "BenchmarkOutcome | None":
        """The outcome of finished work; None if it was stopped, which has been told then."""
        try:
            with watched_run(console, self.out.name or "benchmark") as watch:
                outcome = work(watch)
        except KeyboardInterrupt:
            console.error(
                f"interrupted; what is finished is kept in {self.out}, the same command with "
                "--resume goes on from there"
            )
            return None
        if not outcome.finished:
            console.error(
                f"stopped with {outcome.step} of {outcome.steps} edits, which are kept in "
                f"{self.out}; the same command with --resume goes on from there"
            )
            return None
        if outcome.poor:
            console.warning(
                f"{outcome.poor} avatars could not be reproduced well, so that the figures say "
                "little of edits"
            )
        for line in outcome.left_out:
            console.warning(line)
        return outcome


def check_extra() -> None:
    """Raise `InputError` unless the packages are there that avatars and charts are drawn with."""
    if missing := [name for name in _EXTRA_MODULES if find_spec(name) is None]:
        raise InputError(
            f"a benchmark cannot be run without {', '.join(missing)}; pip install 'cfclip[bench]'"
        )
