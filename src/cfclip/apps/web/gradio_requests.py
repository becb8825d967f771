"""Requests to Gradio carry plain values only.

Gradio takes an object with a path, in any field of a request, for a file: it reads that path or
fetches that address before a handler of the page is asked, and copies what it finds to where it can
be fetched from. No field of our page is a file, so none may be an object, and what does not fit the
function that it is for is refused before Gradio sees it.
"""

import re
from collections.abc import Collection, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from cfclip.apps.web.guard import Asgi, Receive, Scope, Send, answer
from cfclip.io import FormatError, parse_json

_PREFIX = "/gradio_api/"
_JOIN = f"{_PREFIX}queue/join"
_MOST_UNTOLD = 4
"""Events of a window at a time; its page has one edit, and clicks once more at most."""
_HASH = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SURROGATES = re.compile("[\ud800-\udfff]")
"""The reader lets some pass, which names of files may have."""
_MISFIT = "the page and the app do not fit together; load the page again"
_UNTOLD = f"this window has {_MOST_UNTOLD} events whose end it was not told; load the page again"


@dataclass(frozen=True)
class Given:
    """What a function of the page is given."""

    fields: int
    """How many values of fields."""
    event: bool
    """Whether it has to know more of the event."""


class PlainRequests:
    """Middleware that passes on what the page's own script could have sent, and nothing else.

    Args:
        app: Gradio's.
        functions: number of each of its functions to what that is given.
        untold: window to its events whose end it was not told yet. Gradio keeps all that they say
            until somebody asks for it.
    """

    def __init__(
        self,
        app: Asgi,
        functions: Mapping[int, Given],
        untold: Mapping[str, Collection[str]],
    ) -> None:
        self._app = app
        self._functions = functions
        self._untold = untold

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http" or not scope["path"].startswith(_PREFIX):
            await self._app(scope, receive, send)
            return
        if scope["method"] in ("GET", "HEAD"):
            if self._names_a_window(scope):
                await self._app(scope, receive, send)
            else:
                await answer(send, 400, _MISFIT)
            return
        body = await _whole_body(receive)
        content = _content(body)
        if not isinstance(content, dict) or not self._is_plain(content):
            await answer(send, 400, _MISFIT)
        elif scope["path"] == _JOIN and self._is_untold(content.get("session_hash")):
            await answer(send, 429, _UNTOLD)
        else:
            await self._app(scope, _given(body, receive), send)

    def _is_untold(self, window: object) -> bool:
        return isinstance(window, str) and len(self._untold.get(window, ())) >= _MOST_UNTOLD

    def _names_a_window(self, scope: Scope) -> bool:
        """Whether an address that is of a window names one, and has anything to tell it."""
        path, query = scope["path"], scope.get("query_string", b"").decode("latin-1")
        beat = f"{_PREFIX}heartbeat/"
        if path.startswith(beat):
            return bool(_HASH.fullmatch(path.removeprefix(beat)))
        if path == f"{_PREFIX}queue/data":
            name, _, window = query.partition("=")
            return name == "session_hash" and window in self._untold
        return True

    def _is_plain(self, content: Mapping[str, Any]) -> bool:
        """Whether all values are plain, and fit the function that they are for if they name one."""
        event, data = content.get("event_data"), content.get("data")
        values = [value for key, value in content.items() if key not in ("event_data", "data")]
        session = content.get("session_hash")
        if session is not None and not (isinstance(session, str) and _HASH.fullmatch(session)):
            return False
        values += event.values() if isinstance(event, dict) else [event]
        if data is not None:
            number = content.get("fn_index")
            function = self._functions.get(number) if type(number) is int else None
            if function is None or not isinstance(data, list) or len(data) != function.fields:
                return False
            if function.event and not isinstance(event, dict):
                return False
            values += data
        return all(map(_is_plain_value, values))


def _is_plain_value(value: object) -> bool:
    """Whether it holds no others, and can be sent back as UTF-8."""
    if isinstance(value, str):
        return not _SURROGATES.search(value)
    return not isinstance(value, dict | list)


def _content(body: bytes) -> Any:
    try:
        return parse_json(body)
    except FormatError:
        return None


async def _whole_body(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] != "http.request":  # the other side has gone
            return b""
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _given(body: bytes, receive: Receive) -> Receive:
    """`receive` with a body that was read already."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> MutableMapping[str, Any]:
        return waiting.pop() if waiting else await receive()

    return give
