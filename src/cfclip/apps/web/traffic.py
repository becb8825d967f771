"""How much a request may send and how long that may take: middleware that knows no framework."""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any

from cfclip.apps.web.guard import Asgi, Receive, Scope, Send, answer

_TOO_LONG, _TOO_SLOW = 413, 408


class Traffic:
    """Middleware that answers a request with a body that is too large, or comes too slowly, itself.

    Args:
        app: what is asked otherwise.
        longest: bytes that the body of a request to a path may have.
        seconds: in which a body has to be there.
    """

    def __init__(self, app: Asgi, longest: Callable[[str], int], seconds: float) -> None:
        self._app = app
        self._longest = longest
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Who answers an address that is only read never looks at a body, nor waits for it.
        most = 0 if scope["method"] in ("GET", "HEAD") else self._longest(scope["path"])
        if _stated_length(scope) > most:
            await answer(send, _TOO_LONG, _too_long(most))
            return
        deadline = asyncio.get_running_loop().time() + self._seconds
        size, whole, refused = 0, False, False

        async def refuse(status: int, line: str) -> MutableMapping[str, Any]:
            nonlocal refused
            refused = True
            await answer(send, status, line)
            return {"type": "http.disconnect"}

        async def receive_some() -> MutableMapping[str, Any]:
            nonlocal size, whole
            if whole:  # what may come then is only that the other side goes
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                return await refuse(_TOO_SLOW, _too_slow(self._seconds))
            size += len(message.get("body", b""))
            if size > most:
                return await refuse(_TOO_LONG, _too_long(most))
            whole = not message.get("more_body", False)
            return message

        async def send_on(message: MutableMapping[str, Any]) -> None:
            if not refused:
                await send(message)

        try:
            await self._app(scope, receive_some, send_on)
        except Exception:
            if not refused:  # else it is that the other side seemed to have gone
                raise


def _stated_length(scope: Scope) -> int:
    told = dict(scope["headers"])
    if b"transfer-encoding" in told:
        return 1  # or more
    stated = told.get(b"content-length", b"0")
    return int(stated) if stated.isdigit() and len(stated) < len(str(2**63)) else 2**63


def _too_long(most: int) -> str:
    return f"a request to this address has at most {most:,} bytes; send less"


def _too_slow(seconds: float) -> str:
    return f"the request did not arrive within {seconds:g} s; send it again"
