"""What one web app gives its visitors at most, free of anything heavy."""

from dataclasses import dataclass

from cfclip.settings import check_number

_MILLION = 1_000_000
_CONNECTIONS_OF_A_WINDOW = 8


@dataclass(frozen=True)
class Limits:
    """Limits of a running web app. Raises `InputError` for a value out of any use."""

    waiting: int = 16
    """Edits that may wait for their turn, and as many pictures to open or draw; who asks for more
    is told that the app is busy."""

    seconds: float = 300.0
    """Longest time of one edit; it then ends with what it has reached."""

    upload_megabytes: float = 20.0
    """Largest file that is taken."""

    upload_megapixels: float = 40.0
    """Largest picture that is opened."""

    waiting_megabytes: float = 100.0
    """All files that were sent and not opened yet; more are told that the app is busy. As much of
    answers may wait to be read; whoever has not read for longest is hung up on then."""

    upload_seconds: float = 60.0
    """Longest time in which a file may arrive and be opened; it is removed then."""

    visitors: int = 64
    """Browser windows at the same time."""

    history: int = 16
    """Edits that are kept for a visitor; older ones are dropped."""

    idle_minutes: float = 60.0
    """After this time without a click a visitor's pictures are removed."""

    grace_seconds: float = 60.0
    """After this time a closed window's pictures are removed."""

    def __post_init__(self) -> None:
        for name in ("waiting", "visitors", "history"):
            check_number(name, getattr(self, name), 1)
        for name in (
            *("seconds", "upload_megabytes", "upload_megapixels", "waiting_megabytes"),
            *("upload_seconds", "idle_minutes"),
        ):
            check_number(name, getattr(self, name), 0.0, open_low=True)
        check_number("grace_seconds", self.grace_seconds, 0.0)

    @property
    def upload_bytes(self) -> int:
        """Largest file in bytes."""
        return round(self.upload_megabytes * _MILLION)

    @property
    def connections(self) -> int:
        """Connections at the same time: a window listens on two, and loads by some more."""
        return _CONNECTIONS_OF_A_WINDOW * self.visitors

    @property
    def waiting_bytes(self) -> int:
        """Largest sum of files that wait, in bytes."""
        return round(self.waiting_megabytes * _MILLION)

    @property
    def upload_pixels(self) -> int:
        """Largest picture in pixels."""
        return round(self.upload_megapixels * _MILLION)
