"""Visitors and what belongs to each of them: a picture to start from, edits, a job.

All of it is in memory and found only by a secret of its own, so that nobody comes upon another's
pictures, and nothing stays on a disk.
"""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from PIL import Image

from cfclip.apps.web.jobs import BusyError, Job
from cfclip.apps.web.limits import Limits
from cfclip.apps.web.orders import Order
from cfclip.editing import EditResult, Source
from cfclip.errors import InputError
from cfclip.optim import Callback

_TOKEN_BYTES = 24
_LONGEST_KEY = 100
_SECONDS = 60.0
_SHARE_WHEN_FULL = 0.1
"""Of the time without a click that a visitor has, if others have no room."""


@dataclass
class Start:
    """The picture that the next edit starts from."""

    pack: str
    image: Image.Image
    """What the visitor sees, square, at the pack's resolution."""
    about: str
    """What it is, in a few words."""
    make: Callable[[Callback | None], Source]
    """Finds its latents, which may take a while: called once, when they are needed."""
    source: Source | None = None
    """Once they are found."""


@dataclass(frozen=True)
class KeptEdit:
    """One edit of a visitor's history."""

    number: int
    order: Order
    start: Start
    shown: EditResult
    """At the strength that was chosen last."""


@dataclass
class Visitor:
    """One browser window. `lock` guards the rest of it."""

    limits: Limits
    token: str = field(default_factory=lambda: secrets.token_urlsafe(_TOKEN_BYTES))
    """Secret name in the addresses of downloads."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    start: Start | None = None
    gave_picture: bool = False
    """Whether a picture of the visitor's own was opened."""
    edits: dict[int, KeptEdit] = field(default_factory=dict)
    """By number, the oldest first."""
    current: int | None = None
    job: Job | None = None
    seen: float = field(default_factory=time.monotonic)
    left: float | None = None
    _made: int = 0

    @property
    def has_made_something(self) -> bool:
        """Whether there is anything that would be lost with the visitor."""
        return bool(self.edits) or self.job is not None or self.gave_picture

    @property
    def is_busy(self) -> bool:
        """Whether an edit of this visitor runs or waits."""
        return self.job is not None and not self.job.finished

    def check_idle(self) -> None:
        """Raise `BusyError` while an edit of this visitor runs or waits."""
        if self.is_busy:
            raise BusyError("your edit is still running; wait for it or stop it first")

    def keep(self, order: Order, start: Start, result: EditResult) -> KeptEdit:
        """Add an edit to the history, as the current one; the oldest may have to go."""
        with self.lock:
            self._made += 1
            kept = KeptEdit(self._made, order, start, result)
            self.edits[kept.number] = kept
            self.current = kept.number
            while len(self.edits) > self.limits.history:
                del self.edits[next(iter(self.edits))]
            return kept

    def edit(self, number: int | None = None) -> KeptEdit:
        """The edit of that number, or the current one. Raises `InputError` if it is gone."""
        with self.lock:
            kept = self.edits.get(self.current if number is None else number)  # type: ignore[arg-type]
            if kept is None:
                raise InputError("this edit is not there any more; make it again")
            return kept

    def choose(self, number: int) -> KeptEdit:
        """Make an edit of the history the current one, with the picture it started from."""
        with self.lock:
            kept = self.edit(number)
            self.current, self.start = number, kept.start
            return kept

    def show(self, number: int, strength: float) -> KeptEdit:
        """Render an edit at another strength, and keep it so. Raises `InputError`."""
        kept = self.edit(number)
        if kept.shown.strength != strength:
            kept = replace(kept, shown=kept.shown.at_strength(strength))
            with self.lock:
                if number in self.edits:
                    self.edits[number] = kept
        return kept


class Visitors:
    """All visitors, by the key of their browser window."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._by_key: dict[str, Visitor] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def of(self, key: str | None) -> Visitor:
        """The visitor of a window, a new one if need be.

        Of too many, one goes: who has made nothing yet, since keys are easily invented, or else was
        not seen for long. Raises `BusyError` if there is none, `InputError` for what is no key.
        """
        if not key or len(key) > _LONGEST_KEY:
            raise InputError("this window has no name; load the page again")
        with self._lock:
            visitor = self._by_key.get(key)
            if visitor is None:
                if len(self._by_key) >= self._limits.visitors:
                    self._make_room()
                visitor = self._by_key[key] = Visitor(self._limits)
            visitor.seen, visitor.left = time.monotonic(), None
            return visitor

    def _make_room(self) -> None:
        now = time.monotonic()
        patience = self._limits.idle_minutes * _SECONDS * _SHARE_WHEN_FULL
        spare = [
            (visitor.has_made_something, visitor.seen, key)
            for key, visitor in self._by_key.items()
            if not visitor.has_made_something
            or (not visitor.is_busy and now - visitor.seen >= patience)
        ]
        if not spare:
            raise BusyError(
                f"busy: {len(self._by_key)} visitors are here, which is the limit; try again in a "
                "few minutes"
            )
        del self._by_key[min(spare)[2]]

    def by_token(self, token: str) -> Visitor | None:
        """The visitor whose secret that is."""
        with self._lock:
            found = [
                each
                for each in self._by_key.values()
                if secrets.compare_digest(each.token.encode(), token.encode())
            ]
        return found[0] if found else None

    def leave(self, key: str | None) -> None:
        """A window was closed: its job ends, and it is forgotten unless it comes back soon."""
        with self._lock:
            visitor = self._by_key.get(key or "")
            if visitor is None:
                return
            visitor.left = time.monotonic()
        if visitor.job is not None:
            visitor.job.stop()

    def forget_old(self) -> int:
        """Forget those who left, and those who have not been seen for long; returns how many."""
        now = time.monotonic()
        with self._lock:
            old = [key for key, visitor in self._by_key.items() if self._is_old(visitor, now)]
            gone = [self._by_key.pop(key) for key in old]
        for visitor in gone:
            if visitor.job is not None:
                visitor.job.stop()
        return len(gone)

    def _is_old(self, visitor: Visitor, now: float) -> bool:
        if visitor.left is not None and now - visitor.left >= self._limits.grace_seconds:
            return True
        return not visitor.is_busy and now - visitor.seen >= self._limits.idle_minutes * _SECONDS
