"""Words of a prompt that a pack's embedder was never trained on, and the nearest known ones.

A small CLIP gives some embedding for any text; for words it never saw the embedding means nothing.
"""

import difflib
import re
from collections.abc import Collection, Iterable

NEAREST_WORDS = 3
_SIMILAR_ENOUGH = 0.6
_JOINTS = "['\u2019-]"  # apostrophe, typographic apostrophe, hyphen
_WORD = re.compile(rf"[^\W_]+(?:{_JOINTS}[^\W_]+)*")
_SPLIT = re.compile(_JOINTS)


def unknown_words(prompt: str, vocabulary: Collection[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Each word of `prompt` outside `vocabulary`, once, with up to `NEAREST_WORDS` near known ones.

    Case, punctuation, possessives and simple plurals do not count; of a hyphenated word either the
    whole or each part has to be known. Nearness is by spelling.

    >>> unknown_words("A Person with grean eyebrow!", {"a", "person", "with", "green", "eyebrows"})
    [('grean', ('green',))]
    """
    known = {word.lower() for word in vocabulary}
    ordered = sorted(known)
    found: dict[str, tuple[str, ...]] = {}
    for word in _WORD.findall(prompt.lower()):
        parts = [part for part in _SPLIT.split(word) if part != "s"]
        unknown = [] if _is_known(word, known) else [p for p in parts if not _is_known(p, known)]
        for part in unknown:
            near = difflib.get_close_matches(part, ordered, NEAREST_WORDS, _SIMILAR_ENOUGH)
            found.setdefault(part, tuple(near))
    return list(found.items())


def vocabulary_warning(unknown: Iterable[tuple[str, tuple[str, ...]]], pack: str) -> str | None:
    """One line about the result of `unknown_words`; None if there are none.

    >>> vocabulary_warning([("grean", ("green",)), ("zebra", ())], "avatars")
    "pack 'avatars' was not trained on 'grean' (nearest: green), 'zebra'; they may have no effect"
    """
    listed = [
        f"{word!r}" + (f" (nearest: {', '.join(near)})" if near else "") for word, near in unknown
    ]
    if not listed:
        return None
    subject = "they" if len(listed) > 1 else "it"
    return f"pack {pack!r} was not trained on {', '.join(listed)}; {subject} may have no effect"


def _is_known(word: str, known: Collection[str]) -> bool:
    return any(form in known for form in _forms(word))


def _forms(word: str) -> Iterable[str]:
    """`word`, and what it would be as a simple singular or plural."""
    yield word
    yield word + "s"
    yield word + "es"
    if word.endswith("s"):
        yield word[:-1]
    if word.endswith("es"):
        yield word[:-2]
    if word.endswith("ies"):
        yield word[:-3] + "y"
    if word.endswith("y"):
        yield word[:-1] + "ies"
