"""CLIP's tokenizer with a list of merges: texts to tokens, as open_clip's `SimpleTokenizer` does.

open_clip itself is not imported: with what it builds on, that takes a second and a half, of which
an edit by a small CLIP needs nothing else.
"""

import html
from collections.abc import Mapping, Sequence
from itertools import pairwise

import regex
import torch
from torch import Tensor

_MARKS = ("<start_of_text>", "<end_of_text>")
_WORD_END = "</w>"
_WORDS = regex.compile(
    "|".join(_MARKS) + r"|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    regex.IGNORECASE,
)

Merge = tuple[str, str]


def byte_symbols() -> dict[int, str]:
    """A visible character for each byte, its own where it has one, in the order of the tokens."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    visible += range(ord("®"), ord("ÿ") + 1)
    others = [byte for byte in range(256) if byte not in visible]
    named = {byte: chr(byte) for byte in visible}
    return named | {byte: chr(256 + index) for index, byte in enumerate(others)}


def split_word(word: str, ranks: Mapping[Merge, int]) -> tuple[list[str], set[Merge]]:
    """One word of byte symbols, in the symbols that are left of it, and the merges that it took."""
    symbols = [*word[:-1], word[-1] + _WORD_END]
    used: set[Merge] = set()
    while len(symbols) > 1:
        best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, float("inf")))
        if best not in ranks:
            break
        used.add(best)
        merged: list[str] = []
        index = 0
        while index < len(symbols):
            if tuple(symbols[index : index + 2]) == best:
                merged.append("".join(best))
                index += 2
            else:
                merged.append(symbols[index])
                index += 1
        symbols = merged
    return symbols, used


class MergesTokenizer:
    """Tokens of texts: bytes, what the merges make of them, and marks of start and end.

    Args:
        merges: pairs of symbols, the best first.
        context_length: tokens of every text, its marks and the zeros after it included.
    """

    def __init__(self, merges: Sequence[Merge], context_length: int) -> None:
        self._bytes = byte_symbols()
        single = list(self._bytes.values())
        ended = [symbol + _WORD_END for symbol in single]
        self.symbols = [*single, *ended, *map("".join, merges), *_MARKS]
        """By token."""
        self._tokens = {symbol: token for token, symbol in enumerate(self.symbols)}
        self._ranks = {merge: rank for rank, merge in enumerate(merges)}
        self.vocab_size = len(self._tokens)
        self.all_special_ids = [self._tokens[mark] for mark in _MARKS]
        self.context_length = context_length

    def encode(self, text: str) -> list[int]:
        """The tokens of a text without its marks."""
        tokens: list[int] = []
        for word in _WORDS.findall(_cleaned(text)):
            if word in _MARKS:
                tokens.append(self._tokens[word])
                continue
            symbols = "".join(self._bytes[byte] for byte in word.encode())
            tokens += (self._tokens[each] for each in split_word(symbols, self._ranks)[0])
        return tokens

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """int64 `(N, context_length)`; what is longer loses what goes before its end mark."""
        start, end = self.all_special_ids
        rows = torch.zeros(len(texts), self.context_length, dtype=torch.long)
        for row, text in zip(rows, texts, strict=True):
            tokens = [start, *self.encode(text)[: self.context_length - 2], end]
            row[: len(tokens)] = torch.tensor(tokens)
        return rows


def _cleaned(text: str) -> str:
    # What ftfy mends is not in such texts, and to import it takes as long as a step of an edit.
    if not (text.isascii() and text.isprintable() and "&" not in text):
        import ftfy

        text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).lower()
