"""A local HTTP server that serves one file, well or in every bad way."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Reply = Callable[["Handler"], None]


@dataclass
class Server:
    """What the server does with its next requests, and what it was asked."""

    address: str
    content: bytes
    replies: list[Reply] = field(default_factory=list)
    """One for each request to come; well-behaved when used up."""
    ranges: list[str | None] = field(default_factory=list)
    """The `Range` of every request so far."""
    released: threading.Event = field(default_factory=threading.Event)
    """Set when stalled replies shall end."""
    etag: str = '"one"'


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    state: Server

    def do_GET(self) -> None:
        state = self.state
        state.ranges.append(self.headers.get("Range"))
        reply = state.replies.pop(0) if state.replies else whole
        self.close_connection = True
        reply(self)

    def log_message(self, *arguments: object) -> None:
        """Tests are silent."""

    def send(self, status: int, body: bytes, **headers: str) -> None:
        """An answer with these headers; underscores in their names are hyphens."""
        self.send_response(status)
        if "Content_Length" not in headers:
            headers["Content_Length"] = str(len(body))
        for name, value in headers.items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


def whole(handler: Handler) -> None:
    """The file, or the rest of it if that is asked for and it is still the same."""
    state, asked = handler.state, handler.headers.get("Range")
    condition = handler.headers.get("If-Range")
    if asked and condition in (None, state.etag):
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        total = len(state.content)
        if start >= total:
            handler.send(416, b"")
        else:
            span = f"bytes {start}-{total - 1}/{total}"
            handler.send(206, state.content[start:], Content_Range=span, ETag=state.etag)
    else:
        handler.send(200, state.content, ETag=state.etag)


def cut(count: int, **headers: str) -> Reply:
    """`count` bytes of what the whole answer would have, and the end of the connection."""

    def reply(handler: Handler) -> None:
        state, asked = handler.state, handler.headers.get("Range")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        total = len(state.content)
        rest = state.content[start:]
        told = {"Content_Length": str(len(rest)), "ETag": state.etag, **headers}
        if asked:
            told["Content_Range"] = f"bytes {start}-{total - 1}/{total}"
        handler.send(206 if asked else 200, rest[:count], **told)

    return reply


def stall(count: int) -> Reply:
    """`count` bytes, and then nothing until the test ends."""

    def reply(handler: Handler) -> None:
        cut(count)(handler)
        handler.wfile.flush()
        handler.state.released.wait(30)

    return reply


def dripping(count: int) -> Reply:
    """The whole answer, but after `count` bytes one by one until the test lets it go on."""

    def reply(handler: Handler) -> None:
        cut(count)(handler)
        content = memoryview(handler.state.content)[count:]
        while not handler.state.released.wait(0.1):
            handler.wfile.write(content[:1])
            content = content[1:]
        handler.wfile.write(content)

    return reply


def status(code: int, body: bytes = b"", **headers: str) -> Reply:
    """An answer with this status."""
    return lambda handler: handler.send(code, body, **headers)


@contextmanager
def serving(content: bytes) -> Iterator[Server]:
    """A server on a free port of this machine."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    state = Server(f"http://127.0.0.1:{http.server_port}/file.bin", content)
    http.RequestHandlerClass = type("Bound", (Handler,), {"state": state})
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.released.set()
        http.shutdown()
        http.server_close()
        thread.join()
