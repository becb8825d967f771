"""Colour names as regions of CIE Lab (D65), with margins between them.

A *part* of an avatar has a palette: words whose anchors cut Lab into Voronoi cells. A colour
carries a word when the word owns the nearest anchor and the next word is at least `MARGIN`
farther away; inside the margin it carries neither for certain. The palettes differ by part since
words do: `brown` names a natural skin, and `blond` is a colour of hair only. On top of the
palette, common names (`navy`, `lavender`, ...) are balls around their anchors that may lie
inside a palette's region: navy is blue as well.

Truth is three-valued throughout: 1 true, 0 false, -1 ambiguous (left out of every measure).
"""

from functools import cache, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cfclip_benchmark.avatars.palettes import (
    BASIC_TERMS,
    COMMON_NAMES,
    KINDRED,
    NATURAL_TERMS,
    PARTS,
    UNUSED_BASIC,
    UNUSED_COMMON,
)

# How far from its anchors a word reaches where no other word competes: farther, nothing is
# certain. Neutrals and natural tones would otherwise take in every dull tint.
REACH = 30.0
_SHORT_REACH: dict[str, float] = {
    "white": 9.0,
    "grey": 11.0,
    "black": 13.0,
    "pale": 10.0,
    "tan": 12.0,
    "dark": 10.0,
    "blond": 12.0,
    "ginger": 13.0,
    "rosy": 12.0,
    "brown": 15.0,
}
# Natural avatars stay this near to the anchors: a hair colour may be called black and have a
# green tint that no hair has.
NATURAL_REACH = 6.0
MARGIN = 6.0
INNER, OUTER = 11.0, 20.0
_POOL_POINTS = 400_000
# Below this lightness people see black with a tinge: between the black of the Munsell chart and its
# lowest row of hues, of value 2 (Newhall, Nickerson & Judd 1943: value 1.5 is L* 15.7).
_BLACKISH = 15.7

_SRGB_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_WHITE = _SRGB_TO_XYZ.sum(axis=1)
_EPSILON, _KAPPA = 216 / 24389, 24389 / 27


def lab_from_rgb(rgb: ArrayLike) -> NDArray[np.float64]:
    """CIE Lab (D65) of sRGB colours.

    Args:
        rgb: (..., 3) in 0..255, uint8 or real.

    Returns:
        (..., 3) float64: L in 0..100, a and b.
    """
    s = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(s <= 0.04045, s / 12.92, ((np.maximum(s, 0) + 0.055) / 1.055) ** 2.4)
    t = linear @ _SRGB_TO_XYZ.T / _WHITE
    f = np.where(t > _EPSILON, np.cbrt(t), (_KAPPA * t + 16) / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def rgb_from_lab(lab: ArrayLike) -> NDArray[np.float64]:
    """sRGB (..., 3) in 0..255 of CIE Lab (..., 3); unclipped, so out of gamut is out of range."""
    v = np.asarray(lab, dtype=np.float64)
    y = (v[..., 0] + 16) / 116
    f = np.stack([y + v[..., 1] / 500, y, y - v[..., 2] / 200], axis=-1)
    t = np.where(f**3 > _EPSILON, f**3, (116 * f - 16) / _KAPPA)
    linear = (t * _WHITE) @ np.linalg.inv(_SRGB_TO_XYZ).T
    s = np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055
    )
    return s * 255


