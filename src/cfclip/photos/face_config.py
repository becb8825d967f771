"""Settings of working on photographs, free of torch so that commands list their options quickly."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from cfclip.errors import InputError
from cfclip.settings import check_choice, check_number

PastedRegion: TypeAlias = Literal["changed", "whole"]

FEATHER = 0.08
WIDEST_FEATHER = 0.5
"""From both edges, the middle of the picture is then just reached."""


@dataclass(frozen=True)
class FaceConfig:
    """How a face is chosen in a photo. Raises `InputError` naming an unfit value."""

    align: bool = False
    """Find the face in a photo and cut it out as FFHQ's pictures were, instead of the photo's
    central square."""

    landmarks: Path | None = None
    """The same with landmarks given by hand, in a file, or for several photos in a folder with a
    NAME.txt or NAME.json for each: see docs/PHOTOS.md."""

    face: int = 1
    """Which face, if a photo has several: 1 is the largest."""

    def __post_init__(self) -> None:
        check_number("face", self.face, 1)
        if self.face != 1 and not self.chosen:
            raise InputError(
                f"face is {self.face}, but no face is cut from a photo; ask for that too (--align "
                "or --landmarks FILE)"
            )

    @property
    def chosen(self) -> bool:
        """Whether a face is cut from the photo at all."""
        return self.align or self.landmarks is not None


@dataclass(frozen=True)
class PasteBack:
    """How an edit is put back into its photo. Raises `InputError` naming an unfit value."""

    region: PastedRegion = "changed"
    """What of the crop: where the edit changed something, or all of it."""

    feather: float = FEATHER
    """Width of the soft edge, as a share of the crop's side."""

    def __post_init__(self) -> None:
        check_choice("region", self.region, get_args(PastedRegion))
        check_number("feather", self.feather, 0.0, WIDEST_FEATHER)
