import random
import re

import numpy as np
import pytest

from cfclip_benchmark.avatars import visibility
from cfclip_benchmark.avatars.attributes import (
    ATTRIBUTES,
    COLOURS,
    SHAPES,
    AttributeTable,
    changed,
    sample_table,
)
from cfclip_benchmark.avatars.colours import colour_truth, lab_from_rgb
from cfclip_benchmark.avatars.language import (
    COLOUR_PHRASES,
    SHAPE_WORDS,
    Claim,
    all_claims,
    is_held_out,
)
from recipes.avatars import avatar_captions

N = 300


@pytest.fixture(scope="module")
def table() -> AttributeTable:
    return sample_table(N, "open", 7)


@pytest.fixture(scope="module")
def language(table: AttributeTable) -> avatar_captions.Language:
    return avatar_captions.Language(table, visibility(table))


def judge(table: AttributeTable, row: int, claim: Claim) -> int:
    """The truth of a claim, from the record and not from the precomputed matrix."""
    record = table.record(row)
    if not visibility(table.take(np.array([row])))[claim.attribute][0]:
        return -1
    value = getattr(record, claim.attribute)
    if claim.attribute in COLOURS:
        part = COLOURS[claim.attribute]
        return int(colour_truth(lab_from_rgb([value]), claim.word, part)[0])
    word = SHAPE_WORDS[claim.attribute][claim.word]
    if claim == Claim("rear_hair", "short") and record.hair == "bun" and value in word.true:
        return -1
    return 1 if value in word.true else -1 if value in word.unsure else 0


def test_every_caption_is_true_and_every_hard_negative_false(
    table: AttributeTable, language: avatar_captions.Language
) -> None:
    rows = np.arange(120)
    sampled, seeds = language.sample(rows, np.random.default_rng(0))
    negatives = 0
    for row, caption, seed in zip(rows.tolist(), sampled, seeds, strict=True):
        assert all(judge(table, row, language.claims[c]) == 1 for c in caption.claims)
        negative = language.hard_negative(row, caption, seed)
        if negative is None:
            assert len(caption.claims) <= 1
            continue
        negatives += 1
        named = {language.claims[c].attribute for c in negative.claims}
        assert named == {language.claims[c].attribute for c in caption.claims}
        assert negative.text != caption.text
        assert any(judge(table, row, language.claims[c]) == 0 for c in negative.claims)
    assert negatives > 100


def test_a_changed_word_stands_in_the_text(language: avatar_captions.Language) -> None:
    rows = np.arange(N)
    sampled, seeds = language.sample(rows, np.random.default_rng(1))
    for row, caption, seed in zip(rows.tolist(), sampled, seeds, strict=True):
        negative = language.hard_negative(row, caption, seed)
        for index in set(negative.claims) - set(caption.claims) if negative else ():
            claim = language.claims[index]
            if claim.attribute in COLOURS:
                spelt = {"grey": "gr[ae]y", "blond": "blonde?"}.get(claim.word, claim.word)
                assert negative is not None
                assert re.search(rf"\b{spelt}\b", negative.text), (claim, negative.text)


def test_truth_matrix_agrees_with_judging_one_by_one(
    table: AttributeTable, language: avatar_captions.Language
) -> None:
    rng = np.random.default_rng(2)
    rows = rng.choice(N, 16, replace=False)
    texts, truth, pairs, *_ = language.batch(rows, rng)
    sampled, _ = language.sample(rows, np.random.default_rng(3))
    assert truth.shape == (16, len(texts))
    assert truth.dtype == np.int8
    assert (np.diag(truth) == 1).all()
    assert (truth[pairs[0], pairs[1]] == 1).all()
    assert (truth[pairs[0], pairs[2]] == 0).all()
    claims = [caption.claims for caption in sampled]
    matrix = language.truth_matrix(rows, claims)
    for i, row in enumerate(rows.tolist()):
        for j, caption in enumerate(claims):
            each = [judge(table, row, language.claims[c]) for c in caption]
            assert matrix[i, j] == (0 if 0 in each else -1 if -1 in each else 1)


def test_a_caption_without_claims_is_true_of_all(language: avatar_captions.Language) -> None:
    assert (language.truth_matrix(np.arange(5), [()]) == 1).all()
    text = avatar_captions.say([], random.Random(0))
    assert re.search(r"\b(person|avatar|character|face)$", text)


