"""A captioned folder made of samples of a pack."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cfclip.editing import Session

COLOURS = ("green", "blue", "red")
PARTS = ("hair", "skin", "eyebrows", "smile")
TEXTS = tuple(f"a person with {colour} {part}" for colour in COLOURS for part in PARTS)


def write_captions(folder: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Write `captions.jsonl`."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "captions.jsonl").write_text(text, encoding="utf-8")


def write_captioned_folder(folder: Path, pack: Path, count: int = 24, edits: int = 0) -> None:
    """Fill `folder`, which is made: samples 0.png, 1.png, ... with a caption each.

    The last `edits` of them name another one as their source.
    """
    (folder / "images").mkdir(parents=True)
    lines: list[dict[str, Any]] = []
    for i, source in enumerate(Session.open(pack).sample(count)):
        source.image.save(folder / "images" / f"{i}.png")
        line: dict[str, Any] = {"image": f"{i}.png", "text": TEXTS[i % len(TEXTS)]}
        lines.append(line if i < count - edits else {**line, "source": f"{count - 1 - i}.png"})
    write_captions(folder, lines)
