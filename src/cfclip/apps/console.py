"""What commands say, and where: results on stdout, everything else on stderr."""

import json
import logging
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from typing import TYPE_CHECKING, Any, TextIO

from cfclip.apps.progress import Progress, ProgressDisplay
from cfclip.errors import CfclipWarning, one_line, plain, shortened

if TYPE_CHECKING:
    from types import FrameType

PROGRAM = "cfclip"


class Console:
    """Output of one run of a command.

    Args:
        quiet: say nothing but errors (and JSON, if asked for).
        as_json: results are lines of JSON on stdout.
    """

    def __init__(self, quiet: bool, as_json: bool) -> None:
        self.quiet = quiet
        self.as_json = as_json
        self._warned: set[str] = set()
        self._progress = ProgressDisplay(None if quiet else self.note)

    def result(self, content: Mapping[str, Any], *lines: str) -> None:
        """A result on stdout: `content` as a line of JSON, or `lines`.

        JSON is not cut, whatever its length: half of it is none. All of it is ASCII, and what is
        no finite number is null.
        """
        if self.as_json:
            from cfclip.provenance.record import finite

            print(json.dumps(finite(content), default=str, allow_nan=False), flush=True)
        elif not self.quiet and lines:
            tell(lines, sys.stdout)

    def note(self, text: str) -> None:
        """Something worth knowing."""
        if not self.quiet:
            tell([text], sys.stderr)

    def warning(self, text: str, about: str = "") -> None:
        """Something that may spoil a result, of all or `about` one; each is told once."""
        line = f"{about}: {text}" if about else text
        if not {text, line} & self._warned:
            self._warned.add(line)
            self.note(f"{PROGRAM}: warning: {one_line(line)}")

    @contextmanager
    def library_warnings(self) -> Iterator[None]:
        """During the block, what the library warns of is told as `warning` does."""
        with warnings.catch_warnings():
            show = warnings.showwarning

            def tell(
                message: Warning | str,
                category: type[Warning],
                filename: str,
                lineno: int,
                file: TextIO | None = None,
                line: str | None = None,
            ) -> None:
                if issubclass(category, CfclipWarning):
                    self.warning(str(message))
                else:
                    show(message, category, filename, lineno, file, line)

            warnings.showwarning = tell
            warnings.simplefilter("always", CfclipWarning)
            yield

    def error(self, text: str) -> None:
        """One line about what went wrong, always."""
        tell([f"{PROGRAM}: error: {one_line(text)}"], sys.stderr)

    def progress(self, label: str) -> AbstractContextManager[Callable[[Progress], None]]:
        """Give the callback to a task, and it is told how far that is; nothing when quiet."""
        return self._progress.of(label)


def tell(lines: Iterable[str], stream: TextIO) -> None:
    """Write lines: the one way by which a text reaches a terminal.

    A character that would act on it, or that `stream` cannot write, is an escape there, and no line
    has more than 500 characters.
    """
    encoding = stream.encoding or "utf-8"
    text = "\n".join(shortened(plain(line)) for line in lines)
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


@contextmanager
def plain_prints() -> Iterator[None]:
    """What a library prints during the block is told after it; without colours, which would act."""
    streams = (sys.stdout, sys.stderr)
    kept = tuple(
        TextIOWrapper(BytesIO(), each.encoding or "utf-8", "backslashreplace", newline="")
        for each in streams
    )
    try:
        with redirect_stdout(kept[0]), redirect_stderr(kept[1]):
            yield
    finally:
        for stream, prints in zip(streams, kept, strict=True):
            prints.seek(0)
            if text := prints.read():
                tell(text.removesuffix("\n").split("\n"), stream)


class _LogLines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tell(self.format(record).splitlines(), sys.stderr)


@contextmanager
def library_logs() -> Iterator[None]:
    """Log entries and warnings of libraries are told on stderr during the block, as lines."""
    handler, root = _LogLines(), logging.getLogger()
    root.addHandler(handler)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)


def silence_pillow() -> None:
    """Pillow has its own words on odd files; ours come as errors and warnings of one line."""
    warnings.filterwarnings("ignore", module="PIL")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)


@contextmanager
def stop_requests() -> Iterator[threading.Event]:
    """An event that a first Ctrl-C or SIGTERM sets, for work that ends at the next good place.

    A second Ctrl-C is the usual `KeyboardInterrupt`.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def remember(number: int, frame: "FrameType | None") -> None:
        asked.set()
        signal.signal(number, before[signal.Signals(number)])

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, remember) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the block has ended: files that belong together are all written."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = threading.Event()

    def remember(number: int, frame: "FrameType | None") -> None:
        pressed.set()

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed.is_set():
        raise KeyboardInterrupt
