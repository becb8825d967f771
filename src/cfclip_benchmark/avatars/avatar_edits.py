"""What a prompt says of an avatar, and the true answers to it.

A word may be true of several shapes, "a beard" of a full and of a long one, so a prompt may have
several true answers. None is preferred.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cfclip_benchmark.avatars.attributes import COLOURS, AvatarRecord, changed
from cfclip_benchmark.avatars.language import SHAPE_WORDS
from cfclip_benchmark.avatars.readings import colour_masks
from cfclip_benchmark.avatars.renderer import render

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
