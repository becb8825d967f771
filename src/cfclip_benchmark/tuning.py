"""Settings of methods, chosen on validation prompts and avatars with as many trials for each.

Trials are drawn at random (Bergstra & Bengio, JMLR 2012), since they need no tuning of their own;
the first is the method with its defaults. Every trial is a row of edits in a benchmark's folder, so
that what is done is kept, and trials may be added. The strength is not drawn: rows tell what an
edit is at each, so that the best is found for every trial.
"""

import json
import math
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from cfclip.provenance import write_json
from cfclip.settings import check_number
from cfclip_benchmark.benchmark_folder import BenchmarkFolder
from cfclip_benchmark.candidates import Editing
from cfclip_benchmark.measured_edits import MeasuredEdit, RowLog, StrengthScore
from cfclip_benchmark.summary import CONTROL
from cfclip_benchmark.variants import Variant

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
        "logit-text-map": {
            "lr": Span(0.05, 5.0, log=True),
            "fusion_strength": Span(0.05, 1.0, log=True),
            "beta": Span(0.0, 1.0),
            "gamma": Span(0.0, 1.0),
        },
        "styleclip-optimisation": _LATENT_OPTIMISATION,
        "styleclip-global": {
            "alpha": Span(0.5, 16.0, log=True),
            "beta": Span(0.02, 0.5, log=True),
        },
        "directional-optimisation": _LATENT_OPTIMISATION,
    }
)
"""What is tuned of methods, beside their strength. Mappers' trainings are not: each of their trials
would be one."""


def trial_settings(method: str, number: int, seed: int) -> dict[str, float]:
    """The settings of a trial; none of the first. The same arguments give the same settings."""
    if number == 0:
        return {}
    rng = np.random.default_rng([seed, number, zlib.crc32(method.encode())])
    return {name: span.draw(rng) for name, span in SPACES.get(method, {}).items()}


def trials_of(method: Variant, count: int, seed: int) -> list[Variant]:
    """Trials of a method, named `METHOD#NUMBER`; of one that has nothing to draw only the first.

    Args:
        method: with its files, without settings.
        count: how many trials, at least 1.
        seed: of their settings.

    Raises:
        InputError: a count below 1.
    """
    check_number("trials", count, 1, _MOST_TRIALS)
    return [
        replace(
            method,
            name=f"{method.name}{_MARK}{number}",
            settings=trial_settings(method.name, number, seed),
        )
        for number in range(count if method.name in SPACES else 1)
    ]


def choose_settings(trials: Sequence[Editing], folder: BenchmarkFolder) -> list[Path]:
    """The best trial of each method, at its best strength, as files for `cfclip bench --tuned`.

    Writes `trials.jsonl`, all trials with what they reached at each strength, and `METHOD.json` for
    each method. Best is the highest exact rate of counterfactual edits, then success, then
    preservation; of equal trials the first, of equal strengths the one nearest to the trial's own.

    Args:
        trials: those of a method in the order of their numbers, as `trials_of` gives them.
        folder: with the rows of all of them.

    Raises:
        InputError: rows that cannot be read, or a file that cannot be written.
    """
    rows = [row for row in RowLog(folder.rows).rows if row.family != CONTROL]
    by_method: dict[str, list[tuple[Editing, list[_Reached]]]] = defaultdict(list)
    for trial in trials:
        reached = _reached([row for row in rows if row.method == trial.name])
        by_method[trial.variant.method].append((trial, reached))
    lines = [
        {
            "method": name,
            "trial": number,
            "settings": dict(trial.variant.settings),
            "reached": [asdict(each) for each in reached],
        }
        for name, own in by_method.items()
        for number, (trial, reached) in enumerate(own)
    ]
    folder.write(TRIALS_FILE, "".join(json.dumps(line) + "\n" for line in lines))
    files = []
    for name, own in by_method.items():
        number, trial, best = max(
            (
                (number, trial, each)
                for number, (trial, reached) in enumerate(own)
                for each in reached
            ),
            key=lambda candidate: candidate[2].rank,
        )
        settings = dict(trial.variant.settings)
        if best.strength != 1.0:
            settings["strength"] = best.strength * trial.method.settings["strength"]
        content = {"method": name, "trial": number, "trials": len(own), "settings": settings}
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
        _Reached(strength, *(_mean(scores, name) for name in ("exact", "success", "preservation")))
        for strength, scores in sorted(at.items(), key=lambda item: abs(math.log(item[0])))
    ]


def _mean(scores: Sequence[MeasuredEdit | StrengthScore], measure: str) -> float | None:
    values = [getattr(score, measure) for score in scores]
    known = [float(value) for value in values if value is not None]
    return sum(known) / len(known) if known else None
