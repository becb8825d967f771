"""What commands say, and where: results on stdout, everything else on stderr."""

import json
import logging
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from cfclip.errors import CfclipWarning

if TYPE_CHECKING:
    from types import FrameType

PROGRAM = "cfclip"


class Progress(Protocol):
    """What the callbacks of inversions and edits are given."""

    @property
    def step(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def terms(self) -> dict[str, float]: ...


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

    def result(self, content: Mapping[str, Any], text: str) -> None:
        """A result on stdout: `content` as a line of JSON, or `text`."""
        if self.as_json:
            print(json.dumps(content, default=str), flush=True)
        elif not self.quiet:
            print(_encodable(text), flush=True)

    def note(self, text: str) -> None:
        """Something worth knowing."""
        if not self.quiet:
            print(_encodable(text), file=sys.stderr, flush=True)

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
        print(f"{PROGRAM}: error: {one_line(text)}", file=sys.stderr, flush=True)

    @contextmanager
    def progress(self, label: str) -> Iterator[Callable[[Progress], None]]:
        """A bar with the loss terms and the time left, on a terminal; give the callback to a task.

        Nothing is drawn when quiet or when stderr is not a terminal.
        """
        from rich.console import Console as RichConsole
        from rich.markup import escape
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        terminal = RichConsole(stderr=True)
        bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[terms]}"),
            console=terminal,
            transient=True,
            disable=self.quiet or not terminal.is_terminal,
        )
        with bars:
            task = bars.add_task(escape(label), total=None, terms="")

            def update(progress: Progress) -> None:
                bars.update(
                    task,
                    completed=progress.step,
                    total=progress.steps,
                    terms=escape(terms_text(progress.terms)),
                )

            yield update


def terms_text(terms: Mapping[str, float]) -> str:
    """Loss terms in a few characters.

    >>> terms_text({"clip_nce": 3.14159, "total": 4.0})
    'clip_nce 3.142  total 4.000'
    """
    return "  ".join(f"{name} {value:.3f}" for name, value in terms.items())


def _encodable(text: str) -> str:
    # A file name that is no UTF-8 has surrogates, which no stream can write.
    return text.encode("utf-8", "backslashreplace").decode()


def one_line(text: str) -> str:
    """`text` without line breaks or characters that would act on a terminal."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


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
