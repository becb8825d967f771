"""Settings of methods, chosen on validation prompts and avatars with as many trials for each.

Trials are drawn at random (Bergstra & Bengio, JMLR 2012), since they need no tuning of their own;
the first is the method with its defaults. Every trial is a row of edits in a benchmark's folder, so
that what is done is kept, and trials may be added. The strength is not drawn: rows tell what an
edit is at each, so that the best is found for every trial.
"""

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from cfclip.editing.methods import OPTIMISATIONS, open_method
from cfclip.packs.pack import Pack
from cfclip.provenance.record import write_json
from cfclip.settings import check_number
from cfclip.training.runs import RunCallback
from cfclip_benchmark.benchmark import Benchmark
from cfclip_benchmark.benchmark_folder import BenchmarkFolder
from cfclip_benchmark.benchmark_run import BenchmarkOutcome, run_benchmark
from cfclip_benchmark.measured_edits import MeasuredEdit, RowLog, StrengthScore
from cfclip_benchmark.method_choices import QUICK_SETTINGS
from cfclip_benchmark.summary import CONTROL
from cfclip_benchmark.variants import Renamed

TRIALS_FILE = "trials.jsonl"
_MARK = "#"
_DIGITS = 3
_MOST_TRIALS = 10_000


@dataclass(frozen=True)
class Span:
    """Values that a setting is drawn from, evenly, or evenly in their logarithm."""

    low: float
    high: float
    log: bool = False

    def draw(self, rng: np.random.Generator) -> float:
        """One of them, with three digits."""
        if self.log:
            value = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = rng.uniform(self.low, self.high)
        return min(max(float(f"{value:.{_DIGITS}g}"), self.low), self.high)


_LATENT_OPTIMISATION = {
    "lr": Span(0.02, 0.3, log=True),
    "latent_l2": Span(2.0, 200.0, log=True),
}
SPACES: Mapping[str, Mapping[str, Span]] = MappingProxyType(
    {
        "cfclip-optimisation": {
            "lr": Span(0.02, 0.3, log=True),
            "latent_l2": Span(0.01, 10.0, log=True),
            "changed_pixels": Span(1.0, 30.0, log=True),
            "aspects": Span(3.0, 100.0, log=True),
            "fusion_strength": Span(0.3, 1.5),
        },
        "cfclip-mapper": {},
        "logit-text-map": {
            "lr": Span(0.05, 5.0, log=True),
            "fusion_strength": Span(0.05, 1.0, log=True),
            "beta": Span(0.0, 1.0),
            "gamma": Span(0.0, 1.0),
        },
        "styleclip-optimisation": _LATENT_OPTIMISATION,
        "styleclip-mapper": {},
        "styleclip-global": {
            "alpha": Span(0.5, 16.0, log=True),
            "beta": Span(0.02, 0.5, log=True),
        },
        "directional-optimisation": _LATENT_OPTIMISATION,
        "directional-mapper": {},
    }
)
"""What is tuned of each method, beside its strength. Mappers' trainings are not: each of their
trials would be one."""


@dataclass(frozen=True)
class Trial(Renamed):
    """A method with the settings of one trial."""

    number: int
    changed: Mapping[str, Any]
    """The settings that are not the defaults."""


def trial_settings(method: str, number: int, seed: int) -> dict[str, float]:
    """The settings of a trial; none of the first. The same arguments give the same settings."""
    if number == 0:
        return {}
    rng = np.random.default_rng([seed, number, zlib.crc32(method.encode())])
    return {name: span.draw(rng) for name, span in SPACES[method].items()}


def open_trials(
    pack: Pack,
    names: Sequence[str],
    files: Mapping[str, Sequence[Path]],
    count: int,
    seed: int,
    quick: bool = False,
    device: str | torch.device = "cpu",
) -> list[Trial]:
    """`count` trials of each method, ready to edit.

    Args:
        pack, names, files, quick, device: as in `choices.open_methods`.
        count: trials of each method, at least 1; one of a method that has nothing to draw.
        seed: of their settings.

    Raises:
        InputError: a count below 1, or what `open_method` raises.
    """
    check_number("trials", count, 1, _MOST_TRIALS)
    trials = []
    for name in names:
        few = QUICK_SETTINGS if quick and name in OPTIMISATIONS else {}
        for number in range(count if SPACES[name] else 1):
            changed = trial_settings(name, number, seed)
            method = open_method(name, pack, {**changed, **few}, files.get(name, ()), device)
            trials.append(Trial(method, f"{name}{_MARK}{number}", number, changed))
    return trials


def run_trials(
    benchmark: Benchmark,
    trials: Sequence[Trial],
    folder: BenchmarkFolder,
    callback: RunCallback | None = None,
) -> BenchmarkOutcome:
    """Measure every trial on every case, as `run_benchmark` does, without an oracle."""
    return run_benchmark(benchmark, trials, folder, callback, oracle=False)


def choose_settings(trials: Sequence[Trial], folder: BenchmarkFolder) -> list[Path]:
    """The best trial of each method, at its best strength, as files for `cfclip bench --tuned`.

    Writes `trials.jsonl`, all trials with what they reached at each strength, and `METHOD.json` for
    each method. Best is the highest exact rate of counterfactual edits, then success, then
    preservation; of equal trials the first, of equal strengths the one nearest to the trial's own.

    Raises:
        InputError: rows that cannot be read, or a file that cannot be written.
    """
    rows = [row for row in RowLog(folder.rows).rows if row.family != CONTROL]
    reached = {
        trial.name: _reached([row for row in rows if row.method == trial.name]) for trial in trials
    }
    lines = [
        {
            "method": trial.method.name,
            "trial": trial.number,
            "settings": dict(trial.changed),
            "reached": [asdict(each) for each in reached[trial.name]],
        }
        for trial in trials
    ]
    folder.write(TRIALS_FILE, "".join(json.dumps(line) + "\n" for line in lines))
    files = []
    for name in dict.fromkeys(trial.method.name for trial in trials):
        own = [trial for trial in trials if trial.method.name == name]
        trial, best = max(
            ((trial, each) for trial in own for each in reached[trial.name]),
            key=lambda pair: pair[1].rank,
        )
        changed = {**trial.changed}
        if best.strength != 1.0:
            changed["strength"] = best.strength * trial.settings["strength"]
        content = {"method": name, "trial": trial.number, "trials": len(own), "settings": changed}
        path = folder.path / f"{name}.json"
        write_json({**content, "reached": asdict(best)}, path)
        files.append(path)
    return files


@dataclass(frozen=True)
class _Reached:
    """What a trial reached on counterfactual prompts; None where it cannot be told."""

    strength: float
    """Factor on its edits."""
    exact: float | None
    success: float | None
    preservation: float | None

    @property
    def rank(self) -> tuple[float, ...]:
        """Of two, the better one has the higher rank."""
        return tuple(x or 0.0 for x in (self.exact, self.success, self.preservation))


def _reached(rows: Sequence[MeasuredEdit]) -> list[_Reached]:
    """What rows reached at each factor on their edits, the ones nearest to 1 first."""
    at: dict[float, list[MeasuredEdit | StrengthScore]] = {1.0: list(rows)}
    for row in rows:
        for each in row.strengths:
            at.setdefault(each.strength, []).append(each)
    return [
        _Reached(
            strength,
            _mean([each.exact for each in at[strength]]),
            _mean([each.success for each in at[strength]]),
            _mean([each.preservation for each in at[strength]]),
        )
        for strength in sorted(at, key=lambda strength: abs(math.log(strength)))
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return sum(known) / len(known) if known else None
