"""A photo with the face in it that is edited: how it is chosen, cut out and put back.

Free of torch and pixels until a photo is opened, so that commands list their options quickly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from cfclip.errors import InputError
from cfclip.settings import check_choice, check_number

if TYPE_CHECKING:
    from PIL import Image

    from cfclip.images import OpenedImage
    from cfclip.photos.alignment import Quad

PastedRegion: TypeAlias = Literal["changed", "whole"]

FEATHER = 0.08
WIDEST_FEATHER = 0.5
"""From both edges, the middle of the picture is then just reached."""
_NAME_DIGITS = 6


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


@dataclass(frozen=True)
class Photo:
    """A photo and the square of its face; make one with `open_photo`.

    Raises `InputError` for a square that cannot be cut from the photo.
    """

    image: "Image.Image"
    """All of it, RGB, upright; of a very large one a reduction."""
    quad: "Quad"
    """Where the face is in the image."""
    origin: Mapping[str, Any]
    """Where it came from, as records tell it, with the corners of the square in the whole photo."""
    name: str
    """Short name, for file names."""
    warnings: tuple[str, ...] = ()
    """What was changed on the way in, and other faces; one line each."""
    faces: int = 1
    """How many faces were found, or have landmarks."""

    def __post_init__(self) -> None:
        from cfclip.photos.alignment import check_quad

        check_quad(self.quad, self.image.size)

    def crop(self, size: int) -> "Image.Image":
        """The face as FFHQ has it, `size` pixels wide."""
        from cfclip.photos.alignment import align

        return align(self.image, self.quad, size)

    def crop_warnings(self, size: int) -> tuple[str, ...]:
        """All warnings of the crop, one of them if its face is enlarged much."""
        from cfclip.images import ENLARGED_WARNING

        if size <= ENLARGED_WARNING * self.quad.size:
            return self.warnings
        wide = f"the crop of the face is {self.quad.size:.0f} pixels wide"
        return (*self.warnings, f"{wide}; it is enlarged to {size}x{size}")

    def crop_mask(self, mask: "Image.Image", size: int) -> "Image.Image":
        """The same square of an RGB mask that was painted over the whole photo.

        Raises `InputError` if it is of another size than the photo.
        """
        from cfclip.photos.alignment import align

        if mask.size != self.image.size:
            raise InputError(
                f"the mask is {mask.width}x{mask.height} pixels, the photo "
                f"{self.image.width}x{self.image.height}; paint it over the whole photo"
            )
        return align(mask, self.quad, size)


def open_photo(picture: "Image.Image | str | Path", config: FaceConfig | None = None) -> Photo:
    """Open a photo and choose a face in it, by given landmarks or by finding it.

    Args:
        picture: a file, or an image in memory.
        config: where the landmarks are, if they are given, and which face is meant; finds the
            largest face if not given.

    Raises:
        InputError: an unusable photo, no face, no face of that number, landmarks that do not fit,
            or no detector where one is needed (the extra `photos`).
    """
    from cfclip.images import open_image
    from cfclip.photos.detector import find_quads
    from cfclip.photos.landmarks import landmarks_file, read_quads

    config = config or FaceConfig(align=True)
    opened = open_image(picture, None)
    name = str(picture) if isinstance(picture, str | Path) else "the image"
    if config.landmarks is None:
        seen = find_quads(opened.image)
        quads, about = tuple(quad.scaled(opened.reduction) for quad in seen), f"{name} shows"
        if not quads:
            raise InputError(
                f"no face was found in {name}; give its landmarks (--landmarks FILE), or do "
                "without alignment if the picture is cut already"
            )
    else:
        file = config.landmarks
        if isinstance(picture, str | Path):
            file = landmarks_file(file, picture)
        quads, about = read_quads(file), f"{file} tells of"
    if config.face > len(quads):
        faces = "1 face" if len(quads) == 1 else f"{len(quads)} faces"
        raise InputError(f"face is {config.face}, but {about} {faces}; give a lower number")
    warnings = opened.warnings
    if config.face == 1 and len(quads) > 1:
        warnings += (
            f"{about} {len(quads)} faces; the largest is used, choose another by its number "
            f"(--face 2 to {len(quads)})",
        )
    photo = _photo(picture, opened, quads[config.face - 1])
    return replace(photo, faces=len(quads), warnings=warnings)


def check_landmarks(config: FaceConfig, photos: int) -> None:
    """Raise `InputError` if the landmarks of one photo are given for several."""
    if config.landmarks is not None and photos > 1 and not config.landmarks.is_dir():
        raise InputError(
            f"{config.landmarks} has the landmarks of one photo, but {photos} are given; give a "
            "folder with a file for each, or them one at a time"
        )


def photo_at(picture: str | Path, quad: "Quad") -> Photo:
    """A photo whose face is known to be in a square. Raises `InputError` as `open_photo` does."""
    from cfclip.images import open_image

    return _photo(picture, open_image(picture, None), quad)


def _photo(picture: "Image.Image | str | Path", opened: "OpenedImage", quad: "Quad") -> Photo:
    """A photo with its face in a square of its pixels before any reduction."""
    from cfclip.provenance import file_origin, image_sha256

    image, warnings, cut = opened.image, opened.warnings, quad.scaled(1 / opened.reduction)
    corners = [list(corner) for corner in quad.corners]
    if isinstance(picture, str | Path):
        origin = {**file_origin(picture), "quad": corners}
        return Photo(image, cut, origin, Path(picture).stem, warnings)
    digest = image_sha256(image)
    origin = {"kind": "pixels", "sha256": digest, "quad": corners}
    return Photo(image, cut, origin, f"image-{digest[:_NAME_DIGITS]}", warnings)
