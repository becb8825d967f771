"""The prompts of a training, from a file with one a line and from the caller."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cfclip.embedders.prompts import check_prompt
from cfclip.errors import InputError


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
        given += _lines(Path(file))
    if not given:
        where = "" if file is None else f" in {file}"
        raise InputError(f'no prompt{where}; describe the edit, for example "green hair"')
    prompts = tuple(dict.fromkeys(given))
    return Prompts(prompts, tuple(_repetitions(given, prompts)))


def _lines(file: Path) -> Iterable[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 text; save it as such") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield check_prompt(line)
        except InputError as error:
            raise InputError(f"{file}:{number}: {error}") from error


def _repetitions(given: Sequence[str], prompts: Sequence[str]) -> Iterable[str]:
    repeated = [prompt for prompt in prompts if given.count(prompt) > 1]
    if repeated:
        more = f" and {len(repeated) - 1} more" if len(repeated) > 1 else ""
        yield f"the prompt {repeated[0]!r}{more} was given more than once; it is used once"
