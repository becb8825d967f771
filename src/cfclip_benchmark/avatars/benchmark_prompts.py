"""The prompts of the benchmark, read from a file: those to choose settings on, those to test on."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cfclip.embedders import check_prompt
from cfclip.errors import InputError, shown
from cfclip.io import FormatError, build, named, read_toml, repeated
from cfclip_benchmark.avatars import colours
from cfclip_benchmark.avatars.attributes import COLOURS
from cfclip_benchmark.avatars.avatar_edits import AvatarEdit
from cfclip_benchmark.avatars.language import SHAPE_WORDS
from cfclip_benchmark.avatars.splits import SPLITS, Split

SHIPPED_PROMPTS = Path(__file__).with_name("prompts.toml")
"""The prompts that come with the package; the file tells its own layout."""


@dataclass(frozen=True)
class PromptSet:
    """Prompts by what they are for."""

    validation: tuple[AvatarEdit, ...]
    """Settings may be chosen on these."""
    test: tuple[AvatarEdit, ...]
    """These only measure."""

    def of(self, split: Split) -> tuple[AvatarEdit, ...]:
        """The prompts of a split."""
        return self.test if split == "test" else self.validation


def read_prompts(path: str | Path = SHIPPED_PROMPTS) -> PromptSet:
    """Read a file of prompts, laid out as the shipped one.

    Raises:
        InputError: a file that cannot be read, or an entry that is none: an unknown family,
            attribute or word, an unusable prompt, or the same prompt twice.
    """
    with named(path):
        entries = build(_Entries, read_toml(path))
    sets = {split: _edits(getattr(entries, split), f"{path}, {split}") for split in SPLITS}
    prompts = [prompt_name(edit.prompt) for edits in sets.values() for edit in edits]
    if twice := repeated(prompts):
        raise InputError(f"{path} has {shown(twice[0])} twice; keep one of them")
    return PromptSet(**sets)


@dataclass(frozen=True)
class _Entries:
    """What is in a file."""

    validation: tuple[Any, ...] = ()
    test: tuple[Any, ...] = ()


def prompt_name(prompt: str) -> str:
    """A prompt as part of a file name.

    >>> prompt_name("A bearded person, in a dress")
    'a-bearded-person-in-a-dress'
    """
    return re.sub("[^a-z0-9]+", "-", prompt.lower()).strip("-")


def _edits(entries: Sequence[Any], where: str) -> tuple[AvatarEdit, ...]:
    if not entries:
        raise InputError(f"{where}: there are no prompts; give at least one")
    return tuple(_edit(entry, f"{where} {i}") for i, entry in enumerate(entries, 1))


def _edit(entry: object, where: str) -> AvatarEdit:
    with named(where):
        edit = build(AvatarEdit, entry)
        if not edit.words:
            raise FormatError("words is empty, expected attribute = word")
        for attribute, word in edit.words.items():
            known = _words_of(attribute)
            if not known:
                names = ", ".join((*SHAPE_WORDS, *COLOURS))
                raise FormatError(f"no attribute {shown(attribute)}; known are {names}")
            if word not in known:
                raise FormatError(
                    f"no word {shown(word)} for {attribute}; known are {', '.join(known)}"
                )
        return replace(edit, prompt=check_prompt(edit.prompt))


def _words_of(attribute: str) -> tuple[str, ...]:
    if attribute in COLOURS:
        return colours.colour_words(COLOURS[attribute])
    return tuple(SHAPE_WORDS.get(attribute, ()))
