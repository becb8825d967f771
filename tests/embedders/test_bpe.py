import gzip

import pytest
from open_clip.tokenizer import SimpleTokenizer

from cfclip.embedders import load_tokenizer, trim_bpe
from cfclip.errors import CheckpointError

TEXTS = [
    "a photo of a Person with green hair, smiling.",
    "turquoise eyebrows & a bearded man's hat",
    "itap of the lavender-haired avatar",
    "ü 12 naïve",
]
UNKNOWN = ["counterfactual zebra", "日本語", "greenish", "🙂"]


def strings(tokenizer, text: str) -> list[str]:
    return [tokenizer.decoder[token] for token in tokenizer.encode(text)]


@pytest.fixture(scope="module")
def full() -> SimpleTokenizer:
    return SimpleTokenizer()


@pytest.fixture
def trimmed(tmp_path):
    path = tmp_path / "merges.txt.gz"
    size = trim_bpe(TEXTS, path)
    tokenizer = load_tokenizer(path, context_length=32)
    assert tokenizer.vocab_size == size
    return tokenizer


def test_known_texts_split_as_the_full_tokenizer_splits_them(full, trimmed):
    for text in [*TEXTS, "a bearded person with turquoise hair.", "a green man"]:
        assert strings(trimmed, text) == strings(full, text)
    assert trimmed.vocab_size < 700


@pytest.mark.parametrize("text", UNKNOWN)
def test_unknown_words_are_still_encoded_whole(trimmed, text):
    tokens = trimmed.encode(text)
    assert tokens
    assert max(tokens) < trimmed.sot_token_id
    assert trimmed.decode(tokens).strip() == text


def test_the_end_of_text_is_the_highest_token(trimmed):
    assert trimmed.eot_token_id == trimmed.vocab_size - 1
    assert trimmed(["green hair"]).shape == (1, 32)


def test_the_file_depends_on_the_texts_alone(tmp_path):
    first, second = tmp_path / "a.txt.gz", tmp_path / "b.txt.gz"
    trim_bpe(TEXTS, first)
    trim_bpe([*reversed(TEXTS), TEXTS[0]], second)
    assert first.read_bytes() == second.read_bytes()


def test_no_text_leaves_the_bytes(tmp_path):
    assert trim_bpe([], tmp_path / "merges.txt.gz") == 514


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no gzip", "not a gzip file"),
        (gzip.compress(b"#version\na b\n"), "line 3: '' is not a pair"),
        (gzip.compress(b"#version\nabc"), "line 2: 'abc' is not a pair"),
        (gzip.compress(b"#version\na b")[:-9], "not a gzip file"),
    ],
    # The bytes hold the time of their making, and workers must agree on the names of tests.
    ids=["no gzip", "empty line", "one part", "truncated"],
)
def test_damaged_files(tmp_path, content, message):
    path = tmp_path / "merges.txt.gz"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_tokenizer(path, 32)


def test_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match="is missing"):
        load_tokenizer(tmp_path / "merges.txt.gz", 32)
