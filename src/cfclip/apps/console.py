"""What commands say, and where: results on stdout; everything else, how far work is too, on stderr.

Progress is a bar on a terminal, elsewhere a line every ten seconds.
"""

import json
import logging
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from time import monotonic
from typing import TYPE_CHECKING, Any, TextIO

from cfclip.errors import CfclipWarning, one_line, plain, shortened

if TYPE_CHECKING:
    from types import FrameType

    from cfclip.optim import Progress
    from cfclip.training import RunCallback

PROGRAM = "cfclip"
LINE_SECONDS = 10.0
_LONGEST_LABEL = 28
_BAR_WIDTH = 10
_SOON = 0.5  # seconds


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
        self._last_line = monotonic()
        """When progress was last told: a command of many short tasks tells of them as well."""

    def result(self, content: Mapping[str, Any], *lines: str) -> None:
        """A result on stdout: `content` as a line of JSON, or `lines`.

        JSON is not cut, whatever its length: half of it is none. All of it is ASCII, and what is
        no finite number is null.
        """
        if self.as_json:
            from cfclip.provenance import finite

            print(json.dumps(finite(content), default=str, allow_nan=False), flush=True)
        elif not self.quiet and lines:
            tell(lines, sys.stdout)

    def note(self, text: str) -> None:
        """Something worth knowing."""
        if not self.quiet:
            tell([text], sys.stderr)

    def warning(self, text: str, subject: str = "") -> None:
        """Something that may spoil a result, all of it or that of `subject`; each is told once."""
        line = f"{subject}: {text}" if subject else text
        if not {text, line} & self._warned:
            self._warned.add(line)
            self.note(f"{PROGRAM}: warning: {one_line(line)}")

    @contextmanager
    def library_warnings(self) -> Iterator[None]:
        """During the block, what the library warns of is told as `warning` does."""
        with warnings.catch_warnings():
            show = warnings.showwarning

            def warn(
                message: Warning | str, category: type[Warning], *place: Any, **more: Any
            ) -> None:
                if issubclass(category, CfclipWarning):
                    self.warning(str(message))
                else:
                    show(message, category, *place, **more)

            warnings.showwarning = warn
            warnings.simplefilter("always", CfclipWarning)
            yield

    def error(self, text: str) -> None:
        """One line about what went wrong, always."""
        tell([f"{PROGRAM}: error: {one_line(text)}"], sys.stderr)

    @contextmanager
    def progress(self, label: str) -> Iterator[Callable[["Progress"], None]]:
        """Give the callback to a task, and it is shown how far that is; nothing when quiet."""
        label, pace = plain(label), _Pace()

        def update(progress: "Progress") -> None:
            how_far = pace.how_far(progress)
            if monotonic() - self._last_line >= LINE_SECONDS:
                self.note(f"{label}: {how_far}  {terms_text(progress.terms)}".rstrip())
                self._last_line = monotonic()

        if self.quiet:
            yield lambda progress: None
        elif _draws():
            with _bar(shortened(label, _LONGEST_LABEL), pace) as update_bar:
                yield update_bar
        else:
            yield update


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
def stop_requests(
    signals: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM), once: bool = True
) -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, for work that ends at the next good place.

    After the first of them, if `once`, each does what it does otherwise: a second Ctrl-C is the
    usual `KeyboardInterrupt`. Nothing sets the event outside the main thread.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def remember(number: int, frame: "FrameType | None") -> None:
        asked.set()
        if once:
            signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, remember) for number in signals}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the block has ended: files that belong together are all written."""
    with stop_requests((signal.SIGINT,), once=False) as pressed:
        yield
    if pressed.is_set():
        raise KeyboardInterrupt


@contextmanager
def watched_run(console: Console, title: str) -> Iterator["RunCallback"]:
    """The callback of a run, which ends it with a checkpoint when the user asks to stop."""
    with stop_requests() as asked, console.progress(title) as update:

        def watch(progress: "Progress") -> bool:
            update(progress)
            return not asked.is_set()

        yield watch


def _draws() -> bool:
    """Whether stderr is a terminal that a bar can be drawn on."""
    from rich.console import Console

    terminal = Console(stderr=True)
    return sys.stderr.isatty() and terminal.is_terminal and not terminal.is_dumb_terminal


@contextmanager
def _bar(label: str, pace: "_Pace") -> Iterator[Callable[["Progress"], None]]:
    """Step, steps and time left come first: whatever else there is gets the room behind them."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars
    from rich.table import Column

    rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    bars = Bars(
        TextColumn("{task.fields[how_far]}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=_BAR_WIDTH),
        TextColumn("{task.description}", markup=False, table_column=rest),
        console=Console(stderr=True),
        transient=True,
        expand=True,
    )
    with bars:
        task = bars.add_task(label, total=None, how_far="starting")

        def update(progress: "Progress") -> None:
            bars.update(
                task,
                completed=progress.step,
                total=progress.steps,
                how_far=pace.how_far(progress),
                description=f"{label}  {terms_text(progress.terms)}",
            )

        yield update


class _Pace:
    """How long steps take, for tasks that do not tell the time that is left."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def how_far(self, progress: "Progress") -> str:
        """Such as "step 30 of 100, 0:12 left"."""
        step, steps = progress.step, progress.steps
        left = self._seconds_left(progress)
        time_left = "" if left is None else f", {clock_time(left)} left"
        return f"step {step} of {steps}{time_left}"

    def _seconds_left(self, progress: "Progress") -> float | None:
        now = monotonic()
        if self._first is None:
            self._first = progress.step, now
        if progress.seconds_left:
            return progress.seconds_left
        # A task may go on where an earlier one has ended.
        begun, began = self._first
        done = progress.step - begun
        return (progress.steps - progress.step) * (now - began) / done if done > 0 else None


def clock_time(seconds: float) -> str:
    """Seconds as minutes and seconds, with hours if there are any.

    >>> clock_time(12.3), clock_time(3723)
    ('0:12', '1:02:03')
    """
    minutes, rest = divmod(int(seconds + _SOON), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def terms_text(terms: Mapping[str, float]) -> str:
    """Loss terms in a few characters.

    >>> terms_text({"clip_nce": 3.14159, "total": 4.0})
    'clip_nce 3.142  total 4.000'
    """
    return "  ".join(f"{name} {value:.3f}" for name, value in terms.items())
