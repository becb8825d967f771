import gzip
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.tokenizer import SimpleTokenizer, default_bpe

from cfclip.embedders import load_tokenizer, trim_bpe
from cfclip.embedders.tokenizer import MergesTokenizer
from cfclip.errors import CheckpointError

TEXTS = [
    "a photo of a Person with green hair, smiling.",
    "turquoise eyebrows & a bearded man's hat",
    "itap of the lavender-haired avatar",
    "ü 12 naïve",
]
UNKNOWN = ["counterfactual zebra", "日本語", "greenish", "🙂"]


def strings(tokenizer: MergesTokenizer, text: str) -> list[str]:
    return [tokenizer.symbols[token] for token in tokenizer.encode(text)]


def theirs(full: SimpleTokenizer, text: str) -> list[str]:
    return [full.decoder[token] for token in full.encode(text)]


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
        assert strings(trimmed, text) == theirs(full, text)
    assert trimmed.vocab_size < 700


@pytest.mark.parametrize("text", UNKNOWN)
def test_unknown_words_are_still_encoded_whole(full, trimmed, text):
    tokens = trimmed.encode(text)
    assert tokens
    assert max(tokens) < min(trimmed.all_special_ids)
    known = [full.encoder[symbol] for symbol in strings(trimmed, text)]
    assert full.decode(known).strip() == text


@pytest.fixture(scope="module")
def whole() -> MergesTokenizer:
    """Ours with all of CLIP's merges."""
    lines = gzip.decompress(Path(default_bpe()).read_bytes()).decode().split("\n")
    return MergesTokenizer([(a, b) for a, b in map(str.split, lines[1:48_895])], context_length=77)


_ODD = ["\u2019s", "&amp;amp;", "<end_of_text>", "<START_OF_TEXT>", "\x1b[31m", "\xa0", "ﬁ", "Ã¼"]


@settings(deadline=None)
@given(texts=st.lists(st.one_of(st.text(max_size=12), st.sampled_from([*TEXTS, *_ODD])).map(str)))
def test_any_text_is_split_as_open_clip_splits_it(full, whole, texts):
    text = " ".join(texts)
    assert whole.vocab_size == full.vocab_size
    assert whole.encode(text) == full.encode(text)
    assert whole.all_special_ids == full.all_special_ids
    assert torch.equal(whole([text, "a"]), full([text, "a"]))


def test_the_end_of_text_is_the_highest_token(trimmed):
    assert trimmed.all_special_ids[1] == trimmed.vocab_size - 1
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
