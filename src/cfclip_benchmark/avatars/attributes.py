"""What an avatar is made of: shapes and colours, one record or a table of many.

Two distributions over the attributes:

- `natural`: natural colours on hair, brows, lips and skin, each drawn on its own; no beard with a
  dress or with long rear hair; clothes and background of every colour.
- `open`: every attribute independent and uniform over its values, unnatural colours included.
"""

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cfclip_benchmark.avatars import colours
from cfclip_benchmark.avatars.palettes import NATURAL_WORDS

RGB = tuple[int, int, int]
Distribution = Literal["natural", "open"]
DISTRIBUTIONS: tuple[Distribution, ...] = ("natural", "open")

# One seed per split; an evaluation never draws from the training seeds.
TRAIN_SEED, VALIDATION_SEED, TEST_SEED = 101, 202, 303

SHAPES: dict[str, tuple[str, ...]] = {
    "hair": ("bun", "side_combed", "spiky", "undercut"),
    "rear_hair": ("none", "long_straight", "long_wavy", "neck_high", "shoulder_high"),
    "beard": ("none", "chin", "chin_moustache", "full", "long", "moustache_twirl"),
    "brows": ("angry", "happy", "neutral", "raised", "sad"),
    "eyes": ("bow", "happy", "humble", "wide", "wink"),
    "mouth": ("agape", "angry", "laugh", "sad", "smile"),
    "clothes": ("dress", "open_jacket", "shirt", "t_shirt", "turtle_neck"),
}
# Colour attribute -> the part whose words name it (`colours.PARTS`).
COLOURS: dict[str, str] = {
    "hair_colour": "hair",
    "brow_colour": "brow",
    "lip_colour": "lip",
    "skin_colour": "skin",
    "clothes_colour": "clothes",
    "background_colour": "background",
}
ATTRIBUTES: tuple[str, ...] = (*SHAPES, *COLOURS)

LONG_REAR_HAIR = ("long_straight", "long_wavy")
# In the open distribution this share of colours is drawn from a common name's region, so that
# narrow names (navy, mint) are seen often enough to be learnt.
COMMON_NAME_SHARE = 0.3
NATURAL_BARE_SHARE = 0.5  # natural avatars without a beard, and without rear hair


@dataclass(frozen=True)
class AvatarRecord:
    """One avatar. Shapes are values of `SHAPES`; colours are sRGB triples in 0..255."""

    hair: str
    rear_hair: str
    beard: str
    brows: str
    eyes: str
    mouth: str
    clothes: str
    hair_colour: RGB
    brow_colour: RGB
    lip_colour: RGB
    skin_colour: RGB
    clothes_colour: RGB
    background_colour: RGB

    def __post_init__(self) -> None:
        for name, values in SHAPES.items():
            if getattr(self, name) not in values:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is not a shape; take one of {values}"
                )


def changed(record: AvatarRecord, **attributes: str | RGB) -> AvatarRecord:
    """The true counterfactual: `record` with only the named attributes changed.

    Args:
        record: the source.
        attributes: a shape's value, or for a colour an RGB triple or a colour word, which
            stands for the most typical colour of its region.

    Raises:
        KeyError: unknown attribute or colour word.
        ValueError: a value that is not a shape of that attribute.
    """
    values: dict[str, str | RGB] = {}
    for name, value in attributes.items():
        if name not in ATTRIBUTES:
            raise KeyError(f"unknown attribute {name!r}; known: {', '.join(ATTRIBUTES)}")
        if name in COLOURS and isinstance(value, str):
            value = colours.representative(value, COLOURS[name])
        values[name] = value
    return replace(record, **values)  # type: ignore[arg-type]


def classes(attribute: str) -> tuple[str, ...]:
    """The classes of an attribute: a shape's values, or a colour's palette words."""
    return SHAPES[attribute] if attribute in SHAPES else colours.palette_words(COLOURS[attribute])


