"""`cfclip bench`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cfclip.apps.bench_work import BenchWork, check_extra
from cfclip.apps.options import INTERRUPTED, OK
from cfclip.errors import InputError
from cfclip_benchmark.avatars import Split

if TYPE_CHECKING:
    from cfclip.editing import Session
    from cfclip_benchmark import Benchmark


@dataclass(frozen=True, kw_only=True)
class Bench(BenchWork):
    """Measure how well methods edit avatars, whose true edited pictures are known.

    Writes to the folder --out: a row for each edit, all pictures, and a summary with intervals; see
    docs/BENCHMARK.md. Ctrl-C ends after the edit at hand; the same command with --resume goes on.
    """

    tuned: Path | None = None
    """Folder with settings of methods, as cfclip tune writes them; their defaults if not given."""

    variants: Path | None = None
    """File of further methods, which are others with settings or files changed; compared alone if
    neither --methods nor --files are given. docs/BENCHMARK.md tells its layout."""

    split: Split = "test"
    """Which prompts and avatars: settings are chosen on validation."""

    confined: bool = False
    """Measure every method once more, as METHOD-confined: its edits confined to the parts that the
    prompts are about. No edit is made again."""

    without_oracle: bool = False
    """Leave out the true answers, inverted, which no method can beat: where another piece of the
    benchmark has them."""

    judge_clip: Path | None = None
    """Folder of a CLIP that no method sees, laid out as that of a pack; the shipped judge if not
    given."""

    def run(self) -> int:
        """Make and measure every edit that is not done yet, then sum up."""
        check_extra()

        from cfclip_benchmark import COUNTERFACTUAL, read_variants, summarise_benchmark

        session = self.open_session()
        if self.confined:
            session.pack.parts(session.device)  # or there is nothing to confine to
        benchmark = self._judged(session)
        variants = () if self.variants is None else read_variants(self.variants)
        alone = bool(variants) and not (self.methods or self.files)
        methods = [*(() if alone else self.chosen_methods(session)), *variants]
        if self.tuned is not None:
            if not self.tuned.is_dir():
                raise InputError(
                    f"there is no folder {self.tuned}; give one that cfclip tune has written"
                )
            methods = [method.tuned(self.tuned) for method in methods]
        measured = self.measured(
            "bench", benchmark, methods, not self.without_oracle, self.confined
        )
        if measured is None:
            return INTERRUPTED
        folder, _, outcome = measured
        summary, files = summarise_benchmark(benchmark, folder)
        self.report(outcome, files)
        for name in summary.methods:
            if (exact := summary.get(name, COUNTERFACTUAL, "exact")) is not None:
                self.console.note(f"{name}: {exact.mean:.1%} of counterfactual edits are exact")
        return OK

    def _judged(self, session: "Session") -> "Benchmark":
        from cfclip.embedders import (
            TRANSFORMERS_WEIGHTS_FILES,
            WEIGHTS_FILES,
            first_in,
        )
        from cfclip.io import sha256_of
        from cfclip_benchmark.avatars import CLIP_FOLDER, load_clip_judge

        folder = self.judge_clip or CLIP_FOLDER
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}; give one laid out as a CLIP's")
        judge = load_clip_judge(folder).to(session.device)
        digest = sha256_of(first_in(folder, (*WEIGHTS_FILES, *TRANSFORMERS_WEIGHTS_FILES)))
        return self.benchmark(session, self.split, judge, digest)