def delta_e(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Euclidean distance in Lab (CIE 1976) over the last axis; both (..., 3) Lab."""
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    return np.sqrt((difference**2).sum(axis=-1))


@cache
def _anchors(text: str) -> NDArray[np.float64]:
    lab = lab_from_rgb([[*bytes.fromhex(anchor)] for anchor in text.split()])
    lab.setflags(write=False)
    return lab


@cache
def palette_words(part: str) -> tuple[str, ...]:
    """The words of a part's palette: disjoint classes, in a fixed order.

    Raises:
        KeyError: `part` is not one of `PARTS`.
    """
    return tuple(_palette(part))


@cache
def colour_words(part: str) -> tuple[str, ...]:
    """Every colour word that may be said of a part: its palette, then its common names."""
    common = tuple(name for name in COMMON_NAMES if name not in UNUSED_COMMON.get(part, ()))
    return palette_words(part) + common


def _palette(part: str) -> dict[str, str]:
    if part not in PARTS:
        raise KeyError(f"unknown part {part!r}; the parts are {', '.join(PARTS)}")
    natural = NATURAL_TERMS.get(part, {})
    unused = UNUSED_BASIC.get(part, frozenset())
    basic = {w: a for w, a in BASIC_TERMS.items() if w not in unused and w not in natural}
    return basic | natural


def _anchor_text(word: str, part: str) -> str:
    return _palette(part).get(word) or COMMON_NAMES[word]


def truth_table(lab: ArrayLike, part: str) -> NDArray[np.int8]:
    """Which words are true of colours worn by `part`.

    Args:
        lab: (N, 3) Lab.
        part: one of `PARTS`.

    Returns:
        (N, len(colour_words(part))) int8: 1 true, 0 false, -1 ambiguous.
    """
    colours = np.atleast_2d(np.asarray(lab, dtype=np.float64))
    words = palette_words(part)
    near = class_distances(colours, part)
    order = np.sort(near, axis=1)
    runner_up = np.where(near == order[:, :1], order[:, 1:2], order[:, :1])
    lead = runner_up - near
    truth = np.where(lead >= MARGIN, 1, np.where(lead <= -MARGIN, 0, -1)).astype(np.int8)
    reach = np.array([_SHORT_REACH.get(word, REACH) for word in words])
    truth[(truth == 1) & (near > reach)] = -1
    for a, b in KINDRED.get(part, ()):
        i, j = words.index(a), words.index(b)
        is_a, is_b = truth[:, i] == 1, truth[:, j] == 1
        truth[is_a, j] = -1
        truth[is_b, i] = -1
    names = colour_words(part)[len(words) :]
    far = np.stack([_nearest(colours, COMMON_NAMES[name]) for name in names], axis=1)
    common = np.where(far <= INNER, 1, np.where(far > OUTER, 0, -1)).astype(np.int8)
    return np.concatenate([truth, common], axis=1)


def _nearest(colours: NDArray[np.float64], anchors: str) -> NDArray[np.float64]:
    return np.min([delta_e(colours, anchor) for anchor in _anchors(anchors)], axis=0)


def colour_truth(lab: ArrayLike, word: str, part: str = "background") -> NDArray[np.int8]:
    """1, 0 or -1 (ambiguous) for each of the (N, 3) Lab colours: is it `word` on `part`?

    Raises:
        KeyError: the word is never said of that part.
    """
    words = colour_words(part)
    if word not in words:
        raise KeyError(f"no colour {word!r} for {part}; known: {', '.join(words)}")
    return truth_table(lab, part)[:, words.index(word)]


def is_called(lab: ArrayLike, word: str, part: str) -> NDArray[np.bool_]:
    """Which of the (N, 3) Lab colours people would call `word` on `part`: (N,).

    A region reaches as far as no other word competes, and so to what nobody would call by it: skin
    that is nearly black is purple for want of a black skin. Here it ends where a colour is darker
    or duller than all examples of the word by `MARGIN`, and at what looks black. It may be lighter:
    what is light and still saturated has the word's hue all the more.

    Raises:
        KeyError: the word is never said of that part.
    """
    carried = colour_truth(lab, word, part) == 1
    colours = np.atleast_2d(np.asarray(lab, dtype=np.float64))
    examples = _anchors(_anchor_text(word, part))
    darkest = examples[:, 0].min() - MARGIN
    if examples[:, 0].max() > _BLACKISH:  # neither black nor navy, which is told from it by hue
        darkest = max(darkest, _BLACKISH)
    dullest = np.hypot(examples[:, 1], examples[:, 2]).min() - MARGIN
    saturated = np.hypot(colours[:, 1], colours[:, 2]) >= dullest
    return carried & (colours[:, 0] >= darkest) & saturated


def class_distances(lab: ArrayLike, part: str) -> NDArray[np.float64]:
    """Delta-E (1976) from each (N, 3) Lab colour to the nearest anchor of every word of
    `palette_words(part)`: (N, words)."""
    colours = np.atleast_2d(np.asarray(lab, dtype=np.float64))
    palette = _palette(part)
    return np.stack([_nearest(colours, palette[w]) for w in palette_words(part)], axis=1)


def class_codes(lab: ArrayLike, part: str) -> NDArray[np.int16]:
    """Index into `palette_words(part)` of the (N, 3) Lab colours; -1 where ambiguous. (N,)."""
    truth = truth_table(lab, part)[:, : len(palette_words(part))] == 1
    return np.where(truth.any(axis=1), truth.argmax(axis=1), -1).astype(np.int16)


@lru_cache(maxsize=1)
def _gamut() -> NDArray[np.uint8]:
    """8-bit colours spread evenly over the volume of sRGB in Lab: (M, 3)."""
    rng = np.random.default_rng(20220707)
    low, high = np.array([0.0, -87, -108]), np.array([100.0, 99, 95])
    rgb = rgb_from_lab(rng.uniform(low, high, size=(_POOL_POINTS, 3)))
    inside = ((rgb >= -0.5) & (rgb < 255.5)).all(axis=1)
    return np.clip(np.rint(rgb[inside]), 0, 255).astype(np.uint8)


@cache
def _pools(part: str) -> dict[str, NDArray[np.uint8]]:
    """For each of `colour_words(part)`, the colours of the gamut that certainly carry it."""
    gamut = _gamut()
    truth = truth_table(lab_from_rgb(gamut), part)
    return {word: gamut[truth[:, i] == 1] for i, word in enumerate(colour_words(part))}


@cache
def colour_pool(word: str, part: str = "background", natural: bool = False) -> NDArray[np.uint8]:
    """All colours that `sample_colour` draws from, (M, 3) uint8, even over Lab."""
    pool = _pools(part)[word]
    if natural:
        pool = pool[_nearest(lab_from_rgb(pool), _palette(part)[word]) <= NATURAL_REACH]
    return pool


def sample_colour(
    word: str,
    rng: np.random.Generator,
    part: str = "background",
    size: int = 1,
    natural: bool = False,
) -> NDArray[np.uint8]:
    """`size` colours drawn evenly from the region of `word` on `part`: (size, 3) uint8.

    `natural` keeps to the colours near the word's anchors, as they occur on people.
    """
    pool = colour_pool(word, part, natural)
    return pool[rng.integers(len(pool), size=size)]


@cache
def representative(word: str, part: str = "background") -> tuple[int, int, int]:
    """The most typical colour of a region: its first anchor that lies in it, as RGB.

    Raises:
        KeyError: the word is never said of that part.
    """
    text = _anchor_text(word, part)
    anchors = _anchors(text)
    inside = np.flatnonzero(colour_truth(anchors, word, part) == 1)
    if len(inside):
        red, green, blue = bytes.fromhex(text.split()[int(inside[0])])
    else:
        pool = colour_pool(word, part)
        red, green, blue = map(int, pool[delta_e(lab_from_rgb(pool), anchors[0]).argmin()])
    return red, green, blue
