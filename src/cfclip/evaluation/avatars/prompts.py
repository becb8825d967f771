"""The prompts of the benchmark, read from a file: those to choose settings on, those to test on."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from cfclip.embedders.prompts import check_prompt
from cfclip.errors import InputError
from cfclip.evaluation.avatars import colours
from cfclip.evaluation.avatars.attributes import COLOURS
from cfclip.evaluation.avatars.language import SHAPE_WORDS
from cfclip.evaluation.avatars.scores import Edit, Family
from cfclip.evaluation.avatars.splits import SPLITS, Split
from cfclip.evaluation.toml_files import read_toml

SHIPPED = Path(__file__).with_name("prompts.toml")
"""The prompts that come with the package; the file tells its own layout."""

_FIELDS = {"family", "prompt", "words"}


@dataclass(frozen=True)
class PromptSet:
    """Prompts by what they are for."""

    validation: tuple[Edit, ...]
    """Settings may be chosen on these."""
    test: tuple[Edit, ...]
    """These only measure."""

    def of(self, split: Split) -> tuple[Edit, ...]:
        """The prompts of a split."""
        return self.test if split == "test" else self.validation


def read_prompts(path: str | Path = SHIPPED) -> PromptSet:
    """Read a file of prompts, laid out as the shipped one.

    Raises:
        InputError: a file that cannot be read, or an entry that is none: an unknown family,
            attribute or word, an unusable prompt, or the same prompt twice.
    """
    content = read_toml(path)
    if unknown := sorted(set(content) - set(SPLITS)):
        raise InputError(f"{path} has {', '.join(unknown)}; expected {', '.join(SPLITS)}")
    sets = {split: _edits(content.get(split), f"{path}, {split}") for split in SPLITS}
    prompts = [prompt_name(edit.prompt) for edits in sets.values() for edit in edits]
    if twice := sorted({prompt for prompt in prompts if prompts.count(prompt) > 1}):
        raise InputError(f"{path} has {twice[0]!r} twice; keep one of them")
    return PromptSet(**sets)


def prompt_name(prompt: str) -> str:
    """A prompt as part of a file name.

    >>> prompt_name("A bearded person, in a dress")
    'a-bearded-person-in-a-dress'
    """
    return re.sub("[^a-z0-9]+", "-", prompt.lower()).strip("-")


def _edits(entries: Any, where: str) -> tuple[Edit, ...]:
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{where}: there are no prompts; give at least one")
    return tuple(_edit(entry, f"{where} {i}") for i, entry in enumerate(entries, 1))


def _edit(entry: Any, where: str) -> Edit:
    if not isinstance(entry, Mapping) or set(entry) != _FIELDS:
        raise InputError(f"{where}: expected the fields {', '.join(sorted(_FIELDS))}")
    family, prompt, words = entry["family"], entry["prompt"], entry["words"]
    if family not in get_args(Family):
        raise InputError(
            f"{where}: family is {family!r}, expected one of {', '.join(get_args(Family))}"
        )
    if not isinstance(prompt, str):
        raise InputError(f"{where}: prompt is {prompt!r}, expected a text")
    if not isinstance(words, Mapping) or not words:
        raise InputError(f"{where}: words is {words!r}, expected attribute = word")
    for attribute, word in words.items():
        known = _words_of(attribute)
        if not known:
            names = ", ".join((*SHAPE_WORDS, *COLOURS))
            raise InputError(f"{where}: no attribute {attribute!r}; known are {names}")
        if word not in known:
            raise InputError(
                f"{where}: no word {word!r} for {attribute}; known are {', '.join(known)}"
            )
    return Edit(family, check_prompt(prompt), dict(words))


def _words_of(attribute: str) -> tuple[str, ...]:
    if attribute in COLOURS:
        return colours.colour_words(COLOURS[attribute])
    return tuple(SHAPE_WORDS.get(attribute, ()))
