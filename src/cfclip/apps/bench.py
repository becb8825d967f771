"""`cfclip bench`."""

from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from cfclip.apps.console import Console
from cfclip.apps.options import DEFAULT_PACK, INTERRUPTED, OK, Output
from cfclip.apps.run_watch import watched_run
from cfclip.encoders.config import ProjectionConfig
from cfclip.errors import InputError
from cfclip.evaluation.avatars.splits import Split

if TYPE_CHECKING:
    from cfclip.evaluation.benchmark import Benchmark, BenchmarkOutcome
    from cfclip.evaluation.folder import BenchmarkFolder
    from cfclip.evaluation.methods import Method
    from cfclip.session import Session

_EXTRA_MODULES = ("dicebear_styles", "resvg_py")


@dataclass(frozen=True)
class Bench(Output):
    """Measure how well methods edit avatars, whose true edited pictures are known.

    Writes to the folder --out: a row for each edit, all pictures, and a summary with intervals; see
    docs/BENCHMARK.md. Ctrl-C ends after the edit at hand; the same command with --resume goes on.
    """

    out: Path
    """Folder of the benchmark; made if needed."""

    methods: tuple[str, ...] = ()
    """Methods to compare, by their names in docs/BASELINES.md; if none is given, all that optimise
    and those that --files are given for."""

    files: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """METHOD=PATH: what a method takes, such as cfclip-mapper=runs/all. May be repeated."""

    tuned: Path | None = None
    """Folder with settings of methods, as cfclip tune writes them; their defaults if not given."""

    prompts: Path | None = None
    """File of prompts, laid out as cfclip/evaluation/avatars/prompts.toml, which is the default."""

    split: Split = "test"
    """Which prompts and avatars: settings are chosen on validation."""

    images: int = 8
    """Avatars to edit with every prompt."""

    judge_clip: Path | None = None
    """Folder of a CLIP that no method sees, laid out as that of a pack."""

    seed: int = 0
    """Of every edit."""

    resume: bool = False
    """Go on with the benchmark in --out, which has to be of the same pack, settings and versions.
    Methods and avatars may be added."""

    quick: bool = False
    """Try the benchmark itself: two avatars, a prompt of each family, edits of two steps."""

    pack: str = DEFAULT_PACK
    """Model pack of avatars, by name or folder."""

    device: str = "cpu"
    """Where to compute: cpu, cuda, cuda:1, mps."""

    projection: ProjectionConfig = field(default_factory=ProjectionConfig)

    def run(self) -> int:
        """Make and measure every edit that is not done yet, then sum up."""
        check_extra()
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}, it must be at least 0")

        from cfclip.evaluation.benchmark import run_benchmark
        from cfclip.evaluation.choices import choose_methods, open_methods, parse_files
        from cfclip.evaluation.folder import BenchmarkFolder
        from cfclip.session import Session

        console = self.console
        files = parse_files(self.files)
        session = Session.open(self.pack, self.device)
        benchmark = self._benchmark(session)
        names = choose_methods(session.pack, self.methods, files)
        methods = open_methods(session.pack, names, files, self.tuned, self.quick, session.device)
        benchmark.check_texts()
        folder = BenchmarkFolder(self.out)
        folder.claim(benchmark.about(methods, files), self.resume)
        self._warn(console, session, benchmark)
        try:
            with watched_run(console, self.out.name or "benchmark") as watch:
                outcome = run_benchmark(benchmark, methods, folder, watch)
        except KeyboardInterrupt:
            console.error(_interrupted(folder))
            return INTERRUPTED
        if not outcome.finished:
            console.error(
                f"stopped with {outcome.step} of {outcome.steps} edits, which are kept in "
                f"{self.out}; the same command with --resume goes on from there"
            )
            return INTERRUPTED
        return self._conclude(console, benchmark, folder, methods, outcome)

    def _benchmark(self, session: "Session") -> "Benchmark":
        from cfclip.embedders.clip import load_clip
        from cfclip.embedders.clip_files import WEIGHTS_FILE
        from cfclip.evaluation.avatars.cases import draw_avatars
        from cfclip.evaluation.avatars.prompts import SHIPPED, read_prompts
        from cfclip.evaluation.benchmark import Benchmark
        from cfclip.evaluation.choices import QUICK_AVATARS, QUICK_PROJECTION_STEPS, quick_edits
        from cfclip.files import sha256_of

        edits = read_prompts(self.prompts or SHIPPED).of(self.split)
        draw_avatars(self.split, self.images)  # which knows the limits
        if self.judge_clip is not None and not self.judge_clip.is_dir():
            raise InputError(f"there is no folder {self.judge_clip}; give one laid out as a CLIP's")
        judge = None if self.judge_clip is None else load_clip(self.judge_clip, session.device)
        projection = self.projection
        if self.quick:
            projection = replace(projection, steps=min(projection.steps, QUICK_PROJECTION_STEPS))
        return Benchmark(
            session=session,
            edits=quick_edits(edits) if self.quick else edits,
            split=self.split,
            images=min(self.images, QUICK_AVATARS) if self.quick else self.images,
            projection=projection,
            seed=self.seed,
            judge=judge,
            judge_hash=None
            if self.judge_clip is None
            else sha256_of(self.judge_clip / WEIGHTS_FILE),
        )

    def _warn(self, console: Console, session: "Session", benchmark: "Benchmark") -> None:
        for warning in session.text_warnings([edit.prompt for edit in benchmark.edits]):
            console.warning(warning)
        if self.judge_clip is None:
            console.note("no judge CLIP is given (--judge-clip): judge_similarity stays empty")

    def _conclude(
        self,
        console: Console,
        benchmark: "Benchmark",
        folder: "BenchmarkFolder",
        methods: "list[Method]",
        outcome: "BenchmarkOutcome",
    ) -> int:
        from cfclip.evaluation.benchmark import conclude

        if outcome.poor:
            console.warning(
                f"{outcome.poor} of {benchmark.images} avatars could not be reproduced well, so "
                "that the figures say little of edits"
            )
        for line in outcome.left_out:
            console.warning(line)
        summary, files = conclude(benchmark, folder, outcome.left_out)
        console.result(
            {
                "out": str(self.out),
                "edits": outcome.steps,
                "summary": [str(file) for file in files],
                "left_out": outcome.left_out,
            },
            "\n".join(map(str, files)),
        )
        for name in summary.methods:
            exact = summary.get(name, "counterfactual", "exact")
            if exact is not None:
                console.note(f"{name}: {exact.mean:.1%} of counterfactual edits are exact")
        return OK


def check_extra() -> None:
    """Raise `InputError` unless the packages are there that avatars are rendered with."""
    if missing := [name for name in _EXTRA_MODULES if find_spec(name) is None]:
        raise InputError(
            f"avatars cannot be rendered without {', '.join(missing)}; pip install 'cfclip[bench]'"
        )


def _interrupted(folder: "BenchmarkFolder") -> str:
    return (
        f"interrupted; finished edits and inversions are kept in {folder.path}, the same command "
        "with --resume goes on"
    )
