"""The texts that an open mapper learns from: what the aspects of a pack can say, in many wordings.

A *claim* is one value of one aspect, such as green of the hair. Texts make one claim or two, each
of another aspect. Claims can be left out, alone or only together, so that what a mapper makes of
them shows what it makes of texts that it never learned.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from cfclip.errors import InputError, shown

Claim = tuple[str, str]
"""An aspect and the text that names its value."""

_TOGETHER = " + "


@dataclass(frozen=True)
class LeftOut:
    """Claims that no text of a training makes."""

    alone: frozenset[Claim] = frozenset()
    together: frozenset[frozenset[Claim]] = frozenset()
    """Each of which may be made, but not both in one text."""

    def holds(self, claims: Iterable[Claim]) -> bool:
        """Whether a text with these claims is left out."""
        made = frozenset(claims)
        return bool(self.alone & made) or any(each <= made for each in self.together)


@dataclass(frozen=True)
class OpenText:
    """A text to learn."""

    claims: tuple[Claim, ...]
    """One, or two of different aspects."""
    prompt: str
    """Their texts, joined."""
    wordings: tuple[str, ...] = field(repr=False)
    """Ways to say it, the prompt first."""


def parse_left_out(lines: Iterable[str], aspects: Mapping[str, Sequence[str]]) -> LeftOut:
    """What a file of texts leaves out: a value of an aspect in a line, or two joined by " + ".

    >>> aspects = {"hair": ("red hair", "green hair"), "skin": ("green skin",)}
    >>> found = parse_left_out(["green hair", "", "red hair + green skin"], aspects)
    >>> sorted(found.alone), len(found.together)
    ([('hair', 'green hair')], 1)

    Raises:
        InputError: a text that names no value.
    """
    values = {text: (aspect, text) for aspect, texts in aspects.items() for text in texts}
    alone, together = set(), set()
    for line in filter(None, map(str.strip, lines)):
        claims = []
        for text in line.split(_TOGETHER):
            if text not in values:
                raise InputError(
                    f"{shown(text)} is to be left out, but is no value of an aspect of the pack; "
                    "leave out texts that its [aspects] list"
                )
            claims.append(values[text])
        if len(claims) == 1:
            alone.update(claims)
        else:
            together.add(frozenset(claims))
    return LeftOut(frozenset(alone), frozenset(together))


def open_texts(
    aspects: Mapping[str, Sequence[str]],
    source_text: str,
    templates: Sequence[str],
    left_out: LeftOut | None = None,
    pairs: int = 0,
    seed: int = 0,
) -> tuple[OpenText, ...]:
    """All claims of a pack, and pairs of them drawn at random.

    Args:
        aspects: of the pack.
        source_text: what any of its pictures shows.
        templates: each with one `{}`.
        left_out: claims that no text makes.
        pairs: how many pairs, of those that there are.
        seed: decides which.

    Raises:
        InputError: no claims.
    """
    left_out = left_out or LeftOut()
    claims = [(aspect, text) for aspect, texts in aspects.items() for text in texts]
    sets: list[tuple[Claim, ...]] = [(each,) for each in claims if not left_out.holds([each])]
    if not sets:
        raise InputError(
            "there is nothing to learn: the pack has no aspects, or all of them are left out; "
            "list them in pack.toml, [aspects]"
        )
    both = [
        (one, other)
        for (one,), (other,) in combinations(sets, 2)
        if one[0] != other[0] and not left_out.holds([one, other])
    ]
    random.Random(seed).shuffle(both)
    return tuple(_worded(each, source_text, templates) for each in [*sets, *both[:pairs]])


def _worded(claims: tuple[Claim, ...], source_text: str, templates: Sequence[str]) -> OpenText:
    prompt = " and ".join(text for _, text in claims)
    whole = f"{source_text} with {prompt}"
    wordings = (prompt, *(template.format(whole) for template in templates))
    return OpenText(claims, prompt, tuple(dict.fromkeys(wordings)))
