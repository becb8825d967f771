"""How far work is: a bar on a terminal, elsewhere a line every ten seconds."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from cfclip.errors import plain, shortened

LINE_SECONDS = 10.0
_LONGEST_LABEL = 28
_BAR_WIDTH = 10
_SOON = 0.5  # seconds


class Progress(Protocol):
    """What the callbacks of inversions and edits are given.

    It may have `seconds_left`, an estimate that knows more than the steps tell.
    """

    @property
    def step(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def terms(self) -> dict[str, float]: ...


class ProgressDisplay:
    """Shows the progress of the tasks of one command, one after another.

    Args:
        note: tells a line, on stderr; nothing is shown without it.
        clock: gives seconds.
    """

    def __init__(
        self, note: Callable[[str], None] | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._note = note
        self._clock = clock
        self._told = clock()
        """When the last line was told: a command of many short tasks tells of them as well."""

    @contextmanager
    def of(self, label: str) -> Iterator[Callable[[Progress], None]]:
        """Show one task, by its callback."""
        label = plain(label)
        if self._note is None:
            yield lambda progress: None
        elif _draws():
            with _bar(shortened(label, _LONGEST_LABEL), _Pace(self._clock)) as update:
                yield update
        else:
            yield self._lines(label, self._note)

    def _lines(self, label: str, note: Callable[[str], None]) -> Callable[[Progress], None]:
        pace = _Pace(self._clock)

        def update(progress: Progress) -> None:
            how_far = pace.how_far(progress)
            if self._clock() - self._told >= LINE_SECONDS:
                note(f"{label}: {how_far}  {terms_text(progress.terms)}".rstrip())
                self._told = self._clock()

        return update


def _draws() -> bool:
    """Whether stderr is a terminal that a bar can be drawn on."""
    from rich.console import Console

    terminal = Console(stderr=True)
    return sys.stderr.isatty() and terminal.is_terminal and not terminal.is_dumb_terminal


@contextmanager
def _bar(label: str, pace: "_Pace") -> Iterator[Callable[[Progress], None]]:
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

        def update(progress: Progress) -> None:
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

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._first: tuple[int, float] | None = None

    def how_far(self, progress: Progress) -> str:
        """Such as "step 30 of 100, 0:12 left"."""
        step, steps = progress.step, progress.steps
        left = self._seconds_left(progress)
        time_left = "" if left is None else f", {clock_time(left)} left"
        return f"step {step} of {steps}{time_left}"

    def _seconds_left(self, progress: Progress) -> float | None:
        now = self._clock()
        if self._first is None:
            self._first = progress.step, now
        told: float | None = getattr(progress, "seconds_left", None)
        if told:
            return told
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