@dataclass(frozen=True)
class AttributeTable:
    """N avatars by column.

    Attributes:
        codes: shape attribute -> (N,) int16 index into `SHAPES[attribute]`.
        rgb: colour attribute -> (N, 3) uint8.
        classes: colour attribute -> (N,) int16 index into `classes(attribute)`, -1 ambiguous.
    """

    codes: Mapping[str, NDArray[np.int16]]
    rgb: Mapping[str, NDArray[np.uint8]]
    classes: Mapping[str, NDArray[np.int16]]

    def __len__(self) -> int:
        return len(next(iter(self.codes.values())))

    def record(self, index: int) -> AvatarRecord:
        """Row `index` as a record."""
        shapes = {name: SHAPES[name][int(self.codes[name][index])] for name in SHAPES}
        rgb = {name: tuple(int(v) for v in self.rgb[name][index]) for name in COLOURS}
        return AvatarRecord(**shapes, **rgb)  # type: ignore[arg-type]

    def take(self, indices: NDArray[np.integer] | slice) -> "AttributeTable":
        """The rows at `indices`, in that order."""
        return AttributeTable(
            codes={name: column[indices] for name, column in self.codes.items()},
            rgb={name: column[indices] for name, column in self.rgb.items()},
            classes={name: column[indices] for name, column in self.classes.items()},
        )

    def labels(self, attribute: str) -> NDArray[np.int16]:
        """(N,) class index into `classes(attribute)`; -1 where a colour is ambiguous."""
        return self.codes[attribute] if attribute in SHAPES else self.classes[attribute]

    @staticmethod
    def of(
        codes: Mapping[str, NDArray[np.integer]], rgb: Mapping[str, NDArray[np.uint8]]
    ) -> "AttributeTable":
        """A table from shape codes and colours; the colours' classes are read off."""
        return AttributeTable(
            codes={name: np.asarray(codes[name], dtype=np.int16) for name in SHAPES},
            rgb={name: np.asarray(rgb[name], dtype=np.uint8) for name in COLOURS},
            classes={
                name: colours.class_codes(colours.lab_from_rgb(rgb[name]), part)
                for name, part in COLOURS.items()
            },
        )

    @staticmethod
    def from_records(records: Iterable[AvatarRecord]) -> "AttributeTable":
        """A table whose row i is the i-th record."""
        columns = list(zip(*(astuple(record) for record in records), strict=True))
        named = dict(zip((f.name for f in fields(AvatarRecord)), columns, strict=True))
        return AttributeTable.of(
            {n: np.array([SHAPES[n].index(v) for v in named[n]]) for n in SHAPES},
            {n: np.array(named[n], dtype=np.uint8).reshape(-1, 3) for n in COLOURS},
        )


def _colour_column(
    n: int,
    part: str,
    words: tuple[str, ...],
    rng: np.random.Generator,
    natural: bool = False,
) -> NDArray[np.uint8]:
    """(n, 3): a word uniform over `words` per row, then a colour even over its region."""
    chosen = rng.integers(len(words), size=n)
    column = np.empty((n, 3), dtype=np.uint8)
    for index, word in enumerate(words):
        rows = np.flatnonzero(chosen == index)
        column[rows] = colours.sample_colour(word, rng, part, len(rows), natural)
    return column


def _any_colour(n: int, part: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    palette = colours.palette_words(part)
    column = _colour_column(n, part, palette, rng)
    common = _colour_column(n, part, colours.colour_words(part)[len(palette) :], rng)
    return np.where(rng.random((n, 1)) < COMMON_NAME_SHARE, common, column)


def excluded(codes: Mapping[str, NDArray[np.integer]]) -> NDArray[np.bool_]:
    """Which avatars of a table's shape codes no natural one can be: (N,) bool."""
    dress = codes["clothes"] == SHAPES["clothes"].index("dress")
    long = np.isin(codes["rear_hair"], [SHAPES["rear_hair"].index(v) for v in LONG_REAR_HAIR])
    return (codes["beard"] != 0) & (dress | long)


def _with_none(n: int, values: int, rng: np.random.Generator) -> NDArray[np.integer]:
    return np.where(rng.random(n) < NATURAL_BARE_SHARE, 0, rng.integers(1, values, size=n))


def sample_table(n: int, distribution: Distribution, seed: int) -> AttributeTable:
    """`n` avatars drawn from `distribution`; the same arguments give the same table.

    Raises:
        ValueError: unknown distribution.
    """
    if distribution not in DISTRIBUTIONS:
        raise ValueError(f"distribution {distribution!r} is not one of {DISTRIBUTIONS}")
    rng = np.random.default_rng([seed, DISTRIBUTIONS.index(distribution)])
    codes: dict[str, NDArray[np.integer]] = {
        name: rng.integers(len(values), size=n) for name, values in SHAPES.items()
    }
    if distribution == "natural":
        for name in ("beard", "rear_hair"):
            codes[name] = _with_none(n, len(SHAPES[name]), rng)
        # Redrawn together until allowed, so that what remains keeps its relative odds.
        while (rows := np.flatnonzero(excluded(codes))).size:
            codes["beard"][rows] = _with_none(rows.size, len(SHAPES["beard"]), rng)
            codes["rear_hair"][rows] = _with_none(rows.size, len(SHAPES["rear_hair"]), rng)
            codes["clothes"][rows] = rng.integers(len(SHAPES["clothes"]), size=rows.size)
    rgb = {}
    for name, part in COLOURS.items():
        natural = NATURAL_WORDS.get(part) if distribution == "natural" else None
        rgb[name] = (
            _colour_column(n, part, natural, rng, natural=True)
            if natural
            else _any_colour(n, part, rng)
        )
    return AttributeTable.of(codes, rgb)


def sample_records(n: int, distribution: Distribution, seed: int) -> list[AvatarRecord]:
    """The rows of `sample_table` as records."""
    table = sample_table(n, distribution, seed)
    return [table.record(index) for index in range(n)]
