"""The ruler: edits measured against the truth, the avatar with only the named attributes changed.

A shape succeeds if both probes read one that the word is true of, a colour if people would call it
by the word. What else there is has to be as in the inverted source, or as in the avatar itself
where inversion lost it. Shapes are read by both probes, colours without any network. Nothing here
feeds back into an edit. `cfclip bench-ruler` tests it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import torch
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
from cfclip_benchmark.avatars.avatar_edits import AvatarEdit
from cfclip_benchmark.avatars.flat_colours import (
    FlatColours,
    read_colours,
    record_lab,
    seen_differences,
    spotted_parts,
)
from cfclip_benchmark.avatars.language import SHAPE_WORDS
from cfclip_benchmark.avatars.readings import colour_masks
from cfclip_benchmark.avatars.renderer import visibility

RULER_VERSION = 2
"""Version of the ruler, which stands in every row that it has read."""
_SHAPE_MARGIN = log(1.2)
"""By how much, in the mean over the probes of the logarithm of probabilities, another shape has to
be likelier than the kept one: a reading at the border of two is no loss."""


@dataclass(frozen=True)
class EditScore:
    """What happened to one avatar under one prompt."""

    prompt: str
    avatar: int
    success: bool | None
    """Every word came true: people would call the part's colour by it (`colours.is_called`), both
    probes read a shape that the word is true of. None where a named shape cannot be read off the
    true answers, or a named colour has no pixel: whatever the edit did, nobody could tell."""
    kept: float
    """Share of the other readable attributes that are as in the inverted source, or in the avatar
    itself: a shape unless the probes read another, a colour unless half of the people see that it
    is another, in the whole (`flat_colours.seen_differences`) or a spot (`spotted_parts`)."""
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
        source, edited: image tensors `(batch, 3, side, side)`: the inversions and their edits. An
            inversion of which all are edits may stand once, and is looked at once.
        probes: what reads shapes.
    """
    truths = {record: _Truth.of(edit, record, source.shape[-1]) for record in set(records)}
    before = _look(source, [[record] for record in records[: len(source)]], probes)
    if len(source) == 1:
        before *= len(records)
        source = source.expand_as(edited)
    shapes = [[*truths[record].answers, record] for record in records]
    after = _look(edited, shapes, probes)
    scores = []
    for i, record in enumerate(records):
        truth = truths[record]
        lost = _lost(truth, record, before[i], after[i])
        outside = truth.outside
        scores.append(
            EditScore(
                prompt=edit.prompt,
                avatar=i,
                success=_came_true(edit, truth, after[i]),
                kept=1.0 - len(lost) / max(1, len(truth.others)),
                lost=lost,
                psnr_outside=float(
                    psnr(edited[i : i + 1, :, outside], source[i : i + 1, :, outside])
                ),
            )
        )
    return scores


def counted_attributes(edit: AvatarEdit, record: AvatarRecord) -> frozenset[str]:
    """The attributes that an edit of an avatar is to keep: those that it does not name, and that
    can be read off the avatar and off every true answer."""
    return (readable_attributes(edit.true_answers(record)) & readable_attributes([record])) - set(
        edit.words
    )


def read_shapes(images: Tensor, probes: Sequence[Probe]) -> list[dict[str, str]]:
    """By image, attribute -> the shape that the probes together read."""
    return _likeliest(_together([probe.log_shares(images) for probe in probes]))


