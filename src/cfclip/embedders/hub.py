"""Files of the Hugging Face hub: those that are kept already, and others within bounded time.

The hub's client tries for minutes where nothing answers. Whether a file is there is asked first.
"""

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from cfclip.errors import DownloadError, InputError, reason_of, shown
from cfclip.io.reach import SECONDS, soon


def check_hub_address() -> None:
    """Raise `InputError` if the variable HF_ENDPOINT is set to what is no address.

    The hub's client, which open_clip imports, cannot even be imported then.
    """
    address = os.environ.get("HF_ENDPOINT", "")
    try:
        urlsplit(address)
    except ValueError as error:
        raise InputError(
            f"HF_ENDPOINT is {shown(address)}, which is no address ({reason_of(error)}); unset it "
            "or set it to one that begins with https://"
        ) from error


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
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    names = tuple(names)
    if (path := kept_file(repository, names)) is not None:
        return path
    try:
        for name in names:
            address = hf_hub_url(repository, name)
            try:
                soon(partial(get_hf_file_metadata, address, timeout=SECONDS))
                return Path(hf_hub_download(repository, name))
            except LocalEntryNotFoundError:  # means that nothing answered
                raise
            except EntryNotFoundError:
                continue
    except MemoryError:
        raise
    except Exception as error:  # its client has a dozen kinds of its own, and those of others
        # What it says of a file that is not kept either hides why there was no other.
        cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else None
        first_line = str(cause or error).strip().partition("\n")[0] or type(error).__name__
        raise _not_fetched(repository, reason_of(Exception(first_line))) from error
    return None


def _not_fetched(repository: str, reason: str) -> DownloadError:
    from huggingface_hub import constants

    host = urlsplit(constants.ENDPOINT).hostname or "the Hugging Face hub"
    return DownloadError(
        f"{repository} could not be fetched from {host} ({reason}); connect to the internet once, "
        "or give a CLIP that is on this machine (a folder, or OpenAI's .pt file)"
    )