def test_the_same_seed_says_the_same(language: avatar_captions.Language) -> None:
    first = language.batch(np.arange(40), np.random.default_rng(5))
    second = language.batch(np.arange(40), np.random.default_rng(5))
    assert first[0] == second[0]
    assert (first[1] == second[1]).all()


def test_training_never_says_what_is_held_out(language: avatar_captions.Language) -> None:
    rng = np.random.default_rng(6)
    met = 0
    for split in ("train", "test", "judge"):
        for _ in range(12):
            sampled, seeds = language.sample(np.arange(N), rng, split)  # type: ignore[arg-type]
            for row, (caption, seed) in enumerate(zip(sampled, seeds, strict=True)):
                said = [caption]
                if split == "train" and (no := language.hard_negative(row, caption, seed)):
                    said.append(no)
                for each in said:
                    claims = [language.claims[c] for c in each.claims]
                    held = any(is_held_out(a, b) for a in claims for b in claims)
                    assert split == "test" or not held
                    met += held
    assert met > 0


def test_words_of_captions_are_the_vocabulary(language: avatar_captions.Language) -> None:
    known = set(avatar_captions.vocabulary())
    assert list(avatar_captions.vocabulary()) == sorted(known)
    rng = np.random.default_rng(8)
    spoken: set[str] = set()
    for split in ("train", "test", "judge"):
        for _ in range(12):
            sampled, _ = language.sample(np.arange(N), rng, split)  # type: ignore[arg-type]
            spoken |= {w for c in sampled for w in re.findall("[a-z]+", c.text)}
    assert spoken <= known
    assert len(spoken) > 0.85 * len(known)


def test_captions_read_like_english(language: avatar_captions.Language) -> None:
    sampled, _ = language.sample(np.arange(N), np.random.default_rng(9))
    for caption in sampled:
        assert "{" not in caption.text
        assert "  " not in caption.text
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", caption.text), caption.text


def test_templates_take_the_source_and_any_phrase() -> None:
    assert set(avatar_captions.EDIT_TEMPLATES) <= set(avatar_captions.TRAINING_TEMPLATES)
    assert not set(avatar_captions.TEST_TEMPLATES) & set(avatar_captions.TRAINING_TEMPLATES)
    for template in (*avatar_captions.TRAINING_TEMPLATES, *avatar_captions.TEST_TEMPLATES):
        assert template.count("{}") == 1
    known = set(avatar_captions.vocabulary())
    for text in (
        avatar_captions.SOURCE_TEXT,
        avatar_captions.UNREALISTIC_TEXT,
        *avatar_captions.TEST_TEMPLATES,
    ):
        assert set(re.findall("[a-z]+", text)) <= known


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_class_prompts_tell_every_class_apart(attribute: str) -> None:
    prompts = avatar_captions.class_prompts(attribute)
    assert all(len(texts) == len(avatar_captions.EDIT_TEMPLATES) for texts in prompts.values())
    assert len({texts[0] for texts in prompts.values()}) == len(prompts)
    if attribute in SHAPES:
        assert tuple(prompts) == SHAPES[attribute]


def test_hidden_things_are_never_captioned(table: AttributeTable) -> None:
    records = [table.record(i) for i in range(40)]
    blended = [changed(r, lip_colour=r.skin_colour, mouth="smile") for r in records]
    hidden = AttributeTable.from_records(blended)
    language = avatar_captions.Language(hidden, visibility(hidden))
    sampled, _ = language.sample(np.arange(40), np.random.default_rng(0))
    said = {language.claims[c].attribute for caption in sampled for c in caption.claims}
    assert not said & {"lip_colour", "mouth"}
    claim = all_claims().index(Claim("lip_colour", "green"))
    assert (language.truth_matrix(np.arange(40), [(claim,)]) == -1).all()


def test_every_claim_can_be_made_and_is_sometimes_true() -> None:
    table = sample_table(2500, "open", 11)
    truth = avatar_captions.claim_truth(table, visibility(table))
    assert truth.shape == (2500, len(all_claims()))
    assert (truth == 1).any(axis=0).all()
    assert (truth == 0).any(axis=0).all()
    for claim in all_claims():
        assert avatar_captions.say([claim], random.Random(0))
    assert set(COLOUR_PHRASES) == set(COLOURS)
