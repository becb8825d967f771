"""The app as a whole: page, handlers, downloads and guard, and serving it on this machine only."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote

from cfclip.apps.web.gradio_requests import Given, PlainRequests
from cfclip.apps.web.guard import Guard
from cfclip.apps.web.jobs import BusyError, JobQueue
from cfclip.apps.web.limits import Limits
from cfclip.apps.web.scratch import scratch_folder
from cfclip.apps.web.studio import Studio
from cfclip.apps.web.traffic import Traffic
from cfclip.apps.web.uploads import Uploads
from cfclip.apps.web.visitors import Visitors
from cfclip.errors import CfclipError, InputError, reason_of

HOST = "127.0.0.1"
"""The only address that is listened on: nobody but programs of this machine reaches it."""
UPLOADS = "/uploads"
"""Where pictures are sent to."""
LONGEST_REQUEST = 64 * 1024
"""Bytes of any other request: the longest text in every form of JSON, and all settings."""
_SWEEP_SECONDS = 5.0
_SHUTDOWN_SECONDS = 2
_NOT_FOUND, _REFUSED, _TOO_LARGE, _BUSY = 404, 400, 413, 503


@dataclass(frozen=True)
class WebApp:
    """An app that can be served."""

    asgi: Guard
    visitors: Visitors
    uploads: Uploads
    limits: Limits


@contextmanager
def web_app(studio: Studio, limits: Limits) -> Iterator[WebApp]:
    """The app, with a folder of its own for Gradio that is removed afterwards.

    Raises `InputError` if Gradio is not installed.
    """
    with scratch_folder() as folder:
        # Read by Gradio when it is imported and when its components are made.
        os.environ["GRADIO_TEMP_DIR"] = str(folder)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
        queue = JobQueue(limits.waiting, limits.seconds)
        turns = JobQueue(limits.waiting, limits.seconds)
        visitors, uploads = Visitors(limits), Uploads(limits)
        done = threading.Event()
        sweeper = threading.Thread(target=_sweep, args=(visitors, uploads, done), daemon=True)
        sweeper.start()
        try:
            guarded = _assembled(studio, visitors, queue, turns, limits, uploads, folder)
            yield WebApp(guarded, visitors, uploads, limits)
        finally:
            done.set()
            queue.close()
            turns.close()
            sweeper.join()


def serve(app: WebApp, listening: socket.socket, ready: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; `ready` is told the address once it can be opened."""
    import uvicorn

    from cfclip.apps.web.connections import limited_protocol, most_connections

    url = f"http://{HOST}:{listening.getsockname()[1]}/"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready(url)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.asgi.end_streams()
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app.asgi,
        http=limited_protocol(most_connections(app.limits.connections), app.limits.waiting_bytes),
        ws="none",
        log_config=None,  # its lines are told as those of all libraries
        log_level="error",  # what others send that is no HTTP is no news
        access_log=False,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        server_header=False,
    )
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        Server(config).run(sockets=[listening])
    except KeyboardInterrupt:  # Uvicorn raises a signal anew once everything is closed
        return
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends as Ctrl-C does, so that everything is removed and closed."""
    raise KeyboardInterrupt


def listen(port: int) -> socket.socket:
    """A socket on this machine's own address; port 0 takes any that is free.

    Raises `InputError` if the port is taken or not allowed.
    """
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((HOST, port))
    except (OSError, OverflowError) as error:
        opened.close()
        raise InputError(
            f"cannot listen on port {port}: {error}; choose another (--port 0 takes a free one)"
        ) from error
    return opened


def import_gradio() -> Any:
    """Gradio. Raises `InputError` if it is not installed, or does not load."""
    # It talks to this machine alone, and importing it fails with a proxy that its client of HTTP
    # does not know, such as one of SOCKS.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"
    try:
        import gradio
    except ModuleNotFoundError as error:
        raise InputError(
            f"the web app needs the web extra (there is no {error.name}); install it (pip install "
            "'cfclip[web]')"
        ) from error
    except Exception as error:  # a library of the wrong build can raise anything
        raise InputError(
            f"the web app cannot start, since Gradio does not load: {reason_of(error)}; install "
            "the web extra again (pip install --force-reinstall 'cfclip[web]')"
        ) from error
    return gradio


def _assembled(
    studio: Studio,
    visitors: Visitors,
    queue: JobQueue,
    turns: JobQueue,
    limits: Limits,
    uploads: Uploads,
    scratch: Path,
) -> Guard:
    gr = import_gradio()
    from fastapi import FastAPI

    from cfclip.apps.web.gradio_sessions import mend_sessions
    from cfclip.apps.web.handlers import Handlers
    from cfclip.apps.web.page import CSS_FILE, TITLE, build_page
    from cfclip.apps.web.wiring import connect

    mend_sessions()
    with gr.Blocks(analytics_enabled=False, title=TITLE) as blocks:
        page = build_page(limits)
        connect(blocks, page, Handlers(page, studio, visitors, queue, turns, limits, uploads))
    # As many as are needed at once, and handlers that only answer clicks wait for none.
    blocks.queue(default_concurrency_limit=None, api_open=False)
    blocks.state_session_capacity = 2 * limits.visitors
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _add_downloads(app, visitors, turns, scratch)
    _add_uploads(app, uploads)
    fonts = {"font": ("system-ui", "sans-serif"), "font_mono": ("ui-monospace", "monospace")}
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        server_name=HOST,
        footer_links=[],
        run_history=False,
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        show_error=False,
        theme=gr.themes.Default(**fonts),
        css=CSS_FILE.read_text(encoding="utf-8"),
    )
    functions = {
        number: Given(len(each.inputs), each.collects_event_data)
        for number, each in blocks.fns.items()
    }

    def longest(path: str) -> int:
        return limits.upload_bytes if path == UPLOADS else LONGEST_REQUEST

    plain = PlainRequests(app, functions, blocks._queue.pending_event_ids_session)
    return Guard(Traffic(plain, longest, limits.upload_seconds))


def _add_downloads(app: Any, visitors: Visitors, turns: JobQueue, scratch: Path) -> None:
    from fastapi import Response

    from cfclip.apps.web.result_files import download

    def send(token: str, number: int, kind: str, strength: float = 1.0) -> Response:
        visitor = visitors.by_token(token)
        if visitor is None:
            return Response("this window's edits were removed\n", _NOT_FOUND)
        try:
            made = turns.do(
                lambda: download(visitor.edit(number).shown.at_strength(strength), kind, scratch)
            )
        except BusyError as error:
            return Response(f"{error}\n", _BUSY, media_type="text/plain")
        except CfclipError as error:
            return Response(f"{error}\n", _REFUSED, media_type="text/plain")
        name = quote(made.name)
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            "Cache-Control": "no-store",
        }
        return Response(made.content, media_type=made.media_type, headers=headers)

    app.add_api_route("/edits/{token}/{number}/{kind}", send, methods=["GET"], response_model=None)


def _add_uploads(app: Any, uploads: Uploads) -> None:
    from fastapi import Request, Response
    from starlette.requests import ClientDisconnect

    async def receive(request: Request) -> Response:
        token = uploads.begin(request.headers.get("x-file-name", ""))
        try:
            async for part in request.stream():
                uploads.extend(token, part)
        except CfclipError as error:
            status = _BUSY if isinstance(error, BusyError) else _TOO_LARGE
            return Response(str(error), status, media_type="text/plain")
        except ClientDisconnect:
            uploads.discard(token)
            return Response(status_code=_REFUSED)
        return Response(token, media_type="text/plain")

    app.add_api_route(UPLOADS, receive, methods=["POST"], response_model=None)


def _sweep(visitors: Visitors, uploads: Uploads, done: threading.Event) -> None:
    while not done.wait(_SWEEP_SECONDS):
        visitors.forget_old()
        uploads.forget_old()
