"""EVALUATION.md from the figures of `evaluate`."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from typing import Any, Literal

from cfclip.io import atomic_write
from cfclip_benchmark import markdown_table
from cfclip_benchmark.avatars import ATTRIBUTES, COLOURS, SHAPES

Unit = Literal["%", "dB", "s"]

_PERCENT = 100.0
_FORMATS: dict[Unit, str] = {"%": "{:.1f} %", "dB": "{:.1f} dB", "s": "{:.2f} s"}
_NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Goal:
    """A line of the goals: a figure, and how good it shall be."""

    what: str
    figure: tuple[str, ...]
    """The keys that lead to it in the figures."""
    goal: float | None
    """In `unit`; None for a figure that has no goal."""
    unit: Unit
    """Figures in % are shares of 1, all others are in their unit."""
    bound: Literal["at least", "at most"] = "at least"
    worst_of: tuple[str, ...] = ()
    """The figure is the worst of these entries of what `figure` leads to."""

    def row(self, figures: Mapping[str, Any]) -> tuple[str, str, str, str]:
        """(what, goal, measured, "reached" or "missed"), for a line of the table.

        The outcome is that of the figure itself, not of its rounded form; it is empty where there
        is no goal or no figure.
        """
        wanted = "none" if self.goal is None else f"{self.bound} {self.goal:g} {self.unit}"
        found = self._find(figures)
        if found is None:
            return self.what, wanted, _NOT_MEASURED, ""
        value, name = found
        shown = format_figure(value, self.unit) + (f" ({name.replace('_', ' ')})" if name else "")
        if self.goal is None:
            return self.what, wanted, shown, ""
        limit = self.goal / _PERCENT if self.unit == "%" else self.goal
        reached = value >= limit if self.bound == "at least" else value <= limit
        return self.what, wanted, shown, "reached" if reached else "missed"

    def _find(self, figures: Mapping[str, Any]) -> tuple[float, str] | None:
        """The figure, and its name if it is the worst of several; None if one is not measured."""
        paths = {name: (*self.figure, name) for name in self.worst_of} or {"": self.figure}
        values = {name: _look_up(figures, path) for name, path in paths.items()}
        if any(isnan(value) for value in values.values()):
            return None
        pick = min if self.bound == "at least" else max
        worst = pick(values, key=values.__getitem__)
        return values[worst], worst


def _look_up(figures: Mapping[str, Any], path: tuple[str, ...]) -> float:
    """The number that the keys of `path` lead to; NaN if there is none."""
    found: Any = figures
    for key in path:
        found = found.get(key)
        if found is None:
            return nan
    return float(found)


def _edits(group: str, measure: str, goal: float | None, unit: Unit = "%") -> Goal:
    subject = "test edits" if group == "colours" else f"test edits, {group}"
    what = {"psnr_outside": "PSNR outside the mask"}.get(measure, measure)
    return Goal(f"{subject}: {what}", ("edits", "groups", group, measure), goal, unit)


def _samples(what: str, figure: tuple[str, ...], goal: float, *worst_of: str) -> Goal:
    return Goal(f"samples at psi 1: {what}", ("samples", *figure), goal, "%", worst_of=worst_of)


_ZERO_SHOT = "CLIP zero-shot, unseen templates, lowest of the "
_PROJECTION = "projection of held-out natural avatars"

GOALS: tuple[Goal, ...] = (
    *(
        Goal(
            f"probe {name}, lowest attribute, held-out open avatars",
            ("probes", name),
            98,
            "%",
            worst_of=ATTRIBUTES,
        )
        for name in ("plain", "residual")
    ),
    _samples("read with confidence 0.8, lowest attribute", ("read",), 97, *ATTRIBUTES),
    _samples("every attribute read with confidence 0.8", ("all_read",), 80),
    Goal(
        "samples at psi 1: total variation from the natural marginal, largest of the attributes",
        ("samples", "marginals"),
        5,
        "%",
        "at most",
        worst_of=ATTRIBUTES,
    ),
    _samples("pairs of values covered", ("pairs_covered",), 100),
    _samples("precision in probe features", ("precision",), 90),
    _samples("recall in probe features", ("recall",), 80),
    Goal(
        "samples at psi 1: an unnatural attribute or an excluded pair",
        ("samples", "unnatural", "any"),
        1,
        "%",
        "at most",
    ),
    Goal(_ZERO_SHOT + "colours", ("clip", "zero_shot"), 97, "%", worst_of=tuple(COLOURS)),
    Goal(_ZERO_SHOT + "shapes", ("clip", "zero_shot"), 90, "%", worst_of=tuple(SHAPES)),
    Goal("CLIP binding, one attribute changed", ("clip", "binding", "changed"), 97, "%"),
    Goal("CLIP binding, two colours swapped", ("clip", "binding", "swapped"), 97, "%"),
    Goal(f"{_PROJECTION}, PSNR whole", ("projection", "psnr"), 30, "dB"),
    Goal(f"{_PROJECTION}, PSNR face box", ("projection", "psnr_face"), 24, "dB"),
    Goal(
        f"{_PROJECTION}, attributes both probes read the same",
        ("projection", "attributes_read_the_same"),
        97,
        "%",
    ),
    Goal(
        "encoder alone, attributes both probes read the same",
        ("projection", "encoder_attributes_read_the_same"),
        90,
        "%",
    ),
    _edits("hair", "success", 90),
    _edits("skin", "success", 80),
    _edits("brow", "success", 70),
    _edits("lip", "success", 60),
    _edits("excluded", "success", None),
    _edits("colours", "preservation", 97),
    _edits("colours", "psnr_outside", 28, "dB"),
    _edits("colours", "exact", 60),
    Goal("one edit of one picture, warm", ("timing", "one_edit_seconds"), 15, "s", "at most"),
    Goal("`import cfclip`", ("timing", "import_seconds"), 0.5, "s", "at most"),
    Goal("`cfclip --help`", ("timing", "help_seconds"), 1.5, "s", "at most"),
)
"""What the pack shall reach."""


def format_figure(value: float | None, unit: Unit) -> str:
    """A figure with its unit; shares of 1 as per cent.

    >>> format_figure(0.905, "%"), format_figure(27.96, "dB"), format_figure(None, "s")
    ('90.5 %', '28.0 dB', 'not measured')
    """
    if value is None:
        return _NOT_MEASURED
    return _FORMATS[unit].format(_PERCENT * value if unit == "%" else value)


def format_goals(figures: Mapping[str, Any]) -> str:
    """A line for every figure that has been measured: what, and how much."""
    rows = [goal.row(figures) for goal in GOALS]
    return "\n".join(f"{row[0]}: {row[2]}" for row in rows if row[2] != _NOT_MEASURED)


def _percent(value: float | None) -> str:
    return format_figure(value, "%")


def format_report(figures: Mapping[str, Any]) -> str:
    """The whole document."""
    parts = [
        "# Evaluation of the `avatars` pack\n",
        "Written by `python -m recipes.avatars evaluate`; how each figure is measured stands in "
        "`recipes/avatars/evaluate.py`, `measure_models.py` and `cfclip_benchmark.avatars.scores`."
        " Attributes that are hidden, or too close in colour to their neighbour, are left out; the "
        "success of a colour edit is read for every avatar, as the mean Lab colour inside the true "
        "mask. "
        "Whether a goal is reached is told by the figure before it is rounded.\n",
        markdown_table(
            ("what", "goal", "measured", "outcome"), [goal.row(figures) for goal in GOALS]
        ),
    ]
    if probes := figures.get("probes"):
        names = tuple(probes)
        parts += ["## Probes\n", "Share of attributes read right, held-out open avatars.\n"]
        parts.append(
            markdown_table(
                ("attribute", *names),
                [
                    (attribute, *(_percent(probes[n][attribute]) for n in names))
                    for attribute in probes[names[0]]
                ],
            )
        )
    if samples := figures.get("samples"):
        parts += _sample_parts(samples)
    if clips := {name: figures[name] for name in ("clip", "judge") if name in figures}:
        parts += [
            "## CLIP, zero-shot\n",
            "Held-out open avatars, templates unseen in training: the pack's CLIP, and the judge, "
            "another tower trained apart, which no edit follows.\n",
        ]
        rows = [
            (name, *(_percent(clip["zero_shot"][name]) for clip in clips.values()))
            for name in ATTRIBUTES
        ]
        rows += [
            (f"binding: {kind}", *(_percent(clip["binding"].get(kind)) for clip in clips.values()))
            for kind in next(iter(clips.values()))["binding"]
        ]
        parts.append(markdown_table(("attribute", *clips), rows))
    if inversion := figures.get("projection"):
        parts.append("## Inversion\n")
        parts.append(
            markdown_table(
                ("measure", "value"), [(name, f"{v:.3f}") for name, v in inversion.items()]
            )
        )
    if edits := figures.get("edits"):
        parts.append("## Edits\n")
        parts.append(
            "Success and exact rate are of the avatars whose success can be read, of which "
            "`readable` is the share: off the rest, not even the true answer could be read. "
            "*Gained* is how far edits went on the way from the inverted source to the true "
            "answer, in cosine similarity to the prompt, by the pack's CLIP and by the judge: an "
            "edit that only the former finds far on its way has fooled it.\n"
        )
        measures = ("success", "preservation", "exact", "readable")
        judging = ("pack", "judge")
        header = (
            *("prompts", *measures, "PSNR outside the mask"),
            *(f"gained, {clip}" for clip in judging),
        )
        parts.append(
            markdown_table(
                header,
                [
                    (
                        name,
                        *(_percent(group.get(key)) for key in measures),
                        format_figure(group["psnr_outside"], "dB"),
                        *(_percent(edits["gained"][name][clip]) for clip in judging),
                    )
                    for name, group in edits["groups"].items()
                ],
            )
        )
        settings = ", ".join(f"{k} {v}" for k, v in edits["settings"].items())
        parts.append(
            f"Settings: {settings}. {edits['seconds_per_edit_in_batch']:.1f} s per edit in a "
            "batch.\n"
        )
    return "\n".join(parts)


def _sample_parts(samples: Mapping[str, Any]) -> list[str]:
    """The section on samples, beside the same figures of real avatars."""
    real = samples["real"]
    read = [
        (
            name,
            *(_percent(part["read"][name]) for part in (samples, real)),
            *(_percent(part["marginals"][name]) for part in (samples, real)),
        )
        for name in samples["read"]
    ]
    others = [
        (what, *(_percent(_look_up(part, path)) for part in (samples, real)))
        for what, path in (
            ("every attribute read with confidence 0.8", ("all_read",)),
            ("pairs of values covered", ("pairs_covered",)),
            ("precision", ("precision",)),
            ("recall", ("recall",)),
            *((f"unnatural: {kind}", ("unnatural", kind)) for kind in samples["unnatural"]),
        )
    ]
    lengths = [
        (space, f"{samples['path_length'][space]:.2f}", f"{samples['largest_step'][space]:.2f}")
        for space in samples["path_length"]
    ]
    return [
        "## Samples\n",
        f"{samples['count']} samples at psi 1, from z alone, beside {real['count']} real avatars, "
        "read back from their pixels; only what is visible counts.\n",
        markdown_table(("attribute", "read", "read, real", "marginal", "marginal, real"), read),
        markdown_table(("what", "samples", "real"), others),
        "Perceptual path length in probe features (comparable only with itself), and the largest "
        "of 20 equal steps between two latents as a multiple of the mean one, in pixels:\n",
        markdown_table(("space", "path length", "largest step"), lengths),
    ]


def write_report(figures: Mapping[str, Any], path: Path) -> None:
    """Write EVALUATION.md."""
    with atomic_write(path) as temporary:
        temporary.write_text(format_report(figures), encoding="utf-8")
