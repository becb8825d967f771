"""The words of the pack: claims about avatars, the phrases that make them, the templates.

A claim is an (attribute, word) pair such as `("lip_colour", "green")` or `("mouth", "smile")`. A
shape word lists the shapes it is true of and those it leaves undecided; a colour word is decided
by its region of Lab.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from cfclip_benchmark.avatars.attributes import ATTRIBUTES, COLOURS, SHAPES
from cfclip_benchmark.avatars.colours import colour_words, palette_words


class Claim(NamedTuple):
    """One thing said of an avatar."""

    attribute: str
    word: str


@dataclass(frozen=True)
class ShapeWord:
    """What a shape word means and how it is said.

    Attributes:
        true: shapes that it is true of.
        unsure: shapes that leave it undecided; it is false of all others.
        phrases: noun phrases; `{c}` marks where a colour of the same part may stand.
        adjectives: what may stand before the noun, if anything.
    """

    true: tuple[str, ...]
    phrases: tuple[str, ...]
    unsure: tuple[str, ...] = ()
    adjectives: tuple[str, ...] = ()


SHAPE_WORDS: dict[str, dict[str, ShapeWord]] = {
    "hair": {
        "bun": ShapeWord(("bun",), ("a {c} bun", "{c} hair in a bun", "{c} hair tied in a bun")),
        "side-combed": ShapeWord(
            ("side_combed",), ("side-combed {c} hair", "{c} hair combed to the side")
        ),
        "spiky": ShapeWord(
            ("spiky",), ("spiky {c} hair", "{c} hair in spikes"), adjectives=("spiky-haired",)
        ),
        "undercut": ShapeWord(
            ("undercut",),
            ("a {c} undercut", "{c} hair in an undercut", "{c} hair with shaved sides"),
        ),
    },
    "rear_hair": {
        "short": ShapeWord(("none",), ("short {c} hair", "no hair at the back")),
        "long": ShapeWord(
            ("long_straight", "long_wavy"),
            ("long {c} hair",),
            unsure=("shoulder_high",),
            adjectives=("long-haired",),
        ),
        "long straight": ShapeWord(
            ("long_straight",), ("long straight {c} hair", "long straight hair at the back")
        ),
        "long wavy": ShapeWord(
            ("long_wavy",), ("long wavy {c} hair", "long wavy hair at the back")
        ),
        "neck-length": ShapeWord(("neck_high",), ("neck-length {c} hair", "a {c} bob")),
        "shoulder-length": ShapeWord(
            ("shoulder_high",), ("shoulder-length {c} hair", "{c} hair down to the shoulders")
        ),
    },
    "beard": {
        "none": ShapeWord(
            ("none",), ("no beard", "a shaved chin", "a bare chin"), adjectives=("clean-shaven",)
        ),
        "beard": ShapeWord(
            ("full", "long"),
            ("a beard",),
            unsure=("chin", "chin_moustache"),
            adjectives=("bearded",),
        ),
        "goatee": ShapeWord(("chin",), ("a goatee", "a chin beard"), unsure=("chin_moustache",)),
        "goatee and moustache": ShapeWord(
            ("chin_moustache",), ("a goatee with a moustache", "a moustache over a goatee")
        ),
        "full beard": ShapeWord(
            ("full",), ("a full beard", "a short full beard"), unsure=("long",)
        ),
        "long beard": ShapeWord(("long",), ("a long beard", "a big beard")),
        "moustache": ShapeWord(
            ("moustache_twirl", "chin_moustache"), ("a moustache",), unsure=("full", "long")
        ),
        "twirled moustache": ShapeWord(
            ("moustache_twirl",), ("a twirled moustache", "a moustache without a beard")
        ),
    },
    "brows": {
        "angry": ShapeWord(("angry",), ("angry {c} eyebrows", "angry {c} brows")),
        "high": ShapeWord(("happy",), ("high {c} eyebrows", "happy {c} eyebrows")),
        "straight": ShapeWord(("neutral",), ("straight {c} eyebrows", "relaxed {c} eyebrows")),
        "one raised": ShapeWord(
            ("raised",), ("one raised eyebrow", "uneven {c} eyebrows"), unsure=("neutral",)
        ),
        "sad": ShapeWord(("sad",), ("sad {c} eyebrows", "worried {c} eyebrows")),
    },
    "eyes": {
        "closed": ShapeWord(("bow", "humble"), ("closed eyes", "shut eyes")),
        "smiling": ShapeWord(("bow",), ("smiling eyes", "happily closed eyes")),
        "lowered": ShapeWord(("humble",), ("lowered eyes", "sleeping eyes")),
        "open": ShapeWord(("happy", "wide"), ("open eyes",), unsure=("wink",)),
        "calm": ShapeWord(("happy",), ("calm open eyes", "friendly open eyes")),
        "wide": ShapeWord(("wide",), ("wide eyes", "wide open eyes")),
        "wink": ShapeWord(("wink",), ("a wink", "one closed eye"), adjectives=("winking",)),
    },
    "mouth": {
        "smile": ShapeWord(
            ("smile",),
            ("a smile", "a closed smile", "a smiling mouth"),
            unsure=("laugh",),
            adjectives=("smiling",),
        ),
        "laugh": ShapeWord(
            ("laugh",),
            ("a laugh", "a laughing mouth", "a big smile", "a big laugh"),
            adjectives=("laughing",),
        ),
        "open": ShapeWord(("agape",), ("an open mouth",), unsure=("laugh", "angry")),
        "round": ShapeWord(
            ("agape",),
            ("a round open mouth", "a surprised mouth", "a gaping mouth"),
            adjectives=("surprised",),
        ),
        "sad": ShapeWord(("sad",), ("a sad mouth", "a sad closed mouth"), unsure=("angry",)),
        "angry": ShapeWord(
            ("angry",), ("an angry mouth", "bared teeth", "an angry mouth with teeth")
        ),
    },
    "clothes": {
        "dress": ShapeWord(("dress",), ("a {c} dress", "a {c} sleeveless dress")),
        "jacket": ShapeWord(("open_jacket",), ("a {c} jacket", "an open {c} jacket")),
        "shirt": ShapeWord(
            ("shirt",), ("a {c} shirt", "a {c} shirt with a collar"), unsure=("t_shirt",)
        ),
        "t-shirt": ShapeWord(("t_shirt",), ("a {c} t-shirt", "a {c} t-shirt with a round neck")),
        "turtleneck": ShapeWord(("turtle_neck",), ("a {c} turtleneck", "a {c} turtleneck sweater")),
    },
}

COLOUR_PHRASES: dict[str, tuple[str, ...]] = {
    "hair_colour": ("{c} hair", "{c} coloured hair", "hair that is {c}"),
    "brow_colour": ("{c} eyebrows", "{c} brows", "eyebrows that are {c}"),
    "lip_colour": ("{c} lips", "{c} lipstick", "lips that are {c}"),
    "skin_colour": ("{c} skin", "a {c} face", "skin that is {c}"),
    "clothes_colour": ("{c} clothes", "a {c} outfit", "clothes that are {c}"),
    "background_colour": ("a {c} background", "a {c} backdrop", "a background that is {c}"),
}
COLOUR_ADJECTIVES: dict[str, tuple[str, ...]] = {
    "hair_colour": ("{c}-haired",),
    "skin_colour": ("{c}-skinned",),
}
# Shape attributes whose phrases may take in the colour, and that colour.
FUSED: dict[str, str] = {
    "hair": "hair_colour",
    "rear_hair": "hair_colour",
    "brows": "brow_colour",
    "clothes": "clothes_colour",
}
SPELLINGS: dict[str, tuple[str, ...]] = {"grey": ("grey", "gray"), "blond": ("blond", "blonde")}

SUBJECTS: tuple[str, ...] = ("person", "avatar", "character", "face")
SOURCE_TEXT = "a person"
UNREALISTIC_TEXT = "a broken picture"
WEARING: tuple[str, ...] = ("wearing", "in", "dressed in")
PLACES: tuple[str, ...] = ("on", "in front of", "against")

# Every template takes a noun phrase, so that it reads with "a person" as well as "green hair".
EDIT_TEMPLATES: tuple[str, ...] = (
    "{}",
    "a picture of {}",
    "an image of {}",
    "a drawing of {}",
    "a cartoon of {}",
    "an illustration of {}",
    "a portrait of {}",
    "a rendering of {}",
    "a sketch of {}",
    "an avatar picture of {}",
    "a profile picture of {}",
    "a picture showing {}",
    "a drawing showing {}",
    "an illustration showing {}",
)
TRAINING_TEMPLATES: tuple[str, ...] = (*EDIT_TEMPLATES, "this is {}", "here we see {}")
# Known words, put together as training never does.
TEST_TEMPLATES: tuple[str, ...] = (
    "a cartoon picture of {}",
    "a profile image showing {}",
    "here is a drawing of {}",
    "a portrait showing {}",
    "this is an illustration of {}",
    "a sketch showing {}",
)
# Those of the second CLIP, which judges; none is in the other two.
JUDGE_TEMPLATES: tuple[str, ...] = (
    "an image showing {}",
    "we see {}",
    "here is {}",
    "a cartoon showing {}",
    "a sketch picture of {}",
    "a portrait picture of {}",
    "this is a picture of {}",
    "a character picture of {}",
)


@lru_cache(maxsize=1)
def all_claims() -> tuple[Claim, ...]:
    """Every claim that a caption can make, those of one attribute side by side."""
    words = {**SHAPE_WORDS, **{name: colour_words(part) for name, part in COLOURS.items()}}
    return tuple(Claim(name, word) for name in ATTRIBUTES for word in words[name])


_HELD_OUT_ATTRIBUTES = (
    frozenset({"hair_colour", "skin_colour"}),
    frozenset({"lip_colour", "brow_colour"}),
)
_HELD_OUT_EVERY = 6


def is_held_out(first: Claim, second: Claim) -> bool:
    """Whether training never says these two together: a sixth of the colour pairs of hair with
    skin and of lips with brows, kept for evaluation. Symmetric."""
    if frozenset({first.attribute, second.attribute}) not in _HELD_OUT_ATTRIBUTES:
        return False
    places = [colour_words(COLOURS[c.attribute]).index(c.word) for c in (first, second)]
    return sum(places) % _HELD_OUT_EVERY == 0


def grammatical(text: str) -> str:
    """Single spaces, and `an` before a vowel."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"\b(an?) (?=[aeiou])", "an ", text)
    return re.sub(r"\ban (?=[^aeiou])", "a ", text)


