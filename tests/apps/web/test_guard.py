"""The guard around the app: who may ask for what."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from cfclip.apps.web.guard import Guard


def ask(path: str, *hosts: str, kind: str = "http", **more: str) -> tuple[int, dict[bytes, bytes]]:
    """Status and headers of the answer, 200 if the app itself was reached."""
    sent: list[MutableMapping[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})

    async def receive() -> MutableMapping[str, Any]:
        return {}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    headers = [(b"host", host.encode()) for host in hosts]
    method = more.pop("method", "GET")
    headers += [(name.replace("_", "-").encode(), each.encode()) for name, each in more.items()]
    scope = {"type": kind, "method": method, "path": path, "headers": headers}
    asyncio.run(Guard(app)(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"])


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/config", "/theme.css", "/assets/index.js", "/edits/token/1/picture"),
        *("/gradio_api/queue/join", "/gradio_api/queue/data", "/uploads"),
        *("/gradio_api/heartbeat/abc", "/gradio_api/run/predict"),
    ],
)
def test_what_the_page_needs_is_there_and_asks_nobody_else(path: str) -> None:
    status, headers = ask(path, "127.0.0.1:7860")
    assert status == 200
    policy = headers[b"content-security-policy"].decode()
    assert "default-src 'self'" in policy
    assert "http" not in policy
    assert headers[b"a"] == b"b"


@pytest.mark.parametrize(
    "path",
    [
        *("/gradio_api/file=/etc/passwd", "/gradio_api/file/etc/passwd", "/file=/etc/passwd"),
        *("//gradio_api/file=/x", "/gradio_api/proxy=http://example.org", "/proxy=http://x"),
        *("/gradio_api/file=http://example.org", "/gradio_api/runs", "/gradio_api/info"),
        *("/gradio_api/call/edit", "/gradio_api/mcp", "/gradio_api/deep_link", "/monitoring"),
        *("/openapi.json", "/docs", "/gradio_api/upload", "/gradio_api/upload_progress"),
        "/gradio_api/run/edit",
    ],
)
def test_what_it_does_not_need_is_not(path: str) -> None:
    assert ask(path, "localhost")[0] == 404


def test_pages_elsewhere_do_not_get_in() -> None:
    assert ask("/", "localhost:80")[0] == 200
    for hosts in (("evil.example:7860",), ("127.0.0.1.evil.example",), (), ("localhost", "evil")):
        assert ask("/", *hosts)[0] == 421
    assert ask("/", "localhost", kind="websocket")[0] == 421


def test_pages_elsewhere_send_nothing_in() -> None:
    """A browser sends what any page gives it, and keeps but the answer from that page."""

    def send(**told: str) -> int:
        return ask("/uploads", "127.0.0.1:7860", method="POST", **told)[0]

    assert send() == 200  # a program
    assert send(origin="http://127.0.0.1:7860") == 200
    assert send(origin="null", sec_fetch_site="same-origin") == 200  # as our referrer policy has it
    for origin in ("http://evil.example", "null", "http://127.0.0.1:8000"):
        assert send(origin=origin) == 403
    for site in ("cross-site", "same-site", "none"):
        assert send(origin="http://127.0.0.1:7860", sec_fetch_site=site) == 403
    assert ask("/", "127.0.0.1:7860", sec_fetch_site="cross-site")[0] == 200  # a link to the page
