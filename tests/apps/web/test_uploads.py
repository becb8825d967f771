"""Uploads are bytes in memory, taken once, bounded in size, number and time."""

import time

import pytest

from cfclip.apps.web.jobs import BusyError
from cfclip.apps.web.limits import Limits
from cfclip.apps.web.uploads import Uploads
from cfclip.errors import InputError


def sent(uploads: Uploads, content: bytes, name: str = "cat.png") -> str:
    token = uploads.begin(name)
    uploads.extend(token, content)
    return token


def test_what_was_sent_is_taken_once() -> None:
    uploads = Uploads(Limits())
    token = sent(uploads, b"cat")
    uploads.extend(token, b"s")
    upload = uploads.take(token)
    assert (upload.name, bytes(upload.content), len(uploads)) == ("cat.png", b"cats", 0)
    with pytest.raises(InputError, match="did not arrive"):
        uploads.take(token)


@pytest.mark.parametrize("token", ["", "/etc/passwd", "http://127.0.0.1/x", "\0"])
def test_nothing_else_is_there_to_take(token: str) -> None:
    uploads = Uploads(Limits())
    sent(uploads, b"cat")
    with pytest.raises(InputError, match="did not arrive"):
        uploads.take(token)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("My%20Caf%C3%A9.png", "My Caf\u00e9.png"),
        ("../../etc/cat.png", "cat.png"),
        ("C:%5Cme%5Ccat.png", "cat.png"),
        ("", "picture"),
        ("%ff.png", "\ufffd.png"),
    ],
)
def test_names_are_names(name: str, kept: str) -> None:
    uploads = Uploads(Limits())
    assert uploads.take(sent(uploads, b"cat", name)).name == kept


def test_too_much_is_refused_and_forgotten() -> None:
    uploads = Uploads(Limits(upload_megabytes=1, waiting_megabytes=2))
    token = sent(uploads, bytes(900_000))
    with pytest.raises(InputError, match="more than 1 MB, the limit"):
        uploads.extend(token, bytes(100_001))
    assert len(uploads) == 0
    kept = [sent(uploads, bytes(1_000_000)) for _ in range(2)]
    with pytest.raises(BusyError, match="busy: 3 pictures"):
        sent(uploads, b"x")
    assert len(uploads.take(kept[0]).content) == 1_000_000
    sent(uploads, b"x")


def test_what_nobody_takes_in_time_is_forgotten() -> None:
    uploads = Uploads(Limits(upload_seconds=0.05))
    token = sent(uploads, b"cat")
    time.sleep(0.1)
    with pytest.raises(InputError, match=r"took more than 0\.05 s"):
        uploads.extend(token, b"s")
    assert len(uploads) == 0
    token = sent(uploads, b"cat")
    uploads.discard(token)
    assert len(uploads) == 0
