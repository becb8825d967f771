"""Files of the Hugging Face hub: those that are kept already, and others within bounded time.

The hub's client tries for a minute where nothing answers. Whether anything does is asked first.
"""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from cfclip.errors import DownloadError, InputError, reason_of
from cfclip.reach import SECONDS, why_unreachable


def kept_file(repository: str, names: Iterable[str]) -> Path | None:
    """The first of several files that an earlier download has left on this machine.

    Raises `InputError` for what is no name of a repository.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = (try_to_load_from_cache(repository, name) for name in names)
        return next((Path(path) for path in found if isinstance(path, str)), None)
    except HFValidationError as error:
        raise InputError(f"{repository!r} is no name on the hub; give OWNER/NAME") from error


def fetched_file(repository: str, names: Iterable[str]) -> Path | None:
    """The first of several files that a repository has, which is kept; None if it has none of them.

    Raises:
        InputError: what is no name of a repository.
        DownloadError: nothing answers, or what answers does not give the file.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    names = tuple(names)
    if (path := kept_file(repository, names)) is not None:
        return path
    if (reason := why_unreachable(_ask)) is not None:
        raise _not_fetched(repository, reason)
    try:
        for name in names:
            try:
                return Path(hf_hub_download(repository, name))
            except LocalEntryNotFoundError:  # means that nothing answered
                raise
            except EntryNotFoundError:
                continue
    except MemoryError:
        raise
    except Exception as error:  # its client has a dozen kinds of its own, and those of others
        first_line = str(error).strip().partition("\n")[0] or type(error).__name__
        raise _not_fetched(repository, reason_of(Exception(first_line))) from error
    return None


def _ask() -> None:
    """Any answer will do, in the way that the client will ask, proxies included."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    get_session().head(constants.ENDPOINT, timeout=SECONDS)


def _not_fetched(repository: str, reason: str) -> DownloadError:
    from huggingface_hub import constants

    host = urlsplit(constants.ENDPOINT).hostname or "the Hugging Face hub"
    return DownloadError(
        f"{repository} could not be fetched from {host} ({reason}); connect to the internet once, "
        "or give a CLIP that is on this machine (a folder, or OpenAI's .pt file)"
    )
