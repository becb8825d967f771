"""What is told of rows with their results, which are handed on: no folder of this machine.

`rows.jsonl` alone tells where pictures lie; it is for going on.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

_FOLDER = "<folder>"
_ABSOLUTE = re.compile(
    r"(?<=\")(?:[A-Za-z]:)?[/\\][^\"]*[/\\](?=[^\"/\\]*\")"
    r"|(?<=')(?:[A-Za-z]:)?[/\\][^']*[/\\](?=[^'/\\]*')"
    r"|(?<![\w.~:/\\-])(?:[A-Za-z]:)?[/\\](?:[^\s/\\'\":;,()<>]+[/\\])*(?=[^\s/\\])"
)
"""The folders of an absolute path in a text: in quotes, or as far as their names have no spaces."""


def open_name(image: str) -> str:
    """A picture as it was listed; of an absolute path the last part.

    >>> open_name("faces/a.png"), open_name("/home/alice/a.png"), open_name("sample:7")
    ('faces/a.png', 'a.png', 'sample:7')
    """
    for kind in (PurePosixPath, PureWindowsPath):
        if kind(image).is_absolute():
            return kind(image).name
    return image


def without_folders(text: str, known: Iterable[str | Path | None]) -> str:
    """`text` with each absolute path cut to its last part.

    Args:
        text: a line about files.
        known: paths that it may hold, or others in their folders. Any more are found as far as they
            are in quotes, or the names of their folders have no spaces.

    >>> without_folders("/my photos/a.png is damaged, as is '/b/c.png'", ["/my photos/x.png"])
    "a.png is damaged, as is 'c.png'"
    """
    places = {Path(each).absolute() for each in known if each}
    for place in sorted(places, key=lambda each: len(each.parts), reverse=True):
        if len(place.parts) > 2:
            text = text.replace(f"{place.parent}{os.sep}", "").replace(str(place.parent), _FOLDER)
    return _ABSOLUTE.sub("", text)
