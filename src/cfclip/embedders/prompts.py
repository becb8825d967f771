"""Prompts: templates, filling them, the checks on what a user types, and words that mean nothing.

A small CLIP gives some embedding for any text; for words that it was never trained on the embedding
means nothing. The nearest known ones are told.
"""

import difflib
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence

from cfclip.errors import InputError

MAX_PROMPT_CHARACTERS = 1000
"""Far above what any CLIP reads; the text encoder's own limit is checked in tokens."""

_SLOT = "{}"
_OF_MANY = "a photo of many {}."

_NOT_SEEN = frozenset("ZCM")
"""First letters of the categories of characters that show nothing by themselves: space and other
separators, control and format characters, marks that need a character to stand on."""

_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0\U0001d159\U00013441\U00013442")
"""What counts as a letter or a symbol and is blank all the same, such as the empty braille cell."""

_PRIVATE = "Co"
"""Category of characters that a font of one's own shows."""

NEAREST_WORDS = 3
_SIMILAR_ENOUGH = 0.6
_JOINTS = "['\u2019-]"  # apostrophe, typographic apostrophe, hyphen
_WORD = re.compile(rf"[^\W_]+(?:{_JOINTS}[^\W_]+)*")
_SPLIT = re.compile(_JOINTS)

BARE_TEMPLATES: tuple[str, ...] = (_SLOT,)
"""The text alone, as StyleCLIP embeds it."""


def imagenet_templates() -> tuple[str, ...]:
    """CLIP's 80 ImageNet templates but for that of many things: an edit is of one thing."""
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    templates = (template(_SLOT) for template in OPENAI_IMAGENET_TEMPLATES)
    return tuple(template for template in templates if template != _OF_MANY)


def chosen_templates(templates: Sequence[str], bare: bool) -> Sequence[str]:
    """The templates that a text is put in: `templates`, or none at all for a bare prompt."""
    return BARE_TEMPLATES if bare else templates


def fill_templates(templates: Sequence[str], text: str) -> list[str]:
    """The text in every template.

    Raises:
        InputError: no template, or one without exactly one `{}`.

    >>> fill_templates(["a photo of a {}.", "art of the {}."], "blue dog")
    ['a photo of a blue dog.', 'art of the blue dog.']
    """
    if not templates:
        raise InputError("the list of prompt templates is empty, expected at least one")
    for template in templates:
        if template.count(_SLOT) != 1:
            raise InputError(f"prompt template {template!r} must contain {_SLOT} exactly once")
    return [template.replace(_SLOT, text) for template in templates]


def check_prompt(text: str) -> str:
    """The prompt without the white space around it, with every run of white space inside one space.

    Raises:
        InputError: not a string, without any character that can be seen, too long, or with
            characters that are no text.

    >>> check_prompt("  green  lipstick ")
    'green lipstick'
    """
    if not isinstance(text, str):
        raise InputError(f"the prompt is a {type(text).__name__}, expected text")
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise InputError(
            f"the prompt has {len(text)} characters, the limit is {MAX_PROMPT_CHARACTERS}; "
            "describe the edit in a few words"
        )
    prompt = " ".join(text.split())
    if not any(map(_is_seen, prompt)):
        raise InputError('the prompt is empty; describe the edit, for example "green hair"')
    for position, character in enumerate(prompt):
        # Cc: control characters; Cs: halves of characters, which cannot be encoded.
        if unicodedata.category(character) in ("Cc", "Cs"):
            raise InputError(
                f"the prompt contains the control character U+{ord(character):04X} at position "
                f"{position + 1}; remove it"
            )
    return prompt


def _is_seen(character: str) -> bool:
    category = unicodedata.category(character)
    hidden = category[0] in _NOT_SEEN and category != _PRIVATE
    return not hidden and character not in _BLANK


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
