"""How claims become a sentence."""

import random
from collections.abc import Sequence
from typing import Literal

from cfclip_benchmark.avatars.attributes import COLOURS
from cfclip_benchmark.avatars.language import (
    COLOUR_ADJECTIVES,
    COLOUR_PHRASES,
    FUSED,
    JUDGE_TEMPLATES,
    PLACES,
    SHAPE_WORDS,
    SPELLINGS,
    SUBJECTS,
    TEST_TEMPLATES,
    TRAINING_TEMPLATES,
    WEARING,
    Claim,
    grammatical,
)

CaptionSplit = Literal["train", "test", "judge"]

# "{}" comes on top of those of training; a test takes only what training never saw.
TEMPLATES: dict[CaptionSplit, tuple[str, ...]] = {
    "train": TRAINING_TEMPLATES,
    "test": TEST_TEMPLATES,
    "judge": JUDGE_TEMPLATES,
}
_BARE_SHARE = 0.4  # of captions without a subject: "green hair and a beard"
_FUSE_SHARE = 0.6  # of colours said together with the shape: "a red dress"
_ADJECTIVE_SHARE = 0.3
_PLAIN_SHARE = 0.4  # of captions in the template "{}"


def _phrase(claim: Claim, colour: str, rng: random.Random) -> str:
    if claim.attribute in COLOURS:
        return rng.choice(COLOUR_PHRASES[claim.attribute]).format(c=colour)
    phrases = SHAPE_WORDS[claim.attribute][claim.word].phrases
    if colour:
        phrases = tuple(p for p in phrases if "{c}" in p)
    return rng.choice(phrases).format(c=colour)


def _adjectives(claim: Claim, colour: str) -> tuple[str, ...]:
    if claim.attribute in COLOURS:
        return tuple(a.format(c=colour) for a in COLOUR_ADJECTIVES.get(claim.attribute, ()))
    return SHAPE_WORDS[claim.attribute][claim.word].adjectives


def _listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(items[:-1]), items[-1])))


def say(claims: Sequence[Claim], rng: random.Random, split: CaptionSplit = "train") -> str:
    """One wording of some claims, in their order; the same state of `rng`, the same wording.

    No claims gives a text that is true of every avatar.
    """
    plain = rng.random() < _PLAIN_SHARE and split != "test"
    template = "{}" if plain else rng.choice(TEMPLATES[split])
    bare, fuse, adjective = rng.random(), rng.random(), rng.random()
    subject = rng.choice(SUBJECTS)
    if not claims:
        return grammatical(template.format(f"a {subject}"))
    spoken = {c: rng.choice(SPELLINGS.get(c.word, (c.word,))) for c in claims}
    by_attribute = {c.attribute: c for c in claims}
    fused: dict[Claim, Claim] = {}
    for claim in claims:
        partner = by_attribute.get(FUSED.get(claim.attribute, ""))
        takes = claim.attribute in FUSED and any(
            "{c}" in p for p in SHAPE_WORDS[claim.attribute][claim.word].phrases
        )
        if partner and takes and partner not in fused.values() and fuse < _FUSE_SHARE:
            fused[claim] = partner
    left = [c for c in claims if c not in fused.values()]
    before: list[str] = []
    kinds: dict[str, list[str]] = {"with": [], "wearing": [], "place": []}
    items: list[str] = []
    for claim in left:
        colour = spoken[fused[claim]] if claim in fused else ""
        if claim.attribute in COLOURS:
            colour = spoken[claim]
        forms = _adjectives(claim, colour)
        if bare >= _BARE_SHARE and forms and claim not in fused and adjective < _ADJECTIVE_SHARE:
            before.append(rng.choice(forms))
            continue
        phrase = _phrase(claim, colour, rng)
        items.append(phrase)
        kind = {"clothes": "wearing", "clothes_colour": "wearing", "background_colour": "place"}
        kinds[kind.get(claim.attribute, "with")].append(phrase)
    if bare < _BARE_SHARE:
        return grammatical(template.format(_listed(items)))
    text = " ".join(["a", *before, subject])
    for group, words in (("with", ()), ("wearing", WEARING), ("place", PLACES)):
        if kinds[group]:
            text += f" {rng.choice(words) if words else group} {_listed(kinds[group])}"
    return grammatical(template.format(text))
