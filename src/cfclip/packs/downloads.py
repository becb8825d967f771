"""Files fetched over HTTP into a folder: resumed, checked, pinned.

A file is known by its name. The hash that it had when it was first used is written to `pins.json`;
the same name never stands for other bytes afterwards, whatever address it comes from.
"""

import json
import os
import shutil
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from cfclip.errors import CfclipError, DownloadError, failing_to, shown_name
from cfclip.io import (
    SECONDS,
    FormatError,
    alone_at,
    atomic_write,
    build,
    fit,
    named,
    read_json,
    remove_partials,
    sha256_of,
    soon,
)
from cfclip.packs.http_answers import (
    CHUNK_BYTES,
    Answer,
    BrokenAnswer,
    StaleRange,
    ask,
    check_address,
    open_request,
    read_answer,
    request,
)

if TYPE_CHECKING:
    from cfclip.optim import Progress

PINS_FILE = "pins.json"
MOST_BYTES = 8 << 30
"""No generator is larger; a server that never ends should not fill the disk."""

_MEGABYTE = 1e6
_LONGEST_PAUSE = 30.0
_GONE = 416
"""Status of an answer to a range that the file does not have."""
_PINS_SECONDS = 10.0
"""To wait for another process that writes the pins, which takes it no time."""
_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class _Notes:
    """What is known of a file that is not there whole yet."""

    address: str | None = None
    total: int | None = None
    validator: str | None = None


_Pins = Mapping[str, Mapping[str, str]]
_PASSING = (BrokenAnswer, URLError, HTTPException, TimeoutError, ConnectionError, ssl.SSLError)

Callback = Callable[["Progress"], None]
"""Told how far a download is, in megabytes."""


