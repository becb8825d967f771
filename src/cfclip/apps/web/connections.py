"""How many connections the server keeps, and which of them go when there are too many.

A server that has no file descriptor left for a connection cannot answer anybody, and says so again
and again. Who comes is let in; whoever has sent half a request, or has not been heard of for
longest, makes room. So does who does not read an answer, when all that is not read becomes much: it
is in memory until then.
"""

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

RESERVED_FILES = 200
"""File descriptors that are not for connections."""


def most_connections(wanted: int) -> int:
    """As many as are wanted, if the process may have as many files open."""
    try:
        from resource import RLIMIT_NOFILE, getrlimit
    except ImportError:  # no such limit
        return wanted
    soft, _ = getrlimit(RLIMIT_NOFILE)
    return wanted if soft < 0 else max(1, min(wanted, soft - RESERVED_FILES, soft // 2))


def limited_protocol(most: int, unread: int) -> type[H11Protocol]:
    """Uvicorn's protocol for a server that keeps at most so many connections.

    `unread` bytes of answers may wait for those who asked for them.
    """

    class LimitedProtocol(H11Protocol):
        heard = 0.0
        stalled = 0.0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            self.heard = time.monotonic()
            super().connection_made(transport)
            if len(self.connections) > most:
                others: set[Any] = self.connections - {self}
                longest = min(others, key=lambda each: (each.is_answered, each.heard))
                self.connections.discard(longest)
                longest.transport.abort()

        def data_received(self, data: bytes) -> None:
            self.heard = time.monotonic()
            super().data_received(data)

        def pause_writing(self) -> None:
            """An answer is not read as fast as it is sent."""
            self.stalled = time.monotonic()
            super().pause_writing()
            all_of_them: set[Any] = self.connections
            waiting = {
                each: each.transport.get_write_buffer_size()
                for each in all_of_them
                if each.flow.write_paused
            }
            for each in sorted(waiting, key=lambda one: one.stalled):
                if sum(waiting.values()) <= unread:
                    return
                if each is not self:
                    del waiting[each]
                    each.transport.abort()

        @property
        def is_answered(self) -> bool:
            """Whether a whole request came that is being answered."""
            cycle = self.cycle
            return cycle is not None and not cycle.more_body and not cycle.response_complete

    return LimitedProtocol
