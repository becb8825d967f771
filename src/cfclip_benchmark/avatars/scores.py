"""Edits measured against the truth: the rendered avatar with only the named attributes changed.

A word may be true of several shapes, "a beard" of a full and of a long one, so a prompt may have
several true answers. None is preferred: a shape succeeds if both probes read one that the word is
true of, and what counts as outside is what no true answer changes. Colours are read without any
network, as the mean Lab colour inside the true mask; preservation is read by both probes, against
the inverted source. Nothing here feeds back into an edit.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cfclip.tensors import psnr, uint8_from_signed
from cfclip_benchmark import Probe
from cfclip_benchmark.avatars import colours
from cfclip_benchmark.avatars.attributes import (
    ATTRIBUTES,
    COLOURS,
    SHAPES,
    AttributeTable,
    AvatarRecord,
    changed,
)
from cfclip_benchmark.avatars.language import SHAPE_WORDS
from cfclip_benchmark.avatars.readings import colour_masks
from cfclip_benchmark.avatars.renderer import render, visibility

Family = Literal["hair", "skin", "brow", "lip", "excluded", "reworded", "pair", "control"]
COLOUR_FAMILIES: tuple[Family, ...] = ("hair", "skin", "brow", "lip")
# Of 255, in any channel: up to this it is the faint edge of a shape, which nobody sees.
_SAME_PIXEL = 2


@dataclass(frozen=True)
class AvatarEdit:
    """One prompt of the benchmark and what it says of the avatar."""

    family: Family
    """The part whose colour it changes, or what else is special about it: see `prompts.toml`."""
    prompt: str
    """The text given to the editor."""
    words: Mapping[str, str] = field(hash=False)
    """Attribute -> the word said of it: a colour word of its part, or a word of `SHAPE_WORDS`."""

    def true_answers(self, record: AvatarRecord) -> list[AvatarRecord]:
        """`record` with the words made true and nothing else changed, the typical answer first.

        A shape of which its word is true already stays: asked for a beard, an avatar with a long
        one keeps it. A shape that leaves the word undecided is changed.

        Raises:
            KeyError: an unknown attribute or word.
        """
        values = [_true_values(record, name, word) for name, word in self.words.items()]
        return [
            changed(record, **dict(zip(self.words, chosen, strict=True)))
            for chosen in product(*values)
        ]

    def true_mask(self, record: AvatarRecord, resolution: int) -> NDArray[np.bool_]:
        """(resolution, resolution): every pixel that a true answer changes.

        The pixels in which the rendering of any true answer visibly differs from that of `record`,
        the edges of a recoloured part among them, and all pixels that show a named colour.
        """
        answers = self.true_answers(record)
        mask = np.zeros((resolution, resolution), dtype=np.bool_)
        for name in self.words:
            if name in COLOURS:
                mask |= colour_masks(answers[0], resolution)[name]
        before = render(record, resolution).astype(np.int16)
        for answer in answers:
            difference = np.abs(render(answer, resolution) - before)
            mask |= (difference > _SAME_PIXEL).any(axis=-1)
        return mask


def _true_values(record: AvatarRecord, attribute: str, word: str) -> tuple[str, ...]:
    """The values that make `word` true, the most typical one first."""
    if attribute in COLOURS:
        return (word,)
    true = SHAPE_WORDS[attribute][word].true
    own: str = getattr(record, attribute)
    return (own,) if own in true else true


@dataclass(frozen=True)
class EditScore:
    """What happened to one avatar under one prompt."""

    prompt: str
    avatar: int
    success: bool | None
    """Every word came true: the mean Lab colour inside the true mask lies in the word's region,
    both probes read a shape that the word is true of. None where a named shape cannot be read off
    the true answers, or a named colour has no pixel: whatever the edit did, nobody could tell."""
    kept: float
    """Share of the other readable attributes that both probes read as in the inverted source."""
    lost: tuple[str, ...]
    """The attributes that were not kept."""
    psnr_outside: float
    """Decibels against the inverted source outside the true mask."""

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> "EditScore":
        """What `asdict` made of a score, after it was written as JSON."""
        return cls(**{**row, "lost": tuple(row["lost"])})

    @property
    def exact(self) -> bool | None:
        """Succeeded, with every other attribute kept; None where `success` is."""
        return None if self.success is None else self.success and not self.lost


def score_edits(
    edit: AvatarEdit,
    records: Sequence[AvatarRecord],
    source: Tensor,
    edited: Tensor,
    probes: Sequence[Probe],
) -> list[EditScore]:
    """Score a batch of edited avatars.

    Args:
        edit: what was asked for.
        records: the avatars' true attributes. One may stand there several times, with several
            pictures of it, which costs little more than once.
        source, edited: image tensors `(batch, 3, side, side)`: the inversions and their edits.
        probes: the probes that must agree.
    """
    before = [probe.read(source) for probe in probes]
    after = [probe.read(edited) for probe in probes]
    pixels = uint8_from_signed(edited).numpy()
    truths = {record: _Truth.of(edit, record, source.shape[-1]) for record in set(records)}
    scores = []
    for i, record in enumerate(records):
        truth = truths[record]
        lost = tuple(
            name
            for name in ATTRIBUTES
            if name in truth.others
            and any(int(b[name][i]) != int(a[name][i]) for b, a in zip(before, after, strict=True))
        )
        readings = [{name: int(values[i]) for name, values in each.items()} for each in after]
        outside = truth.outside
        scores.append(
            EditScore(
                prompt=edit.prompt,
                avatar=i,
                success=_came_true(edit, truth.answer, pixels[i], readings, truth.readable),
                kept=1.0 - len(lost) / max(1, len(truth.others)),
                lost=lost,
                psnr_outside=float(
                    psnr(edited[i : i + 1, :, outside], source[i : i + 1, :, outside])
                ),
            )
        )
    return scores


@dataclass(frozen=True)
class _Truth:
    """What an edit makes of an avatar if all goes well: the same for every picture of it."""

    answer: AvatarRecord
    """The typical true answer."""
    readable: frozenset[str]
    """The attributes that can be read off every true answer."""
    others: frozenset[str]
    """Those of them that the prompt does not name, and that can be read off the avatar too."""
    outside: Tensor
    """(side, side) bool: what no true answer changes."""

    @classmethod
    def of(cls, edit: AvatarEdit, record: AvatarRecord, side: int) -> "_Truth":
        answers = edit.true_answers(record)
        readable = _readable(answers)
        others = (readable & _readable([record])) - set(edit.words)
        outside = torch.from_numpy(~edit.true_mask(record, side))
        return cls(answers[0], readable, others, outside)


def _readable(records: Sequence[AvatarRecord]) -> frozenset[str]:
    """The attributes that can be read off every one of `records`."""
    seen = visibility(AttributeTable.from_records(records))
    return frozenset(name for name in ATTRIBUTES if seen[name].all())


def _came_true(
    edit: AvatarEdit,
    answer: AvatarRecord,
    pixels: NDArray[np.uint8],
    readings: Sequence[Mapping[str, int]],
    readable: Collection[str],
) -> bool | None:
    """Whether every word of `edit` came true, see `EditScore.success`.

    Args:
        edit: what was asked for.
        answer: the typical true answer, where colours are looked for.
        pixels: (side, side, 3), the edited avatar.
        readings: by probe, attribute -> class of the edited avatar.
        readable: the attributes that can be read off the true answers.
    """
    outcomes = []
    for name, word in edit.words.items():
        if name in COLOURS:
            mask = colour_masks(answer, len(pixels))[name]
            if not mask.any():
                return None
            mean = colours.lab_from_rgb(pixels[mask]).mean(0)
            outcomes.append(bool(colours.colour_truth(mean[None], word, COLOURS[name])[0] == 1))
        else:
            if name not in readable:
                return None
            true = SHAPE_WORDS[name][word].true
            outcomes.append(all(SHAPES[name][reading[name]] in true for reading in readings))
    return all(outcomes)
