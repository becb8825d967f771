"""HTTP as downloads need it: requests that continue, redirects, and answers that are checked."""

import re
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, InvalidURL
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from cfclip.errors import DownloadError, InputError, reason_of, shown
from cfclip.version import __version__

CHUNK_BYTES = 1 << 18

_AGENT = f"cfclip/{__version__}"
_PARTIAL = 206
_LENGTH = re.compile(r"[0-9]{1,18}")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]+/([0-9]{1,18})")
_SCHEMES = ("http", "https")
_PRINTABLE = re.compile(r"[!-~]{1,2000}")
_PAGE_STARTS = (b"<!doctype html", b"<html")


class BrokenAnswer(Exception):
    """An attempt that brought less than the whole file; another may bring the rest."""


class StaleRange(BrokenAnswer):
    """The rest of a file that is not the one which was begun."""


@dataclass(frozen=True)
class Answer:
    """The head of an answer, and the first bytes of its body."""

    start: int
    """Where in the file the body begins."""
    total: int | None
    """Bytes of the whole file, if the server says so."""
    validator: str | None
    """What tells this version of the file from others: its ETag, or when it was changed."""
    first: bytes


def opener() -> OpenerDirector:
    """Opens addresses of http and https, proxies of the environment included.

    It follows redirects to these, but never from https to http; any other address, as of ftp or of
    a local file, is unknown to it.
    """
    director = OpenerDirector()
    for handler in (
        *(ProxyHandler(), HTTPHandler(), HTTPSHandler(), UnknownHandler()),
        *(HTTPErrorProcessor(), _Redirects(), HTTPDefaultErrorHandler()),
    ):
        director.add_handler(handler)
    return director


def check_address(address: str) -> None:
    """Raise `InputError` for what is no address of http or https, or has a name or password."""
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").encode("idna")
        usable = parts.scheme in _SCHEMES and bool(host) and parts.port != 0  # which may raise
    except ValueError:
        usable = False
    if not usable or "@" in parts.netloc or not _PRINTABLE.fullmatch(address):
        raise InputError(
            f"{shown(address)} is no address of http or https; give one such as "
            "https://example.org/file.pkl (other characters as %xx, without a name or password)"
        )


def open_request(asked: Request, timeout: float) -> Any:
    """The answer to a request. Raises errors of `urllib` and `http`, and `DownloadError` where a
    redirect or a proxy of the environment has no usable address."""
    try:
        return opener().open(asked, timeout=timeout)
    except (ValueError, InvalidURL) as error:
        raise DownloadError(
            f"{asked.full_url} leads to what is no address ({reason_of(error)}); give the new "
            "place of the file (--address) or the file itself (packs create --generator)"
        ) from error


def ask(address: str, timeout: float) -> None:
    """Have the server of an address say anything. Raises `OSError` for one that does not."""
    head = Request(address, headers={"User-Agent": _AGENT}, method="HEAD")
    try:
        open_request(head, timeout).close()
    except (HTTPError, HTTPException, ConnectionError):
        pass  # a refusal, or one that breaks off, is an answer too
    except URLError as error:
        raise OSError(str(error.reason)) from error


def request(address: str, have: int, validator: str | None) -> Request:
    """A request for what follows the first `have` bytes, if the file is still of `validator`."""
    headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator:
            headers["If-Range"] = validator
    return Request(address, headers=headers)


def read_answer(response: Any, address: str, have: int, known_total: int | None) -> Answer:
    """The answer to `request(address, have, ...)`; `known_total` is what an earlier one said.

    Raises `DownloadError` for a web page, `StaleRange` for a range that does not continue.
    """
    headers = response.headers
    first = response.read1(CHUNK_BYTES)
    html = headers.get_content_type() == "text/html" if "Content-Type" in headers else False
    if html or first.lstrip()[:32].lower().startswith(_PAGE_STARTS):
        raise DownloadError(
            f"{address} gives a web page instead of the file (a notice, a login or a quota); open "
            "it in a browser, and give the file that you get (packs create --generator)"
        )
    etag = headers.get("ETag", "")
    validator = etag if etag.startswith('"') else headers.get("Last-Modified")
    if response.status != _PARTIAL:
        length = headers.get("Content-Length", "").strip()
        return Answer(0, int(length) if _LENGTH.fullmatch(length) else None, validator, first)
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if not match or int(match[1]) != have or known_total not in (None, int(match[2])):
        raise StaleRange("answered with another part of the file than was asked for")
    return Answer(have, int(match[2]), validator, first)


class _Redirects(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in {req.type, "https"}:
            raise HTTPError(newurl, code, f"a redirect from {req.type} to {scheme}", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
