"""Who does not read answers, on a running server."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

uvicorn = pytest.importorskip("uvicorn")

from cfclip.apps.web.connections import limited_protocol  # noqa: E402

ANSWER = bytes(10_000_000)
_UNREAD = 30_000_000
_SECONDS = 20.0


async def large(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": ANSWER})


@pytest.fixture
def port() -> Iterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        large, http=limited_protocol(100, _UNREAD), lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield listening.getsockname()[1]
    server.should_exit = server.force_exit = True
    thread.join(_SECONDS)


def asking(port: int) -> socket.socket:
    opened = socket.socket()
    opened.settimeout(_SECONDS)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # else the system takes megabytes
    opened.connect(("127.0.0.1", port))
    opened.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    return opened


def read(opened: socket.socket) -> int:
    """Bytes that come until the end."""
    count = 0
    try:
        while part := opened.recv(1 << 16):
            count += len(part)
    except ConnectionError:
        pass
    return count


def test_answers_that_are_not_read_are_bounded(port: int) -> None:
    held = [asking(port) for _ in range(20)]
    newcomer = asking(port)
    opened = newcomer.recv(1)  # all those before it have been answered as far as they read
    assert opened
    assert read(newcomer) >= len(ANSWER)
    whole = [read(each) >= len(ANSWER) for each in held]
    assert not any(whole[:10])  # who has not read for longest is hung up on
    assert sum(whole) * len(ANSWER) <= 2 * _UNREAD  # the system keeps some of each for itself
    for each in (*held, newcomer):
        each.close()