def class_prompts(
    attribute: str, templates: tuple[str, ...] = EDIT_TEMPLATES
) -> dict[str, list[str]]:
    """For every class of an attribute, its phrase in each of the templates: zero-shot texts.

    A shape's phrase is that of the word which is true of it alone.
    """
    if attribute in COLOURS:
        pattern = COLOUR_PHRASES[attribute][0]
        phrases = {word: pattern.format(c=word) for word in palette_words(COLOURS[attribute])}
    else:
        words = SHAPE_WORDS[attribute].values()
        phrases = {}
        for value in SHAPES[attribute]:
            alone = [word for word in words if word.true == (value,)]
            phrases[value] = min(alone, key=lambda word: len(word.unsure)).phrases[0].format(c="")
    return {
        value: [grammatical(template.format(phrase)) for template in templates]
        for value, phrase in phrases.items()
    }


def aspects() -> dict[str, tuple[str, ...]]:
    """Attribute -> the bare phrase of each of its classes: the aspects of the pack."""
    return {
        name: tuple(phrase for (phrase,) in class_prompts(name, ("{}",)).values())
        for name in ATTRIBUTES
    }


@lru_cache(maxsize=1)
def vocabulary() -> tuple[str, ...]:
    """All words that captions and the pack's own texts can contain, sorted."""
    texts = [*SUBJECTS, *WEARING, *PLACES, *TRAINING_TEMPLATES, *TEST_TEMPLATES, *JUDGE_TEMPLATES]
    texts += [SOURCE_TEXT, UNREALISTIC_TEXT, "a an with and who has"]
    for words in SHAPE_WORDS.values():
        for word in words.values():
            texts += [*word.phrases, *word.adjectives]
    for group in (COLOUR_PHRASES, COLOUR_ADJECTIVES, SPELLINGS):
        texts += chain.from_iterable(group.values())
    texts += chain.from_iterable(map(colour_words, COLOURS.values()))
    return tuple(sorted({w for t in texts for w in re.findall("[a-z]+", t.replace("{c}", ""))}))
