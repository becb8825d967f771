"""Byte-pair vocabularies for open_clip's tokenizer, and how to cut one down to the words in use.

CLIP's byte-pair encoding has 48,894 merges; the embedding of its 49,408 tokens would be most of a
small text encoder. A list of the merges that some words need, in their original order, splits those
words exactly as the full list does: at every step the best merge that applies is one of them. Other
words are split more finely, down to bytes, so that every text can still be encoded.
"""

import gzip
import zlib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from cfclip.errors import CheckpointError, reason_of, shown
from cfclip.io.files import atomic_write

_HEADER = "#version: cfclip trimmed byte-pair merges"
_MOST_BYTES = 4 << 20
"""Of a list of merges, and of its file; CLIP's own has 3 million."""


def load_tokenizer(bpe_path: str | Path, context_length: int) -> Any:
    """open_clip's `SimpleTokenizer` with the merges of a file (gzip, one merge per line).

    Raises:
        CheckpointError: a file that is missing or not such a list.
    """
    from open_clip.tokenizer import SimpleTokenizer

    path = Path(bpe_path)
    merges = _text_of(path).split("\n")[1:]
    # An empty line would silently become a token of its own, and shift all that follow.
    for number, merge in enumerate(merges, start=2):
        if len(merge.split()) != 2:
            raise CheckpointError(f"{path}, line {number}: {shown(merge)} is not a pair of symbols")
    return SimpleTokenizer(bpe_path=str(path), context_length=context_length)


def _text_of(path: Path) -> str:
    """What a list of merges says. A small file that grows without end is refused as it grows."""
    try:
        with path.open("rb") as file:
            packed = file.read(_MOST_BYTES + 1)
        unpacking = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # gzip
        text = unpacking.decompress(packed, _MOST_BYTES)
        if len(packed) > _MOST_BYTES or unpacking.unconsumed_tail:
            raise CheckpointError(
                f"{path} holds more than {_MOST_BYTES} bytes of merges; get it again"
            )
        if not unpacking.eof or unpacking.unused_data:
            raise EOFError("it ends in the middle, or goes on after its end")
        return text.decode("utf-8")
    except FileNotFoundError:
        raise CheckpointError(
            f"{path} is missing; restore it from where the model is from"
        ) from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{path} is not a gzip file of byte-pair merges: {reason_of(error)}"
        ) from error


def trim_bpe(texts: Iterable[str], out_path: str | Path) -> int:
    """Write the merges that open_clip's full tokenizer uses for `texts`.

    Args:
        texts: words, or whole texts, that shall be split as the full tokenizer splits them.
        out_path: file to write, named `*.gz`; the same texts always give the same bytes.

    Returns:
        The vocabulary's size: 512 for bytes, one per merge, and the start and end of text.
    """
    from open_clip.tokenizer import SimpleTokenizer

    full = SimpleTokenizer()
    used: set[tuple[str, str]] = set()
    for text in texts:
        for word in full.pat.findall(full.clean_fn(text)):
            used |= _merges_of("".join(full.byte_encoder[byte] for byte in word.encode()), full)
    merges = sorted(used, key=full.bpe_ranks.__getitem__)
    lines = [_HEADER, *(" ".join(merge) for merge in merges)]
    with atomic_write(out_path) as temporary:
        # No time stamp, and no line break at the end: the reader would take it for a merge.
        temporary.write_bytes(gzip.compress("\n".join(lines).encode("utf-8"), mtime=0))
    return load_tokenizer(out_path, full.context_length).vocab_size


def _merges_of(word: str, tokenizer: Any) -> set[tuple[str, str]]:
    """The merges that byte-pair encoding applies to one word of byte symbols."""
    symbols = [*word[:-1], word[-1] + "</w>"]
    used: set[tuple[str, str]] = set()
    while len(symbols) > 1:
        best = min(pairwise(symbols), key=lambda pair: tokenizer.bpe_ranks.get(pair, float("inf")))
        if best not in tokenizer.bpe_ranks:
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
    return used
