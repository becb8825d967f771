"""Edits measured against the truth: the rendered avatar with only the named attribute changed.

Success is read without any network, as the mean Lab colour inside the true mask; preservation by
both probes, against the inverted source. Nothing here feeds back into an edit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cfclip.evaluation.probes import Probe
from cfclip.tensors import psnr, uint8_from_signed
from recipes.avatars import colours
from recipes.avatars.attributes import ATTRIBUTES, AttributeTable, AvatarRecord, changed
from recipes.avatars.renderer import PART_COLOURS, render_masks, visibility


@dataclass(frozen=True)
class ColourEdit:
    """One prompt of the benchmark: paint `part` in `word`."""

    part: str
    """A part of `colours.PARTS`: hair, brow, lip or skin."""
    word: str
    """A colour word of that part."""

    @property
    def prompt(self) -> str:
        """The text given to the editor."""
        noun = {"hair": "hair", "skin": "skin", "brow": "eyebrows", "lip": "lips"}[self.part]
        return f"{self.word} {noun}"

    @property
    def attribute(self) -> str:
        """The attribute it changes."""
        return f"{self.part}_colour"

    def true_mask(self, record: AvatarRecord, resolution: int) -> NDArray[np.bool_]:
        """(resolution, resolution): every pixel that shows the attribute's colour."""
        masks = render_masks(record, resolution)
        named = [masks[p] for p, attribute in PART_COLOURS.items() if attribute == self.attribute]
        mask: NDArray[np.bool_] = np.any(named, axis=0)
        return mask


TEST_EDITS = tuple(
    ColourEdit(part, word)
    for part in ("hair", "skin")
    for word in ("green", "blue", "purple", "pink" if part == "hair" else "red")
)
"""The prompts of EVALUATION.md; none of them was used to choose a setting."""

VALIDATION_EDITS = (
    ColourEdit("hair", "turquoise"),
    ColourEdit("hair", "red"),
    ColourEdit("skin", "turquoise"),
    ColourEdit("skin", "grey"),
)
"""The prompts that settings are chosen on."""


@dataclass(frozen=True)
class EditScore:
    """What happened to one avatar under one prompt."""

    prompt: str
    avatar: int
    success: bool
    """The mean Lab colour inside the true mask lies in the word's region."""
    kept: float
    """Share of the other readable attributes that both probes read as in the inverted source."""
    lost: tuple[str, ...]
    """The attributes that were not kept."""
    psnr_outside: float
    """Decibels against the inverted source outside the true mask."""

    @property
    def exact(self) -> bool:
        """Succeeded, with every other attribute kept."""
        return self.success and not self.lost


def score_edits(
    edit: ColourEdit,
    records: Sequence[AvatarRecord],
    source: Tensor,
    edited: Tensor,
    probes: Sequence[Probe],
) -> list[EditScore]:
    """Score a batch of edited avatars.

    Args:
        edit: what was asked for.
        records: the avatars' true attributes.
        source, edited: image tensors `(batch, 3, side, side)`: the inversions and their edits.
        probes: the probes that must agree.
    """
    table = AttributeTable.from_records(records)
    truth = AttributeTable.from_records(
        [changed(record, **{edit.attribute: edit.word}) for record in records]
    )
    readable_before, readable_after = visibility(table), visibility(truth)
    before = [probe.read(source) for probe in probes]
    after = [probe.read(edited) for probe in probes]
    pixels = uint8_from_signed(edited).numpy()
    scores = []
    for i, record in enumerate(records):
        mask = edit.true_mask(record, source.shape[-1])
        mean = colours.lab_from_rgb(pixels[i][mask]).mean(0)
        others = [
            name
            for name in ATTRIBUTES
            if name != edit.attribute and readable_before[name][i] and readable_after[name][i]
        ]
        lost = tuple(
            name
            for name in others
            if any(int(b[name][i]) != int(a[name][i]) for b, a in zip(before, after, strict=True))
        )
        outside = torch.from_numpy(~mask)
        scores.append(
            EditScore(
                prompt=edit.prompt,
                avatar=i,
                success=bool(colours.in_region(mean[None], edit.word, edit.part)[0]),
                kept=1.0 - len(lost) / max(1, len(others)),
                lost=lost,
                psnr_outside=float(
                    psnr(edited[i : i + 1, :, outside], source[i : i + 1, :, outside])
                ),
            )
        )
    return scores


def summarise(scores: Sequence[EditScore]) -> dict[str, float]:
    """Means over scores: success, preservation, exact rate, PSNR outside the mask."""
    measures: dict[str, Callable[[EditScore], float]] = {
        "success": lambda s: s.success,
        "preservation": lambda s: s.kept,
        "exact": lambda s: s.exact,
        "psnr_outside": lambda s: s.psnr_outside,
    }
    return {name: float(np.mean([f(s) for s in scores])) for name, f in measures.items()}