def _together(shares: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Attribute -> `(batch, classes)`: the mean of what `Probe.log_shares` gives for shapes."""
    return {name: torch.stack([each[name] for each in shares]).mean(0) for name in SHAPES}


def _likeliest(means: Mapping[str, Tensor]) -> list[dict[str, str]]:
    """By image, attribute -> the likeliest shape."""
    read = {name: mean.argmax(1).tolist() for name, mean in means.items()}
    rows = range(len(next(iter(means.values()))))
    return [{name: SHAPES[name][places[row]] for name, places in read.items()} for row in rows]


@dataclass(frozen=True)
class _Sight:
    """What is seen in a picture."""

    shapes: Mapping[str, Tensor]
    """Attribute -> (classes,): the mean over the probes of the logarithm of probabilities."""
    readings: Sequence[Mapping[str, int]]
    """By probe, attribute -> the likeliest class."""
    colours: FlatColours

    def likeliest(self, name: str) -> int:
        """The class that both probes together read."""
        return int(self.shapes[name].argmax())


def _look(
    images: Tensor, shapes: Sequence[Sequence[AvatarRecord]], probes: Sequence[Probe]
) -> list[_Sight]:
    """What is seen in each picture, whose colours are read in those of its records' shapes, or of
    the shapes that the probes read, that explain it best."""
    shares = [probe.log_shares(images) for probe in probes]
    means = _together(shares)
    read = _likeliest(means)
    return [
        _Sight(
            {name: mean[i] for name, mean in means.items()},
            [{name: int(each[name][i].argmax()) for name in SHAPES} for each in shares],
            read_colours(pixels, [*shapes[i], changed(shapes[i][0], **read[i])]),
        )
        for i, pixels in enumerate(uint8_from_signed(images).numpy())
    ]


@dataclass(frozen=True)
class _Truth:
    """What an edit makes of an avatar if all goes well: the same for every picture of it."""

    answers: Sequence[AvatarRecord]
    """The true answers, the typical one first."""
    readable: frozenset[str]
    """The attributes that can be read off every true answer."""
    others: frozenset[str]
    """Those of them that the prompt does not name, and that can be read off the avatar too."""
    outside: Tensor
    """(side, side) bool: what no true answer changes."""
    shown: frozenset[str]
    """The colours that have a pixel of their own in the typical answer."""

    @classmethod
    def of(cls, edit: AvatarEdit, record: AvatarRecord, side: int) -> "_Truth":
        answers = edit.true_answers(record)
        outside = torch.from_numpy(~edit.true_mask(record, side))
        masks = colour_masks(answers[0], side)
        shown = frozenset(name for name, mask in masks.items() if mask.any())
        others = counted_attributes(edit, record)
        return cls(answers, readable_attributes(answers), others, outside, shown)


def readable_attributes(records: Sequence[AvatarRecord]) -> frozenset[str]:
    """The attributes that can be read off every one of some avatars."""
    seen = visibility(AttributeTable.from_records(records))
    return frozenset(name for name in ATTRIBUTES if seen[name].all())


def _lost(truth: _Truth, record: AvatarRecord, before: _Sight, after: _Sight) -> tuple[str, ...]:
    """The attributes that are neither as in the inverted source nor as in the avatar."""
    lab, sides = after.colours.lab, after.colours.sides
    from_source = seen_differences(lab, before.colours.lab, sides)
    from_avatar = seen_differences(lab, record_lab(record), sides)
    spotted = spotted_parts(before.colours, after.colours, record_lab(record))
    seen = dict(zip(COLOURS, (from_source.clip(max=from_avatar) > 1.0) | spotted, strict=True))
    lost = set()
    for name in truth.others:
        if name in COLOURS:
            if seen[name]:
                lost.add(name)
            continue
        likely = after.shapes[name].clone()
        kept = [before.likeliest(name), SHAPES[name].index(getattr(record, name))]
        own = likely[kept].max()
        likely[kept] = -torch.inf
        if likely.max() - own > _SHAPE_MARGIN:
            lost.add(name)
    return tuple(name for name in ATTRIBUTES if name in lost)


def _came_true(edit: AvatarEdit, truth: _Truth, sight: _Sight) -> bool | None:
    """Whether every word of `edit` came true, see `EditScore.success`."""
    lab = dict(zip(COLOURS, sight.colours.lab, strict=True))
    outcomes = []
    for name, word in edit.words.items():
        if name not in (truth.shown if name in COLOURS else truth.readable):
            return None
        if name in COLOURS:
            outcomes.append(bool(colours.is_called(lab[name], word, COLOURS[name])[0]))
        else:
            true = SHAPE_WORDS[name][word].true
            outcomes.append(all(SHAPES[name][each[name]] in true for each in sight.readings))
    return all(outcomes)
