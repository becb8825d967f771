"""Pictures that visitors send: bytes in memory, never files.

A visitor sends the bytes in one request and is given a token, with which the page then asks for
the picture, once. No request names a file: what is not sent cannot be opened.
"""

import secrets
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import unquote

from cfclip.apps.web.jobs import BusyError
from cfclip.apps.web.limits import Limits
from cfclip.errors import InputError

_TOKEN_BYTES = 24
_LONGEST_NAME = 80


@dataclass
class Upload:
    """A picture file as it is sent."""

    name: str
    """What it was called, without a folder."""
    content: bytearray = field(default_factory=bytearray)
    began: float = field(default_factory=time.monotonic)


class Uploads:
    """What is being sent, and what was sent and not asked for yet."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._by_token: dict[str, Upload] = {}

    def __len__(self) -> int:
        return len(self._by_token)

    def begin(self, name: str) -> str:
        """Make room for a file called so, percent-encoded or not; returns the token for it."""
        plain = unquote(name, errors="replace").replace("\\", "/").rpartition("/")[2]
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        with self._lock:
            self._by_token[token] = Upload(plain[:_LONGEST_NAME] or "picture")
        return token

    def extend(self, token: str, part: bytes) -> None:
        """Keep the next bytes of a file.

        Raises `InputError` for a file that becomes too large or comes too slowly, `BusyError` if
        all that is kept becomes too much; what there is of it is forgotten.
        """
        limits = self._limits
        self.forget_old()
        with self._lock:
            upload = self._by_token.get(token)
            if upload is None:
                raise InputError(
                    f"the picture took more than {limits.upload_seconds:g} s to arrive; give a "
                    "smaller one"
                )
            refusal = self._refusal(upload, len(part))
            if refusal is not None:
                del self._by_token[token]
                raise refusal
            upload.content += part

    def _refusal(self, upload: Upload, more: int) -> InputError | BusyError | None:
        """Why so many bytes more are too many."""
        limits = self._limits
        if len(upload.content) + more > limits.upload_bytes:
            return InputError(
                f"the file has more than {limits.upload_megabytes:g} MB, the limit; give a smaller "
                "one"
            )
        waiting = sum(len(each.content) for each in self._by_token.values())
        if waiting + more > limits.waiting_bytes:
            return BusyError(
                f"busy: {len(self._by_token)} pictures wait to be opened, which is the limit; try "
                "again in a minute"
            )
        return None

    def take(self, token: str) -> Upload:
        """The file of a token, which is then forgotten. Raises `InputError` if there is none."""
        self.forget_old()
        with self._lock:
            upload = self._by_token.pop(token, None)
        if upload is None or not upload.content:
            raise InputError("the picture did not arrive; give it again")
        return upload

    def discard(self, token: str) -> None:
        """Forget a file that will not be whole."""
        with self._lock:
            self._by_token.pop(token, None)

    def forget_old(self) -> None:
        """Forget what did not arrive, or was not asked for, in time."""
        oldest = time.monotonic() - self._limits.upload_seconds
        with self._lock:
            self._by_token = {
                token: upload for token, upload in self._by_token.items() if upload.began > oldest
            }
