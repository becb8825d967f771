"""Settings of working on photographs, free of torch so that commands list their options quickly."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from cfclip.errors import InputError
from cfclip.schedule import check_choice, check_number

PasteRegion: TypeAlias = Literal["no", "changed", "whole"]
PASTE_REGIONS: tuple[str, ...] = get_args(PasteRegion)

WIDEST_FEATHER = 0.5
"""From both edges, the middle of the picture is then just reached."""


@dataclass(frozen=True)
class PhotoConfig:
    """How a face is cut from a photo and put back. Raises `InputError` naming an unfit value."""

    align: bool = False
    """Find the face in a photo and cut it out as FFHQ's pictures were, instead of the photo's
    central square."""

    landmarks: Path | None = None
    """The same with landmarks given by hand, in a file: see docs/PHOTOS.md."""

    face: int = 1
    """Which face, if a photo has several: 1 is the largest."""

    paste_back: PasteRegion = "no"
    """Also write the whole photo with the edit in it: where it changed something, or the whole
    crop."""

    feather: float = 0.08
    """Width of the soft edge of what is pasted, as a share of the crop's side."""

    def __post_init__(self) -> None:
        check_number("face", self.face, 1)
        check_choice("paste_back", self.paste_back, PASTE_REGIONS)
        check_number("feather", self.feather, 0.0, WIDEST_FEATHER)
        if not self.aligned and (self.face != 1 or self.paste_back != "no"):
            option = "face" if self.face != 1 else "paste_back"
            raise InputError(
                f"{option} is {getattr(self, option)!r}, but no face is cut from a photo; ask for "
                "that too (--align or --landmarks FILE)"
            )

    @property
    def aligned(self) -> bool:
        """Whether a face is cut from the photo at all."""
        return self.align or self.landmarks is not None
