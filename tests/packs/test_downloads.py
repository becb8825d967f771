"""Downloads from a local server that does everything wrong that servers do."""

import hashlib
import json
import random
from collections.abc import Iterator
from email.message import Message
from io import BytesIO
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

import pytest
from http_server import Handler, Reply, Server, cut, serving, stall, status

from cfclip.errors import DownloadError, InputError
from cfclip.optim import Progress
from cfclip.packs import Downloads
from cfclip.packs.http_answers import _Redirects, opener, request

CONTENT = random.Random(0).randbytes(700_000)
HALF = len(CONTENT) // 2
NAME = "file.bin"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(CONTENT) as state:
        yield state


@pytest.fixture
def downloads(tmp_path: Path) -> Downloads:
    return Downloads(tmp_path / "kept", timeout=0.5, tries=3, pause=0.0)


def names(downloads: Downloads) -> set[str]:
    return {path.name for path in downloads.folder.iterdir()}


def refused(downloads: Downloads, server: Server) -> str:
    with pytest.raises(DownloadError) as caught:
        downloads.fetch(server.address, NAME)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_comes_once(server: Server, downloads: Downloads) -> None:
    seen: list[Progress] = []
    path = downloads.fetch(server.address, NAME, seen.append)
    assert path.read_bytes() == CONTENT
    assert names(downloads) == {NAME}
    assert seen[-1].step == seen[-1].steps == 1
    assert downloads.fetch(server.address, NAME) == path
    assert server.ranges == [None]


def test_a_truncated_answer_is_continued(server: Server, downloads: Downloads) -> None:
    server.replies = [cut(HALF), cut(1000)]
    assert downloads.fetch(server.address, NAME).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={HALF}-", f"bytes={HALF + 1000}-"]


def test_a_stalled_server_is_left_and_asked_again(server: Server, downloads: Downloads) -> None:
    server.replies = [stall(HALF)]
    assert downloads.fetch(server.address, NAME).read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={HALF}-"


def test_a_server_that_always_stalls(server: Server, downloads: Downloads) -> None:
    server.replies = [stall(HALF), stall(0), stall(0), stall(0)]
    message = refused(downloads, server)
    assert "stalled, 3 times without getting on; 0.3 MB are kept" in message
    server.replies = []
    # Another run, on another day.
    again = Downloads(downloads.folder)
    assert again.fetch(server.address, NAME).read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={HALF}-"


def test_a_length_that_is_too_large(server: Server, downloads: Downloads) -> None:
    def lying(handler: Handler) -> None:
        handler.send(200, CONTENT, Content_Length=str(len(CONTENT) + 9))

    server.replies = [lying] * 3
    message = refused(downloads, server)
    assert f"ended after {len(CONTENT)} of {len(CONTENT) + 9} bytes, 3 times" in message
    assert not (downloads.folder / NAME).exists()


def test_a_length_that_is_too_small(server: Server, downloads: Downloads) -> None:
    # HTTP itself ends there; a pinned hash finds it.
    downloads.fetch(server.address, NAME)
    downloads.pin(NAME, server.address)
    downloads.discard(NAME)
    server.replies = [cut(HALF, Content_Length=str(HALF))]
    assert "has SHA-256" in refused(downloads, server)
    assert names(downloads) >= {"pins.json"}
    assert not (downloads.folder / NAME).exists()
    assert downloads.fetch(server.address, NAME).read_bytes() == CONTENT


def test_lengths_beyond_disk_and_reason(server: Server, downloads: Downloads) -> None:
    server.replies = [cut(10, Content_Length=str(1 << 50))]
    assert "claims 1125899906842624 bytes, the limit is" in refused(downloads, server)


@pytest.mark.parametrize("length", ["\u00b2", "9" * 5000, "-1", "1e3"])
def test_lengths_that_are_no_numbers(server: Server, downloads: Downloads, length: str) -> None:
    server.replies = [lambda handler: handler.send(200, CONTENT, Content_Length=length)]
    assert downloads.fetch(server.address, "file").read_bytes() == CONTENT


@pytest.mark.parametrize("total", ["9" * 5000, "\u00b2"])
def test_ranges_that_are_no_numbers(server: Server, downloads: Downloads, total: str) -> None:
    server.replies = [
        cut(HALF),
        lambda handler: handler.send(
            206, CONTENT[HALF:], Content_Range=f"bytes {HALF}-{len(CONTENT) - 1}/{total}"
        ),
    ]
    assert downloads.fetch(server.address, "file").read_bytes() == CONTENT


def test_corrupted_bytes_are_found_by_the_pin(server: Server, downloads: Downloads) -> None:
    downloads.fetch(server.address, NAME)
    assert not downloads.is_pinned(NAME)
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert downloads.pin(NAME, server.address) == digest
    assert downloads.is_pinned(NAME)
    pins = json.loads((downloads.folder / "pins.json").read_text())
    assert pins[NAME]["sha256"] == digest
    assert pins[NAME]["address"] == server.address
    downloads.discard(NAME)
    server.content = CONTENT[:-1] + b"!"
    message = refused(downloads, server)
    assert f"but had {digest} when it was first used on 20" in message
    assert "pins.json" in message
    assert names(downloads) == {"pins.json", f"{NAME}.part.json"}


