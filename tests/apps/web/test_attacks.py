"""What an attacker tries over HTTP on the running app."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from web_client import WebClient
from web_server import Served, served

pytestmark = pytest.mark.slow

_SECONDS = 5.0
"""In which each attack has to be answered."""


@pytest.fixture(scope="module")
def app(tiny_pack: Path) -> Iterator[Served]:
    with served("--pack", tiny_pack) as running:
        yield running


@pytest.fixture
def client(app: Served) -> Iterator[WebClient]:
    opened = WebClient(app.url)
    yield opened
    opened.close()


def picture(colour: str = "red") -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (40, 40), colour).save(buffer, "PNG")
    return buffer.getvalue()


def as_file(path: str) -> dict[str, Any]:
    """How Gradio writes a file in a request."""
    return {"path": path, "orig_name": "a.png", "meta": {"_type": "gradio.FileData"}}


class Listener:
    """A web server that notes whether anybody came."""

    def __enter__(self) -> "Listener":
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/a.png"
        self.visits = 0
        self._thread = threading.Thread(target=self._count, daemon=True)
        self._thread.start()
        return self

    def _count(self) -> None:
        while True:
            try:
                self._socket.accept()[0].close()
            except OSError:
                return
            self.visits += 1

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


def test_honest_pictures_are_opened(client: WebClient) -> None:
    assert "mine.png" in client.upload("mine.png", picture())
    assert client.edit("green hair", seed=0, steps=2) is not None


def test_no_path_and_no_address_is_opened(app: Served, client: WebClient, tmp_path: Path) -> None:
    """In any field of any event, through every door that takes requests of events."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(picture())
    secret.chmod(0o600)
    link, fifo = tmp_path / "link.png", tmp_path / "fifo.png"
    link.symlink_to(secret)
    os.mkfifo(fifo)
    with Listener() as outside, httpx.Client(base_url=app.url, timeout=_SECONDS) as http:
        wanted = [
            *(str(secret), str(link), str(fifo), str(tmp_path / "missing.png"), str(tmp_path)),
            *("/dev/zero", "/proc/self/mem", outside.url, f"file://{secret}"),
        ]
        answers = set()
        for path in wanted:
            for door in ("queue/join", "run/predict"):
                for request in _requests(client, path):
                    answer = http.post(f"/gradio_api/{door}", json=request)
                    answers.add((answer.status_code, answer.text))
            # The token of an upload is no path either, and the name of one leads nowhere.
            assert "did not arrive" in client.call("cf-upload", "click", [], {"upload": path})
            for address in (
                f"/gradio_api/file={path}",
                f"/file={path}",
                f"/gradio_api/proxy={path}",
            ):
                assert http.get(address).status_code == 404
            with pytest.raises(httpx.HTTPStatusError):
                http.post("/gradio_api/upload", files={"files": (path, b"x")}).raise_for_status()
        # One answer for all: nobody learns which of these exist.
        assert {status for status, _ in answers} == {400}
        assert len(answers) == 1
        assert outside.visits == 0
    assert [each for each in app.temporary.rglob("*") if each.is_file()] == []


def _requests(client: WebClient, path: str) -> Iterator[Any]:
    file = as_file(path)
    for data in ([file], [[file]], [{"a": file}], [{"value": file}]):
        yield client.request("cf-sample", "submit", data)
    yield client.request("cf-upload", "click", [], {"upload": file})
    yield client.request("cf-upload", "click", [], {"upload": {"deep": [file]}})
    yield {**client.request("cf-sample", "submit", [3]), "oauth_token": file}
    yield {**client.request("cf-sample", "submit", [3]), "session_hash": path}


def test_what_fits_no_function_is_refused_in_a_line(app: Served, client: WebClient) -> None:
    good = client.request("cf-sample", "submit", [3])
    odd: list[Any] = [
        *(None, [], "text", 5, {}, {"data": []}),
        *({**good, "fn_index": number} for number in (-1, 10**6, "0", None, 1.5, True, [])),
        *({**good, "data": data} for data in (None, [], [1, 2], "3", {"0": 3}, [[]])),
        *({**good, "session_hash": name} for name in ("", "a b", "a" * 65, 5, [], "\0", "../x")),
        *({**good, "event_data": about} for about in ([], [1], {"a": []}, {"choice": {}})),
        client.request("cf-upload", "click", []),
        client.request("cf-upload", "click", [], "token"),
    ]
    raw = [
        *(b"", b"{", b"\xff\xfe", b"[" * 50_000, b'{"data":' * 5_000, b"null", b"NaN"),
        *(json.dumps({**good, "data": [value]}).encode() for value in (float("nan"), float("inf"))),
        b'{"data": [' + b"9" * 5_000 + b"]}",
        json.dumps({**good, "data": ["\ud800"]}).encode(),
    ]
    with httpx.Client(base_url=app.url, timeout=_SECONDS) as http:
        for body in [*(json.dumps(each).encode() for each in odd), *raw]:
            for door in ("queue/join", "run/predict"):
                answer = http.post(f"/gradio_api/{door}", content=body)
                refused = answer.status_code == 400 and answer.text.count("\n") == 1
                assert refused or answer.status_code == 422, (body[:200], answer.text)
        for address in ("queue/data", "queue/data?session_hash=a%20b", "heartbeat/a/b"):
            assert http.get(f"/gradio_api/{address}").status_code == 400


def test_odd_values_of_fields_are_told_on_the_page(client: WebClient) -> None:
    for value in (None, "x", 1e308, -1, 1.5, True, "/etc/passwd", 10**30):
        for field in ("cf-sample", "cf-next"):
            client.call(field, "submit" if field == "cf-sample" else "click", [value])
        client.call("cf-text", "change", [value])
        client.call("cf-strength", "input", [value, value])
        client.call("cf-method", "input", [value])
    assert "a.png is not a picture" in client.upload("a.png", b"x")
    assert "sample 5" in client.call("cf-sample", "submit", [5])
