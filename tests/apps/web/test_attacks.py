"""What an attacker tries over HTTP on the running app."""

import contextlib
import json
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
STRICT_SECONDS = 6.0


@pytest.fixture(scope="module")
def app(tiny_pack: Path) -> Iterator[Served]:
    with served("--pack", tiny_pack) as running:
        yield running


@pytest.fixture(scope="module")
def strict(tiny_pack: Path) -> Iterator[Served]:
    """With limits that a test can reach."""
    limits = ("--limits.waiting-megabytes", 50, "--limits.upload-seconds", STRICT_SECONDS)
    with served("--pack", tiny_pack, *limits) as running:
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
        *(json.dumps({**good, "data": [each]}).encode() for each in ("\ud800", "\udc80")),
        json.dumps(client.request("cf-examples", "click", [], {"choice": "\udc80"})).encode(),
    ]
    as_json = {"Content-Type": "application/json"}
    with httpx.Client(base_url=app.url, timeout=_SECONDS) as http:
        for body in [*(json.dumps(each).encode() for each in odd), *raw]:
            for door in ("queue/join", "run/predict"):
                answer = http.post(f"/gradio_api/{door}", content=body, headers=as_json)
                refused = answer.status_code == 400 and answer.text.count("\n") == 1
                assert refused or answer.status_code == 422, (body[:200], answer.text)
        nobody = "queue/data?session_hash=nobody"
        for address in ("queue/data", "queue/data?session_hash=a%20b", nobody, "heartbeat/a/b"):
            assert http.get(f"/gradio_api/{address}").status_code == 400


def test_odd_values_of_fields_are_told_on_the_page(client: WebClient) -> None:
    for value in (None, "x", 1e308, -1, 1.5, True, "/etc/passwd", 10**18):
        for field in ("cf-sample", "cf-next"):
            client.call(field, "submit" if field == "cf-sample" else "click", [value])
        client.call("cf-text", "change", [value])
        client.call("cf-strength", "input", [value, value])
        client.call("cf-method", "input", [value])
        client.call("cf-history", "click", [], {"choice": value})
    assert "expected a whole number" in client.call(
        "cf-history", "click", [], {"choice": "9" * 5000}
    )
    assert "a.png is not a picture" in client.upload("a.png", b"x")
    assert "sample 5" in client.call("cf-sample", "submit", [5])


def test_many_large_pictures_at_once_take_the_memory_of_one(strict: Served) -> None:
    buffer = BytesIO()
    Image.new("1", (6300, 6300)).save(buffer, "PNG")
    before = strict.resident_megabytes()
    clients = [WebClient(strict.url) for _ in range(12)]
    with ThreadPoolExecutor(len(clients)) as pool:
        said = list(pool.map(lambda each: each.upload("big.png", buffer.getvalue()), clients))
    assert [each for each in said if "big.png" not in each] == []
    assert strict.peak_megabytes() - before < 1000
    for each in clients:
        each.close()


def test_bytes_that_nobody_takes_are_bounded(strict: Served) -> None:
    with httpx.Client(base_url=strict.url, timeout=60.0) as http:
        before = strict.resident_megabytes()
        answers = [http.post("/uploads", content=bytes(10_000_000)) for _ in range(40)]
        assert [each.status_code for each in answers[:5]] == [200] * 5
        refused = {each.text for each in answers if each.status_code == 503}
        assert refused == {
            "busy: 6 pictures wait to be opened, which is the limit; try again in a minute"
        }
        assert strict.resident_megabytes() - before < 200
        time.sleep(STRICT_SECONDS)
        assert http.post("/uploads", content=bytes(10_000_000)).status_code == 200
        assert [each for each in strict.temporary.rglob("*") if each.is_file()] == []


def chunks(count: int) -> Iterator[bytes]:
    """A body whose length is not told before."""
    for _ in range(count):
        yield bytes(1_000_000)


def test_bodies_are_bounded(app: Served, client: WebClient) -> None:
    with httpx.Client(base_url=app.url, timeout=60.0) as http:
        before = app.peak_megabytes()
        for door in ("queue/join", "run/predict", "cancel", "reset"):
            for body in (bytes(50_000_000), chunks(50)):
                answer = http.post(f"/gradio_api/{door}", content=body)
                assert answer.status_code == 413
                assert answer.text == (
                    "a request to this address has at most 65,536 bytes; send less\n"
                )
        for body in (bytes(30_000_000), chunks(30)):
            answer = http.post("/uploads", content=body)
            assert answer.status_code == 413
        assert app.peak_megabytes() - before < 300
    assert "sample 5" in client.call("cf-sample", "submit", [5])