def test_a_kept_file_that_was_changed(server: Server, downloads: Downloads) -> None:
    path = downloads.fetch(server.address, NAME)
    downloads.pin(NAME, server.address)
    path.write_bytes(CONTENT + b"x")
    assert "has SHA-256" in refused(downloads, server)
    assert downloads.fetch(server.address, NAME).read_bytes() == CONTENT


def test_damaged_pins_are_not_forgotten_silently(server: Server, downloads: Downloads) -> None:
    downloads.folder.mkdir()
    (downloads.folder / "pins.json").write_text("{")
    assert "pins.json: is not JSON" in refused(downloads, server)


def test_a_file_that_changes_between_two_parts(server: Server, downloads: Downloads) -> None:
    server.replies = [cut(HALF), *[status(503)] * 3]
    refused(downloads, server)
    server.content, server.etag = CONTENT[::-1], '"two"'
    assert downloads.fetch(server.address, NAME).read_bytes() == CONTENT[::-1]


def test_a_range_that_does_not_continue(server: Server, downloads: Downloads) -> None:
    wrong = status(206, CONTENT[5:], Content_Range=f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}")
    server.replies = [cut(HALF), wrong]
    assert downloads.fetch(server.address, NAME).read_bytes() == CONTENT
    server.replies = [cut(HALF), status(416)]
    downloads.discard(NAME)
    assert downloads.fetch(server.address, NAME).read_bytes() == CONTENT


def test_parts_of_another_address_are_not_continued(server: Server, downloads: Downloads) -> None:
    server.replies = [cut(HALF), *[status(500)] * 3]
    refused(downloads, server)
    server.address += "?mirror"
    downloads.fetch(server.address, NAME)
    assert server.ranges[-1] is None


@pytest.mark.parametrize(
    "page",
    [
        status(200, b"<p>quota</p>", Content_Type="text/html; charset=utf-8"),
        status(200, b"\n<!DOCTYPE html><title>Sign in</title>", Content_Type="x/y"),
    ],
)
def test_a_web_page_instead_of_the_file(server: Server, downloads: Downloads, page: Reply) -> None:
    server.replies = [page]
    assert "gives a web page instead of the file" in refused(downloads, server)
    assert not names(downloads)


def test_errors_of_the_server(server: Server, downloads: Downloads) -> None:
    server.replies = [status(404)]
    assert "answers 404 Not Found; the file may have moved" in refused(downloads, server)
    assert len(server.ranges) == 1
    server.replies = [status(503), status(429)]
    assert downloads.fetch(server.address, NAME).read_bytes() == CONTENT
    downloads.discard(NAME)
    server.replies = [status(200)] * 3
    assert "ended after 0 of some bytes" in refused(downloads, server)


def test_redirects(server: Server, downloads: Downloads) -> None:
    server.replies = [status(302, Location="/elsewhere.bin")]
    assert downloads.fetch(server.address, NAME).read_bytes() == CONTENT
    downloads.discard(NAME)
    server.replies = [status(302, Location=server.address)] * 20
    assert "redirect error" in refused(downloads, server)
    asked = request("https://example.org/a", 0, None)
    with pytest.raises(HTTPError, match="a redirect from https to http"):
        _Redirects().redirect_request(asked, BytesIO(), 302, "", Message(), "http://example.org/a")


@pytest.mark.parametrize("place", ["http://[", "http://x:port/", "http://./", "http://\xe9..x/"])
def test_a_redirect_to_what_is_no_address(server: Server, downloads: Downloads, place: str) -> None:
    server.replies = [status(302, Location=place)]
    assert "leads to what is no address (" in refused(downloads, server)
    assert len(server.ranges) == 1


@pytest.mark.parametrize("scheme", ["ftp", "FTP", "file", "data", "gopher"])
def test_a_redirect_stays_with_http(server: Server, downloads: Downloads, scheme: str) -> None:
    with serving(b"other bytes") as other:
        place = f"{scheme}://{urlsplit(other.address).netloc}/file.bin"
        server.replies = [status(302, Location=place)]
        told = refused(downloads, server)
    assert "answers 302" in told
    assert "redirect" in told.lower()
    assert scheme.lower() in told
    assert other.ranges == []
    assert len(server.ranges) == 1


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/a", "file:///etc/passwd", "data:,a"])
def test_nothing_but_http_is_opened(address: str) -> None:
    with pytest.raises(URLError, match="unknown url type"):
        opener().open(address)


def test_nobody_there(downloads: Downloads) -> None:
    with serving(b"") as state:
        address = state.address
    with pytest.raises(DownloadError, match=r"^127\.0\.0\.1 cannot be reached \(\[Errno"):
        downloads.fetch(address, NAME)
    with pytest.raises(InputError, match="no address of http"):
        downloads.fetch("file:///etc/passwd", NAME)


def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(DownloadError, match="choose another folder"):
        Downloads(tmp_path / "kept").fetch(server.address, NAME)


def test_an_interrupt_keeps_what_came(server: Server, downloads: Downloads) -> None:
    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        downloads.fetch(server.address, NAME, stop)
    kept = (downloads.folder / f"{NAME}.part").stat().st_size
    assert kept > 0
    assert downloads.fetch(server.address, NAME).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={kept}-"]
