"""What of the server may be asked for, by whom: middleware around all of the app.

The page needs few of Gradio's addresses. The others serve files and remote addresses, list runs or
describe an API; they are not there.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

HOSTS = ("127.0.0.1", "localhost")
"""Names that a browser may call the app by. Others are pages elsewhere whose name was made to lead
here, so as to read what is here."""

_GRADIO = "/gradio_api/"
_NEEDED = (
    *("queue/join", "queue/data", "heartbeat/", "startup-events"),
    *("run/predict", "cancel", "reset", "app_id"),
)
_CLOSED = ("/monitoring", "/login", "/logout", "/pwa_icon", "/docs", "/openapi.json", "/redoc")

_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        # Gradio's page sets styles and runs handlers in its elements.
        "style-src 'self' 'unsafe-inline'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "font-src 'self' data:",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'self'",
        "form-action 'none'",
    )
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Guard:
    """Lets through what the page needs, and tells browsers to ask nobody else for anything."""

    def __init__(self, app: Asgi) -> None:
        self._app = app
        self._closing = asyncio.Event()

    def end_streams(self) -> None:
        """End what is still being answered, from the event loop: open pages listen for ever."""
        self._closing.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        begun = finished = False

        async def send_marked(message: MutableMapping[str, Any]) -> None:
            nonlocal begun, finished
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
                begun = True
            else:
                finished = not message.get("more_body", False)
            await send(message)

        if scope["type"] != "http" or not _known_host(scope):
            await answer(send_marked, 421)
            return
        if _sent_by_another_page(scope):
            await answer(send_marked, 403)
            return
        if not is_needed(scope["path"]):
            await answer(send_marked, 404)
            return
        await self._app(scope, partial(_first_of, receive, self._closing), send_marked)
        if begun and not finished and self._closing.is_set():
            await send({"type": "http.response.body", "body": b""})


def is_needed(path: str) -> bool:
    """Whether the page asks for such an address.

    >>> is_needed("/gradio_api/queue/join"), is_needed("/gradio_api/file=/etc/passwd")
    (True, False)
    """
    plain = "/" + path.lstrip("/")
    if plain.startswith(_GRADIO):
        return plain.removeprefix(_GRADIO).startswith(_NEEDED)
    return not plain.startswith(_CLOSED) and not plain.startswith(("/file", "/proxy"))


def _known_host(scope: Scope) -> bool:
    names = [value.decode("latin-1") for key, value in scope["headers"] if key == b"host"]
    return len(names) == 1 and names[0].partition(":")[0] in HOSTS


def _sent_by_another_page(scope: Scope) -> bool:
    """Whether a page elsewhere had the browser send something: that it does, files too, though it
    keeps the answer from that page."""
    if scope["method"] in ("GET", "HEAD"):
        return False
    told = dict(scope["headers"])
    site, origin = told.get(b"sec-fetch-site"), told.get(b"origin")
    if site is not None:
        return bool(site != b"same-origin")
    # Older browsers. Programs tell neither.
    return origin is not None and origin.lower() != b"http://" + told[b"host"].lower()


async def _first_of(receive: Receive, closing: asyncio.Event) -> MutableMapping[str, Any]:
    """What comes next, or that the other side has gone once the server is to close."""
    message, closed = asyncio.ensure_future(receive()), asyncio.ensure_future(closing.wait())
    try:
        await asyncio.wait((message, closed), return_when=asyncio.FIRST_COMPLETED)
        return message.result() if message.done() else {"type": "http.disconnect"}
    finally:
        message.cancel()
        closed.cancel()


async def answer(send: Send, status: int, line: str = "") -> None:
    """Answer a request with one line."""
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{line}\n".encode() if line else b""})
