"""Captions of avatars, their hard negatives, and which caption is true of which image."""

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cfclip_benchmark.avatars import (
    ATTRIBUTES,
    COLOURS,
    EDIT_TEMPLATES,
    SHAPE_WORDS,
    SHAPES,
    SOURCE_TEXT,
    TEST_TEMPLATES,
    TRAINING_TEMPLATES,
    UNREALISTIC_TEXT,
    AttributeTable,
    CaptionSplit,
    Claim,
    all_claims,
    aspects,
    class_prompts,
    classes,
    is_held_out,
    lab_from_rgb,
    say,
    truth_table,
    vocabulary,
)

__all__ = [
    "EDIT_TEMPLATES",
    "SOURCE_TEXT",
    "TEST_TEMPLATES",
    "TRAINING_TEMPLATES",
    "UNREALISTIC_TEXT",
    "Caption",
    "Language",
    "aspects",
    "claim_truth",
    "class_prompts",
    "say",
    "vocabulary",
]

CLAIMS_SHARE = (0.36, 0.27, 0.2, 0.11, 0.06)  # of captions with 1, 2, .. 5 claims
SOURCE_SHARE = 0.05  # of captions that say nothing but "a person"
_SWAP_SHARE = 0.5
# How often an attribute is spoken of, relative to 1: small parts need it more often.
_INTEREST = {
    "lip_colour": 1.6,
    "brow_colour": 1.6,
    "mouth": 1.6,
    "beard": 1.4,
    "eyes": 0.7,
    "brows": 0.7,
}


class CaptionBatch(NamedTuple):
    """The texts of a training batch of B images and what is known of them.

    Attributes:
        texts: M captions, the first B true of their images in order.
        truth: (B, M) int8: 1 true, 0 false, -1 unknown.
        pairs: three (P,) int64 columns: image of the batch, its true and its false caption.
        labels: (M, attributes) int64: the class of `attributes.classes` that a caption names, -1
            where it names none.
    """

    texts: list[str]
    truth: NDArray[np.int8]
    pairs: tuple[NDArray[np.int64], ...]
    labels: NDArray[np.int64]
    claims: list[tuple[int, ...]]


class Caption(NamedTuple):
    """A text and what it claims, as indices into `language.all_claims()`."""

    text: str
    claims: tuple[int, ...]


def claim_truth(
    table: AttributeTable, visibility: Mapping[str, NDArray[np.bool_]]
) -> NDArray[np.int8]:
    """The truth of every claim for every avatar.

    Returns:
        (N, len(all_claims())) int8: 1 true, 0 false, -1 ambiguous or hidden.
    """
    columns: list[NDArray[np.int8]] = []
    for name, values in SHAPES.items():
        for word in SHAPE_WORDS[name].values():
            truth = np.zeros(len(values), dtype=np.int8)
            truth[[values.index(v) for v in word.true]] = 1
            truth[[values.index(v) for v in word.unsure]] = -1
            columns.append(np.where(visibility[name], truth[table.codes[name]], -1)[:, None])
    # Hair up in a bun is neither short nor not.
    short = all_claims().index(Claim("rear_hair", "short"))
    bun = table.codes["hair"] == SHAPES["hair"].index("bun")
    columns[short] = np.where(bun[:, None] & (columns[short] == 1), -1, columns[short])
    for name, part in COLOURS.items():
        decided = truth_table(lab_from_rgb(table.rgb[name]), part)
        columns.append(np.where(visibility[name][:, None], decided, -1))
    return np.concatenate(columns, axis=1).astype(np.int8)


def _class_of(claim: Claim) -> int:
    """Index of the one class of its attribute that a claim names; -1 if it leaves several open."""
    if claim.attribute in COLOURS:
        return (
            classes(claim.attribute).index(claim.word)
            if claim.word in classes(claim.attribute)
            else -1
        )
    word = SHAPE_WORDS[claim.attribute][claim.word]
    if len(word.true) != 1:
        return -1
    return classes(claim.attribute).index(word.true[0])


