"""The prompts of a training, from a file with one a line and from the caller."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cfclip.embedders import check_prompt
from cfclip.errors import InputError, shown
from cfclip.io import parse_lines, repeated


@dataclass(frozen=True)
class Prompts:
    """Prompts in their order, each once."""

    prompts: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    """One line about those that came more than once."""


def gather_prompts(texts: Sequence[str], file: str | Path | None = None) -> Prompts:
    """The texts, then the lines of a UTF-8 file; blank lines and repetitions are left out.

    Raises `InputError` for an unusable prompt, naming its line, an unreadable file, or no prompt.
    """
    given = [check_prompt(text) for text in texts]
    if file is not None:
        given += [prompt for _, prompt in parse_lines(file, check_prompt)]
    if not given:
        where = "" if file is None else f" in {file}"
        raise InputError(f'no prompt{where}; describe the edit, for example "green hair"')
    prompts = tuple(dict.fromkeys(given))
    return Prompts(prompts, tuple(_repetitions(given)))


def _repetitions(given: Sequence[str]) -> Iterable[str]:
    if twice := repeated(given):
        more = f" and {len(twice) - 1} more" if len(twice) > 1 else ""
        yield f"the prompt {shown(twice[0])}{more} was given more than once; it is used once"
