"""EVALUATION.md from the figures of `evaluate`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cfclip.files import atomic_write

_COLOURS = ("hair_colour", "skin_colour", "clothes_colour", "background_colour")
_SHAPES = ("hair", "rear_hair", "clothes", "beard", "mouth")
_PERCENT = 100.0
_STARTS = {"import_seconds": "`import cfclip`", "help_seconds": "`cfclip --help`"}
_BINDING = {"swapped": "two colours swapped", "changed": "one attribute changed"}


def _percent(value: float) -> str:
    return f"{_PERCENT * value:.1f} %"


def _lowest(row: Mapping[str, float], names: tuple[str, ...]) -> str:
    name = min(names, key=row.__getitem__)
    return f"{_percent(row[name])} ({name.replace('_', ' ')})"


def report_rows(figures: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(what, at least, measured) for each line of the goals that has been measured."""
    rows: list[tuple[str, str, str]] = []
    if probes := figures.get("probes"):
        for name, row in probes.items():
            rows.append(
                (
                    f"probe {name}, lowest attribute, held-out open avatars",
                    "98 %",
                    _lowest(row, tuple(row)),
                )
            )
    if clip := figures.get("clip"):
        zero_shot = clip["zero_shot"]
        what = "CLIP zero-shot, unseen templates, lowest of "
        rows.append((what + "the colours", "97 %", _lowest(zero_shot, _COLOURS)))
        rows.append((what + "the shapes", "85 %", _lowest(zero_shot, _SHAPES)))
        for kind, value in clip["binding"].items():
            rows.append((f"CLIP binding, {_BINDING[kind]}", "95 %", _percent(value)))
    if inversion := figures.get("projection"):
        for key, goal, what in (("psnr", 28, "whole"), ("psnr_face", 22, "face box")):
            rows.append(
                (
                    f"projection of held-out natural avatars, PSNR {what}",
                    f"{goal} dB",
                    f"{inversion[key]:.1f} dB",
                )
            )
    if edits := figures.get("edits"):
        groups = edits["groups"]
        for part, goal in (("hair", 80), ("skin", 60)):
            rows.append(
                (f"test edits, {part}: success", f"{goal} %", _percent(groups[part]["success"]))
            )
        rows.append(("test edits: preservation", "93 %", _percent(groups["all"]["preservation"])))
    if timing := figures.get("timing"):
        seconds = timing["one_edit_seconds"]
        rows.append(("one edit of one picture, warm", "at most 20 s", f"{seconds:.1f} s"))
        for name, most in (("import_seconds", 0.5), ("help_seconds", 1.5)):
            rows.append((_STARTS[name], f"at most {most} s", f"{timing[name]:.2f} s"))
    return rows


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def format_report(figures: Mapping[str, Any]) -> str:
    """The whole document."""
    parts = [
        "# Evaluation of the `avatars` pack\n",
        "Written by `python -m recipes.avatars evaluate`; how each figure is measured stands in "
        "`recipes/avatars/evaluate.py`, `measure_models.py` and `measure_edits.py`. Attributes "
        "that are hidden, or too close in colour to their neighbour, are left out; the success of "
        "a colour edit is read for every avatar, as the mean Lab colour inside the true mask.\n",
        _table(("what", "goal", "measured"), report_rows(figures)),
    ]
    if probes := figures.get("probes"):
        names = tuple(probes)
        parts += ["## Probes\n", "Share of attributes read right, held-out open avatars.\n"]
        parts.append(
            _table(
                ("attribute", *names),
                [
                    (attribute, *(_percent(probes[n][attribute]) for n in names))
                    for attribute in probes[names[0]]
                ],
            )
        )
    if clip := figures.get("clip"):
        parts += ["## CLIP, zero-shot\n", "Held-out open avatars, templates unseen in training.\n"]
        rows = [(name, _percent(value)) for name, value in clip["zero_shot"].items()]
        parts.append(_table(("attribute", "accuracy"), rows))
    if inversion := figures.get("projection"):
        parts.append("## Inversion\n")
        parts.append(
            _table(("measure", "value"), [(name, f"{v:.3f}") for name, v in inversion.items()])
        )
    if edits := figures.get("edits"):
        parts.append("## Edits\n")
        header = ("prompts", "success", "preservation", "exact", "PSNR outside the mask")
        parts.append(
            _table(
                header,
                [
                    (
                        name,
                        *(_percent(group[key]) for key in ("success", "preservation", "exact")),
                        f"{group['psnr_outside']:.1f} dB",
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


def write_report(figures: Mapping[str, Any], path: Path) -> None:
    """Write EVALUATION.md."""
    with atomic_write(path) as temporary:
        temporary.write_text(format_report(figures), encoding="utf-8")