class Language:
    """Captions for the avatars of one table, by row.

    Args:
        table: N avatars.
        visibility: attribute -> (N,) bool, see `renderer.visibility`.
    """

    def __init__(self, table: AttributeTable, visibility: Mapping[str, NDArray[np.bool_]]) -> None:
        self.claims = all_claims()
        self.index = {claim: i for i, claim in enumerate(self.claims)}
        # The last column pads: a caption of fewer claims goes on with what is always true.
        always = np.ones((len(table), 1), dtype=np.int8)
        self.truth = np.concatenate([claim_truth(table, visibility), always], axis=1)
        attributes = [claim.attribute for claim in self.claims]
        self._spans = [
            (attributes.index(name), attributes.index(name) + attributes.count(name))
            for name in ATTRIBUTES
        ]
        self._named_class = [
            (ATTRIBUTES.index(claim.attribute), _class_of(claim)) for claim in self.claims
        ]
        self._interest = np.array([_INTEREST.get(name, 1.0) for name in ATTRIBUTES])

    def sample(
        self,
        rows: NDArray[np.integer],
        rng: np.random.Generator,
        split: CaptionSplit = "train",
        source_share: float = SOURCE_SHARE,
    ) -> tuple[list[Caption], list[int]]:
        """A true caption for each of the rows (B,), of visible and unambiguous attributes.

        Returns:
            captions, and for each the seed of its wording (see `say`).
        """
        true = self.truth[rows] == 1
        # One word per attribute at random, then attributes by weighted sampling without
        # replacement (exponential keys).
        keys = np.where(true, rng.random(true.shape), -1.0)
        words = np.stack([a + keys[:, a:b].argmax(axis=1) for a, b in self._spans], axis=1)
        there = np.stack([true[:, a:b].any(axis=1) for a, b in self._spans], axis=1)
        wait = rng.exponential(size=there.shape) / self._interest
        order = np.where(there, wait, np.inf).argsort(axis=1)
        counts = rng.choice(len(CLAIMS_SHARE), size=len(rows), p=CLAIMS_SHARE) + 1
        counts = np.minimum(counts, there.sum(axis=1))
        counts[rng.random(len(rows)) < source_share] = 0
        seeds = [int(seed) for seed in rng.integers(2**32, size=len(rows))]
        captions = []
        for i, seed in enumerate(seeds):
            chosen: list[int] = []
            for claim in words[i, order[i, : counts[i]]].tolist():
                if split == "test" or not self._reserved(chosen, claim):
                    chosen.append(claim)
            captions.append(self._caption(chosen, seed, split))
        return captions, seeds

    def _caption(self, claims: Sequence[int], seed: int, split: CaptionSplit) -> Caption:
        text = say([self.claims[c] for c in claims], random.Random(seed), split)
        return Caption(text, tuple(claims))

    def _reserved(self, chosen: Sequence[int], claim: int) -> bool:
        return any(is_held_out(self.claims[c], self.claims[claim]) for c in chosen)

    def class_texts(
        self, rng: np.random.Generator, split: CaptionSplit = "train"
    ) -> list[list[str]]:
        """One text for every class of every attribute, in new words at each call."""
        texts: list[list[str]] = []
        for a, name in enumerate(ATTRIBUTES):
            texts.append([])
            for c in range(len(classes(name))):
                named = [claim for claim, n in enumerate(self._named_class) if n == (a, c)]
                claim = self.claims[named[int(rng.integers(len(named)))]]
                texts[-1].append(say([claim], random.Random(int(rng.integers(2**32))), split))
        return texts

    def hard_negative(
        self, row: int, caption: Caption, seed: int, split: CaptionSplit = "train"
    ) -> Caption | None:
        """The caption with one named thing made false of the row's avatar, in the same wording.

        Either the colours of two named parts are swapped, or one named attribute gets another
        word. None where the caption claims nothing or nothing in it can be made false.
        """
        rng = random.Random(seed ^ 0x5EED)
        options = [self._swapped, self._replaced]
        if rng.random() >= _SWAP_SHARE:
            options.reverse()
        for option in options:
            for _ in range(4):
                claims = option(row, list(caption.claims), rng)
                if claims is None:
                    break
                pairs = [
                    is_held_out(self.claims[a], self.claims[b])
                    for i, a in enumerate(claims)
                    for b in claims[:i]
                ]
                if split == "test" or not any(pairs):
                    return self._caption(claims, seed, split)
        return None

    def _swapped(self, row: int, claims: list[int], rng: random.Random) -> list[int] | None:
        colours = [i for i, c in enumerate(claims) if self.claims[c].attribute in COLOURS]
        rng.shuffle(colours)
        for at, i in enumerate(colours):
            for j in colours[:at]:
                first, second = self.claims[claims[i]], self.claims[claims[j]]
                new_i = self.index.get(Claim(first.attribute, second.word))
                new_j = self.index.get(Claim(second.attribute, first.word))
                if new_i is None or new_j is None:
                    continue
                if self.truth[row, new_i] == 0 or self.truth[row, new_j] == 0:
                    claims[i], claims[j] = new_i, new_j
                    return claims
        return None

    def _replaced(self, row: int, claims: list[int], rng: random.Random) -> list[int] | None:
        places = list(range(len(claims)))
        rng.shuffle(places)
        for i in places:
            a, b = self._spans[ATTRIBUTES.index(self.claims[claims[i]].attribute)]
            false = np.flatnonzero(self.truth[row, a:b] == 0)
            if len(false):
                claims[i] = a + int(false[rng.randrange(len(false))])
                return claims
        return None

    def truth_matrix(
        self, rows: NDArray[np.integer], claims: Sequence[Sequence[int]]
    ) -> NDArray[np.int8]:
        """Which captions are true of which rows: a caption is false if one claim is.

        Args:
            rows: (B,) avatars.
            claims: the claims of M captions.

        Returns:
            (B, M) int8: 1 true, 0 false, -1 unknown.
        """
        width = max((len(c) for c in claims), default=0) or 1
        padded = np.full((len(claims), width), len(self.claims))
        for i, caption in enumerate(claims):
            padded[i, : len(caption)] = caption
        each = self.truth[np.asarray(rows)[:, None, None], padded[None]]
        truth = np.where((each == -1).any(axis=-1), -1, 1)
        return np.where((each == 0).any(axis=-1), 0, truth).astype(np.int8)

    def batch(
        self, rows: NDArray[np.integer], rng: np.random.Generator, split: CaptionSplit = "train"
    ) -> CaptionBatch:
        """A training batch: a true caption per row and a hard negative wherever there is one."""
        captions, seeds = self.sample(rows, rng, split)
        pairs = []
        for i, seed in enumerate(seeds):
            negative = self.hard_negative(int(rows[i]), captions[i], seed, split)
            if negative is not None:
                pairs.append((i, i, len(captions)))
                captions.append(negative)
        columns = np.array(pairs, dtype=np.int64).reshape(-1, 3).T
        claims = [caption.claims for caption in captions]
        truth = self.truth_matrix(rows, claims)
        labels = np.full((len(captions), len(ATTRIBUTES)), -1, dtype=np.int64)
        for i, caption in enumerate(captions):
            for claim in caption.claims:
                attribute, label = self._named_class[claim]
                labels[i, attribute] = max(label, labels[i, attribute])
        return CaptionBatch([c.text for c in captions], truth, tuple(columns), labels, claims)

    def binding(self, rng: np.random.Generator) -> list[tuple[int, str, str, str]]:
        """A binding test for every row that allows one: (row, true text, false text, change).

        The captions use test templates. The change is "swapped" (two parts trade their colours)
        or "changed" (one named attribute), which take turns.
        """
        rows = np.arange(len(self.truth))
        captions, seeds = self.sample(rows, rng, "test", source_share=0.0)
        tests = []
        for row, caption, seed in zip(rows.tolist(), captions, seeds, strict=True):
            kind, change = ("swapped", self._swapped) if row % 2 else ("changed", self._replaced)
            claims = change(row, list(caption.claims), random.Random(seed))
            if claims is not None:
                false = self._caption(claims, seed, "test")
                tests.append((row, caption.text, false.text, kind))
        return tests
