"""Edits whose verdict is known, to test the ruler by: perfect, forged and failed ones.

They are made of renderings and of the inverted source; no method has a part in them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from cfclip.tensors import pil_from_signed, signed_from_pil
from cfclip_benchmark.avatars import colours
from cfclip_benchmark.avatars.attributes import COLOURS, SHAPES, AvatarRecord, changed
from cfclip_benchmark.avatars.cases import Case
from cfclip_benchmark.avatars.language import SHAPE_WORDS
from cfclip_benchmark.avatars.renderer import render
from cfclip_benchmark.avatars.scores import counted_attributes, readable_attributes

_SHIFT = 0.3  # pixels
_JPEG_QUALITY = 90
_NOISE_DECIBELS = 34.0
# Whose colour may be given to the wrong part.
_PARTS = ("hair_colour", "skin_colour", "brow_colour", "lip_colour", "clothes_colour")


@dataclass(frozen=True)
class Forgery:
    """A picture that no honest edit is, as the record to render."""

    kind: str
    """The attribute that is one step off, or how the edit failed."""
    record: AvatarRecord


def perfect_edit(case: Case, source: Tensor) -> Tensor:
    """The true answer's changed pixels in the inverted source, both `(1, 3, side, side)`."""
    side = source.shape[-1]
    mask = torch.from_numpy(case.edit.true_mask(case.record, side))
    return torch.where(mask, case.truths(side)[:1], source)


def perturbed(images: Tensor, seed: int) -> dict[str, Tensor]:
    """Images `(batch, 3, side, side)` as nobody would tell them from the same, by what was done.

    Shifted by 0.3 pixels along both axes, after JPEG of quality 90, with noise at 34 dB.
    """
    step = 2 * _SHIFT / images.shape[-1]
    moved = torch.tensor([[1.0, 0.0, step], [0.0, 1.0, step]]).expand(len(images), -1, -1)
    grid = affine_grid(moved, list(images.shape), align_corners=False)
    draws = torch.Generator().manual_seed(seed)
    noise = 2.0 * 10.0 ** (-_NOISE_DECIBELS / 20.0) * torch.randn(images.shape, generator=draws)
    return {
        "shifted": grid_sample(images, grid, padding_mode="border", align_corners=False),
        "JPEG": signed_from_pil(
            [_through_jpeg(image) for image in pil_from_signed(images)], images.shape[-1]
        ),
        "noise": images + noise,
    }


def _through_jpeg(image: Image.Image) -> Image.Image:
    file = BytesIO()
    image.save(file, "JPEG", quality=_JPEG_QUALITY)
    return Image.open(file).convert("RGB")


def forgeries(case: Case, shown: Mapping[str, str]) -> Iterator[Forgery]:
    """True answers with one other attribute one step off, for each that counts.

    A colour becomes the typical one of the nearest other word of its part, a shape the one that is
    least unlike it. Left out is what could not be read.

    Args:
        case: whose typical true answer is forged.
        shown: attribute -> the shape that the inverted source shows: an edit that shows it too has
            lost nothing.
    """
    answer = case.edit.true_answers(case.record)[0]
    for name in sorted(counted_attributes(case.edit, case.record)):
        step = _near_word(answer, name) if name in COLOURS else _near_shape(answer, name, shown)
        forged = changed(answer, **{name: step})
        if name in readable_attributes([forged]):
            yield Forgery(name, forged)


def unchanged_fails(case: Case) -> bool:
    """Whether an edit that changes nothing is none: not all that is asked for is there already."""
    return not all(_shows(case.record, name, word) for name, word in case.edit.words.items())


def failures(case: Case) -> Iterator[Forgery]:
    """Edits that failed: a neighbouring colour, and the colour on another part.

    The latter where the named part does not have it already.
    """
    edit, record = case.edit, case.record
    answer = edit.true_answers(record)[0]
    for name, word in edit.words.items():
        if name not in COLOURS:
            continue
        yield Forgery("a neighbouring colour", changed(answer, **{name: _near_word(answer, name)}))
        if _shows(record, name, word):
            continue
        for other in _PARTS:
            if other not in edit.words:
                wrong = {name: getattr(record, name), other: getattr(answer, name)}
                yield Forgery("the colour on another part", changed(answer, **wrong))


def _shows(record: AvatarRecord, name: str, word: str) -> bool:
    """Whether a word may be said of an avatar: it is true, or nobody can tell."""
    if name in SHAPES:
        return getattr(record, name) in SHAPE_WORDS[name][word].true
    lab = colours.lab_from_rgb([getattr(record, name)])
    return bool(colours.colour_truth(lab, word, COLOURS[name])[0] != 0)


def _near_word(record: AvatarRecord, name: str) -> str:
    """The palette word, false of a colour, whose typical colour is nearest to it."""
    part = COLOURS[name]
    lab = colours.lab_from_rgb([getattr(record, name)])
    words = colours.palette_words(part)
    false = colours.truth_table(lab, part)[0, : len(words)] == 0
    typical = colours.lab_from_rgb([colours.representative(word, part) for word in words])
    far = np.where(false, colours.delta_e(typical, lab), np.inf)
    return words[int(far.argmin())]


def _near_shape(record: AvatarRecord, name: str, shown: Mapping[str, str]) -> str:
    """The shape that changes the rendering least, and is neither the avatar's nor shown."""
    before = render(record).astype(np.int16)

    def difference(shape: str) -> int:
        return int(np.abs(render(changed(record, **{name: shape})) - before).sum())

    others = [shape for shape in SHAPES[name] if shape not in (getattr(record, name), shown[name])]
    return min(others, key=difference)