class Downloads:
    """A folder of downloaded files.

    Args:
        folder: made if needed; holds the files, unfinished ones (`.part`) and `pins.json`.
        timeout: seconds without a byte after which a connection counts as stalled.
        tries: attempts in a row that bring nothing new before giving up.
        pause: seconds before the second attempt; doubled before each further one.
    """

    def __init__(
        self, folder: str | Path, timeout: float = 30.0, tries: int = 5, pause: float = 1.0
    ) -> None:
        self.folder = Path(folder).expanduser()
        self.timeout = timeout
        self.tries = tries
        self.pause = pause

    def fetch(
        self,
        address: str,
        name: str,
        callback: Callback | None = None,
        prove: Callable[[Path], object] | None = None,
    ) -> Path:
        """The file `name`, from the folder if it is there whole, else from `address`.

        What a broken-off download brought is kept, and the next call goes on from there.

        Args:
            address: of http or https.
            name: of the file in the folder; only one process at a time fetches it.
            callback: told how far the download is.
            prove: tries a file that was never pinned, which is pinned then; for one that it raises
                a `CfclipError` for, the error passes on and the file is removed.

        Raises:
            InputError: an address that is not of http or https, or another process that fetches
                this file.
            DownloadError: the server cannot be reached, stalls, answers with an error or a web
                page, ends too early again and again, or gives other bytes than before.
        """
        check_address(address)
        path = self.folder / name
        doing = f"keep {name} in {self.folder}"
        with failing_to(doing, "choose another folder", kind=DownloadError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._alone(name):
                remove_partials(self.folder)
                if not path.exists():
                    self._fetch(address, name, callback)
                self._check(path)
                if prove is not None and not self.is_pinned(name):
                    self._prove(address, name, prove)
        return path

    def _alone(self, name: str) -> AbstractContextManager[None]:
        doing = f"downloads {name} to {self.folder}; wait for it, then give the same command again"
        return alone_at(self.folder / f".{name}.lock", doing)

    def _prove(self, address: str, name: str, prove: Callable[[Path], object]) -> None:
        try:
            prove(self.folder / name)
        except CfclipError:
            self.discard(name)
            raise
        self.pin(name, address)

    def pin(self, name: str, address: str) -> str:
        """Remember the hash of a file that proved usable; returns it."""
        digest = sha256_of(self.folder / name)
        file = self.folder / PINS_FILE
        with alone_at(file.with_suffix(".lock"), f"writes {file}; try again", _PINS_SECONDS):
            pins = self._pins()
            if name not in pins:
                day = datetime.now(UTC).date().isoformat()
                pins[name] = {"sha256": digest, "address": address, "first_used": day}
                with atomic_write(file) as temporary:
                    temporary.write_text(json.dumps(pins, indent=2) + "\n", encoding="utf-8")
        return digest

    def is_pinned(self, name: str) -> bool:
        """Whether a file of this name was used before."""
        return name in self._pins()

    def discard(self, name: str) -> None:
        """Remove a file that proved useless. Its pin, if any, stays."""
        for path in (self.folder / name, *self._unfinished(name)):
            path.unlink(missing_ok=True)

    def _unfinished(self, name: str) -> tuple[Path, Path]:
        """The file that bytes are added to, and what is known of them."""
        return self.folder / f"{name}.part", self.folder / f"{name}.part.json"

    def _fetch(self, address: str, name: str, callback: Callback | None) -> None:
        try:
            soon(partial(ask, address, SECONDS))
        except OSError as error:
            raise DownloadError(
                f"{urlsplit(address).hostname} cannot be reached ({error}); connect to the "
                "internet, or give the file itself (packs create --generator)"
            ) from error
        part, notes = self._unfinished(name)
        furthest, failures = _size(part), 0
        while True:
            try:
                self._attempt(address, name, callback)
                break
            except _PASSING as error:
                if isinstance(error, HTTPError) and error.code not in (*_TEMPORARY, _GONE):
                    raise DownloadError(
                        f"{address}: the server answers {error.code} {_reason(error)}; the file "
                        "may have moved, give its new place (--address) or the file itself "
                        "(packs create --generator)"
                    ) from error
                if isinstance(error, StaleRange) or getattr(error, "code", None) == _GONE:
                    part.unlink(missing_ok=True)
                reason = _reason(error)
            failures = 1 if _size(part) > furthest else failures + 1
            furthest = max(furthest, _size(part))
            if failures >= self.tries:
                raise DownloadError(
                    f"{address}: {reason}, {failures} times without getting on; "
                    f"{_size(part) / _MEGABYTE:.1f} MB are kept, the same command goes on from "
                    "there"
                )
            time.sleep(min(self.pause * 2 ** (failures - 1), _LONGEST_PAUSE))
        self._check(part, name)
        os.replace(part, self.folder / name)
        notes.unlink(missing_ok=True)

    def _attempt(self, address: str, name: str, callback: Callback | None) -> None:
        """Ask for what is missing of a file, and add it. Raises what `_PASSING` names if it is
        still not all."""
        part, notes = self._unfinished(name)
        known = _read_notes(notes)
        total, validator = known.total, known.validator
        # Bytes of another server, or of a file that nothing tells from others, are not continued.
        if known.address != address or (total is None and validator is None):
            part.unlink(missing_ok=True)
            total = validator = None
        have = _size(part)
        if have and have == total:  # an earlier run got all of it, but was stopped right then
            return
        with open_request(request(address, have, validator), self.timeout) as response:
            answer = read_answer(response, address, have, total)
            self._check_room(answer, address)
            if answer.start != have:
                part.unlink(missing_ok=True)
            with atomic_write(notes) as temporary:
                told = _Notes(address, answer.total, answer.validator)
                temporary.write_text(json.dumps(asdict(told)), encoding="utf-8")
            self._add(response, answer, part, callback)
        size = _size(part)
        if not size or (answer.total is not None and size < answer.total):
            raise BrokenAnswer(f"ended after {size} of {answer.total or 'some'} bytes")

    def _add(self, response: Any, answer: Answer, part: Path, callback: Callback | None) -> None:
        began, have = time.monotonic(), answer.start
        with part.open("ab") as file:
            chunk = answer.first
            while chunk:
                file.write(chunk)
                have += len(chunk)
                if have > MOST_BYTES:
                    raise DownloadError(
                        f"more than {MOST_BYTES} bytes came; no generator is so large"
                    )
                if callback is not None:
                    rate = (have - answer.start) / max(time.monotonic() - began, 1e-3)
                    callback(_progress(have, answer.total, rate))
                chunk = response.read1(CHUNK_BYTES)

    def _check_room(self, answer: Answer, address: str) -> None:
        needed = (answer.total or 0) - answer.start
        if needed > MOST_BYTES:
            raise DownloadError(
                f"{address} claims {needed} bytes, the limit is {MOST_BYTES}; give the file itself "
                "(packs create --generator)"
            )
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise DownloadError(
                f"{self.folder} has room for {free / _MEGABYTE:.0f} MB, {needed / _MEGABYTE:.0f} "
                "MB are needed; free some, or choose another folder"
            )

    def _check(self, path: Path, name: str | None = None) -> None:
        pin = self._pins().get(name or path.name)
        found = sha256_of(path) if pin else ""
        if pin and found != pin["sha256"]:
            path.unlink()
            raise DownloadError(
                f"{name or path.name} has SHA-256 {found}, but had {pin['sha256']} when it was "
                f"first used on {pin['first_used']}; what came was removed. Fetch it again; if its "
                f"publisher changed it, take its entry out of {self.folder / PINS_FILE}"
            )

    def _pins(self) -> dict[str, dict[str, str]]:
        path = self.folder / PINS_FILE
        if not path.exists():
            return {}
        with named(path, "restore it, or remove it to trust anew", DownloadError):
            pins: dict[str, dict[str, str]] = fit(read_json(path), _Pins, "it")
            for name, pin in pins.items():
                if not {"sha256", "first_used"} <= pin.keys():
                    raise FormatError(f"{shown_name(name)} has no sha256 or first_used")
        return pins


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _read_notes(path: Path) -> _Notes:
    """What an earlier run noted; nothing where there is no such file, or something else in it."""
    try:
        return build(_Notes, read_json(path))
    except FormatError:
        return _Notes()


def _reason(error: Exception) -> str:
    """What went wrong, in a few words of one line."""
    if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
        return "stalled"
    inner = getattr(error, "reason", error)
    return str(inner).strip().partition("\n")[0] or type(inner).__name__


def _progress(have: int, total: int | None, rate: float) -> "Progress":
    from cfclip.optim import Progress  # which takes a second

    megabytes = round(have / _MEGABYTE)
    steps = megabytes if total is None else max(round(total / _MEGABYTE), megabytes)
    return Progress(megabytes, steps, {"MB/s": rate / _MEGABYTE})
