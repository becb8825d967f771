"""What may come of a case: a result or one clear line, soon, and without any other effect."""

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from fuzzing.cases import Case
from fuzzing.worker import MEGABYTES, SECONDS, Start

STATUSES = {0, 2, 130}
"""Done, refused, interrupted."""
_LONGEST_LINE = 500
_MOST_LINES = 150
"""An argument of some thousand characters that cannot be parsed is shown."""
_REFUSED = re.compile(r"^cfclip: error: \S|^[╭│╰]", re.MULTILINE)
"""A line of ours, or the box in which the parser of options tells what it cannot parse."""
_PYTHON_WARNING = re.compile(r"\.py:\d+: \w*Warning")
_NO_MEMORY = "not enough memory"


@dataclass(frozen=True)
class Ended:
    """A case that is over."""

    start: Start | None
    """None if it never began, which is a fault of these tests."""
    status: int
    """Negative for a signal."""
    hung: bool
    """Whether it had to be killed."""
    seconds: float
    """Of computing, with those before its start."""
    megabytes: float
    """Resident at most."""
    out: str
    errors: str
    seen: str
    """A line for each thing that it did and should not."""


def problems_of(ended: Ended) -> list[str]:
    """What is wrong with how a case ended, each in a few words; none if nothing is."""
    if ended.start is None:
        return [f"the case could not be made: {ended.errors[-2000:]}"]
    return list(dict.fromkeys(_problems(ended, ended.start)))


def _problems(ended: Ended, start: Start) -> Iterator[str]:
    case, errors = start.case, ended.errors
    seconds = ended.seconds - start.seconds
    if ended.hung:
        yield "hangs"
    elif seconds > SECONDS and not case.named:
        yield f"takes more than {SECONDS} s"
    if "Traceback (most recent call last)" in errors + ended.out:
        yield f"traceback: {_last_line(errors)}"
    elif not ended.hung and ended.status not in STATUSES:
        yield f"ends with status {ended.status}"
    if ended.megabytes - start.megabytes > MEGABYTES:
        yield f"takes more than {MEGABYTES} MB"
    if _NO_MEMORY in errors and not case.named:
        yield f"asks for more than {MEGABYTES} MB"
    if ended.status == 2 and not _REFUSED.search(errors):
        yield "no line tells the error"
    if _PYTHON_WARNING.search(errors):
        yield f"a warning of Python: {_PYTHON_WARNING.search(errors)[0]}"  # type: ignore[index]
    # `--json=--` is `--json` and the mark that no more options follow.
    json = any(each.partition("=")[0] == "--json" for each in case.arguments)
    for name, text in (("stderr", errors), ("stdout", ended.out)):
        lines = text.split("\n")
        if any(map(_acts, text)):
            yield f"control characters on {name}"
        if not (json and name == "stdout") and any(len(line) > _LONGEST_LINE for line in lines):
            yield f"a long line on {name}"
        if len(lines) > _MOST_LINES and name == "stderr":
            yield f"many lines on {name}"
    for line in ended.seen.splitlines():
        if not _asked_for(line, case):
            yield line


def _acts(character: str) -> bool:
    """Whether a character acts on a terminal instead of being seen."""
    return character != "\n" and unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs")


def _asked_for(line: str, case: Case) -> bool:
    """Whether a user who gives such arguments asks for what was seen."""
    kind, _, place = line.partition(" ")
    # Of a folder that is named, the files in it are looked at: of /, those of the machine's root.
    listed = kind == "read" and os.path.dirname(place.strip("b'\"")) in case.arguments
    return (case.named and (kind == "write" or listed)) or (kind == "network" and case.waits)


def _last_line(text: str) -> str:
    """What a traceback ends with."""
    lines = [line for line in text.splitlines() if line and not line.startswith(" ")]
    line = lines[-1] if lines else ""
    return line[:120]
