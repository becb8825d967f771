"""What a benchmark measured, a row for each edit, in a file that survives being killed."""

from dataclasses import dataclass
from pathlib import Path

from cfclip_benchmark.json_log import JsonLog, JsonRow
from cfclip_benchmark.kept_offsets import KeptOffset

ROWS_FILE = "rows.jsonl"
ORACLE = "oracle"
"""Name of the oracle in rows, beside those of methods."""
CONFINED = "-confined"
"""Ends the name of a method whose edits are confined."""
Key = tuple[str, str, int]
"""Method, prompt and avatar: what a row is known by."""


@dataclass(frozen=True)
class StrengthScore:
    """An edit rendered at another strength, and read as at its own."""

    strength: float
    """Factor on the edit: 1 is the edit as the method gives it."""
    success: bool | None
    preservation: float
    exact: bool | None


@dataclass(frozen=True)
class MeasuredEdit(JsonRow):
    """One edit of one avatar, measured. docs/BENCHMARK.md explains the measures."""

    method: str
    prompt: str
    family: str
    avatar: int
    success: bool | None
    """None where it cannot be read, whatever the edit did."""
    preservation: float
    lost: tuple[str, ...]
    """The attributes that were not kept."""
    psnr_outside: float | None
    """Decibels against the inverted source outside the true mask."""
    exact: bool | None
    truth_distance: float
    """To the nearest true answer, in probe features."""
    truth_psnr: float
    """Decibels against the nearest true answer."""
    inversion_distance: float
    """Of the inverted source to the avatar that it stands for."""
    inversion_psnr: float
    clip_similarity: float
    """Cosine of picture and prompt by the CLIP that edits are optimised with."""
    judge_similarity: float | None
    """The same by a CLIP that no method sees; None if none was given."""
    seconds: float | None
    """Of the edit; None for what is no edit."""
    peak_memory: float | None
    """MiB; None where it cannot be measured."""
    steps: int
    stop_reason: str
    strengths: tuple[StrengthScore, ...] = ()
    """The same edit weaker and stronger."""
    ruler: int = 1
    """Version of the ruler that read it; rows of the first one do not tell."""
    offset: KeptOffset | None = None
    """What renders it again, so that another ruler can read it; None if nothing does."""

    @property
    def key(self) -> Key:
        """What the row is known by."""
        return self.method, self.prompt, self.avatar

    @property
    def readable(self) -> bool:
        """Whether success can be read."""
        return self.success is not None


class RowLog(JsonLog[MeasuredEdit]):
    """The rows of a benchmark in a file; see `JsonLog`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, MeasuredEdit, "its edit is made again")
