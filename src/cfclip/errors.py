"""The exceptions of cfclip.

Every message is one line for a person: it names the value, the limit and the remedy. The command
line prints it and exits with status 2; the library raises it.
"""

import re

from cfclip.plain_text import one_line, shortened


class CfclipError(Exception):
    """Base of every error that cfclip raises on purpose."""


class InputError(CfclipError):
    """An image, prompt, setting or path that cannot be used."""


class PackError(CfclipError):
    """A model pack that is unknown, incomplete or altered."""


class CheckpointError(CfclipError):
    """A weight file that is missing, damaged or does not fit its model."""


class DownloadError(CfclipError):
    """A file that could not be fetched, or is not the one that was expected."""


class TrainingError(CfclipError):
    """A training that went wrong and stopped; its last good checkpoint is kept."""


class CfclipWarning(UserWarning):
    """Something that the library can do, but that its user should know. Its text is one line."""


_LONGEST_REASON = 300
_MEMORY = re.compile("can't allocate memory|out of memory", re.IGNORECASE)
MEMORY_REMEDY = "close other programs, or ask for less (fewer augmentations, a smaller batch)"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the work was too large for the machine."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and bool(_MEMORY.search(str(error)))
    )


def reason_of(error: BaseException) -> str:
    """What `error` says, as part of a line: short, and without characters that would break it."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return shortened(one_line(text) or type(error).__name__, _LONGEST_REASON)