def test_what_is_only_read_has_no_body(app: Served) -> None:
    for path in ("/gradio_api/heartbeat/abc", "/gradio_api/app_id", "/"):
        for length in ("Content-Length: 100", "Transfer-Encoding: chunked"):
            with opened(app) as sent:
                sent.sendall(_head(path, length, method="GET"))
                sent.settimeout(_SECONDS)
                assert sent.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_answers_that_nobody_asks_for_are_bounded(app: Served, client: WebClient) -> None:
    """Those of events; a window that asks for them goes on."""
    with httpx.Client(base_url=app.url, timeout=_SECONDS) as http:
        request = client.request("cf-strength", "input", [1.0, False])
        answers = [http.post("/gradio_api/queue/join", json=request) for _ in range(6)]
        assert [each.status_code for each in answers] == [200] * 4 + [429] * 2
        assert "load the page again" in answers[-1].text
        address = f"/gradio_api/queue/data?session_hash={request['session_hash']}"
        assert http.get(address).text.count("process_completed") == 4
    client.call("cf-strength", "input", [1.0, False])


def test_a_body_that_does_not_come_is_not_waited_for(strict: Served) -> None:
    for path in ("/uploads", "/gradio_api/run/predict"):
        with opened(strict) as sent:
            sent.sendall(_head(path, "Content-Length: 100") + b"{")
            sent.settimeout(_SECONDS + STRICT_SECONDS)
            assert sent.recv(1000).startswith(b"HTTP/1.1 408 ")
    with opened(strict) as sent:  # goes in the middle of a picture
        sent.sendall(_head("/uploads", "Content-Length: 100") + b"abc")
    client = WebClient(strict.url)
    assert "sample 5" in client.call("cf-sample", "submit", [5])
    client.close()


def test_half_requests_keep_nobody_out(app: Served) -> None:
    """1,100 of each kind: more connections than most processes may have files open."""
    kinds = (
        b"",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        _head("/gradio_api/run/predict", "Content-Length: 100") + b"{",
        _head("/uploads", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n",
        b"GET /gradio_api/heartbeat/a%d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    before = app.resident_megabytes()
    try:
        for kind in kinds:
            held = []
            for number in range(1100):
                held.append(opened(app))
                with contextlib.suppress(OSError):
                    held[-1].sendall(kind.replace(b"%d", b"%d" % number))
            began = time.monotonic()
            client = WebClient(app.url)
            assert "sample 5" in client.call("cf-sample", "submit", [5]), kind
            assert time.monotonic() - began < 2 * _SECONDS, kind
            client.close()
            for each in held:
                each.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert app.resident_megabytes() - before < 200


def test_invented_visitors_keep_nobody_out(app: Served, client: WebClient) -> None:
    with httpx.Client(base_url=app.url, timeout=_SECONDS) as http:
        for number in range(200):
            request = client.request("cf-sample", "submit", [number])
            request["session_hash"] = f"invented{number}"
            assert http.post("/gradio_api/run/predict", json=request).status_code == 200
    newcomer = WebClient(app.url)
    assert newcomer.edit("green hair", seed=0, steps=2) is not None
    newcomer.close()


def test_what_is_no_http_is_not_answered_at_length(app: Served) -> None:
    for said in (
        b"\0" * 1000,
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"a" * 10**6,
        b"\x16\x03",
    ):
        for _ in range(50):
            with opened(app) as sent, contextlib.suppress(OSError):
                sent.sendall(said)
                sent.shutdown(socket.SHUT_WR)
                sent.settimeout(_SECONDS)
                assert len(sent.recv(10_000)) < 1000
    with httpx.Client(base_url=app.url) as http:
        assert http.get("/").status_code == 200


def test_no_end_leaves_pictures_on_the_disk(tiny_pack: Path, tmp_path: Path) -> None:
    """What a killed process had to leave is removed by the next one."""
    with served("--pack", tiny_pack, end=signal.SIGKILL, temporary=tmp_path) as app:
        left = _half_done(app)
    assert left.exists()
    with served("--pack", tiny_pack, end=signal.SIGTERM, temporary=tmp_path) as app:
        assert not left.exists()
        _half_done(app)
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []


def _half_done(app: Served) -> Path:
    """Pictures that were sent, one opened and one not, and a download that is being made."""
    client = WebClient(app.url)
    client.upload("mine.png", picture())
    client.close()
    with httpx.Client(base_url=app.url) as http:
        http.post("/uploads", content=bytes(10_000_000)).raise_for_status()
    folder = next(app.temporary.glob("cfclip-web-*"))
    (folder / "half.png").write_bytes(b"half of a download")
    return folder


def opened(app: Served) -> socket.socket:
    port = int(app.url.rstrip("/").rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), _SECONDS)


def _head(path: str, *more: str, method: str = "POST") -> bytes:
    lines = (f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *more, "", "")
    return "\r\n".join(lines).encode()
