"""A local server that is the Hugging Face hub for a few files, or a host that is none."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0" * 40


@dataclass
class Hub:
    """What it has, and what it was asked."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """By `OWNER/NAME/FILE`."""
    asked: list[str] = field(default_factory=list)
    """The `OWNER/NAME/FILE` of every request."""
    silent: bool = False
    """Whether it answers nobody who wants a file."""
    released: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *arguments: object) -> None:
        """Tests are silent."""

    def _answer(self) -> None:
        repository, _, file = self.path.strip("/").partition("/resolve/main/")
        name = f"{repository}/{file}"
        if file:
            self.hub.asked.append(name)
            if self.hub.silent:
                self.hub.released.wait(60)
        content = self.hub.files.get(name)
        self.send_response(404 if file and content is None else 200)
        if content is None:
            self.send_header("X-Error-Code", "EntryNotFound")
        else:
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if self.command == "GET" and content:
            self.wfile.write(content)


@contextmanager
def hub_serving(**files: bytes) -> Iterator[Hub]:
    """A hub on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    hub = Hub(f"http://127.0.0.1:{server.server_port}", dict(files))
    server.RequestHandlerClass = type("Bound", (_Handler,), {"hub": hub})
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def black_hole() -> Iterator[str]:
    """The address of a host that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def closed_port() -> str:
    """The address of a host that nobody listens at."""
    with black_hole() as address:
        pass
    return address
