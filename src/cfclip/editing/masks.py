"""Masks, which tell where an edit may change a picture."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from cfclip.editing.sources import Editable, Opened, Source, open_picture
from cfclip.errors import InputError
from cfclip.images import open_image
from cfclip.photos import Photo
from cfclip.provenance import file_origin, image_sha256
from cfclip.tensors import signed_from_pil, unit_range_from_signed


def open_mask(mask: Image.Image | str | Path, size: int, images: Sequence[Editable] = ()) -> Opened:
    """A mask, white where an edit may change the picture, black where it is transparent.

    It is cut as the image was. Raises `InputError` if it is unusable, or if one of several images
    is a photo that a face is cut from.
    """
    photos = [image.photo if isinstance(image, Source) else image for image in images]
    cut = [photo for photo in photos if isinstance(photo, Photo)]
    if cut and len(images) > 1:
        raise InputError(
            f"one mask for {len(images)} pictures, of which some are photos that a face is cut "
            "from; edit them one at a time"
        )
    opened = _photo_mask(mask, size, cut[0]) if cut else open_picture(mask, size, ground="black")
    if opened.image.convert("L").getextrema()[1] == 0:
        raise InputError("the mask is black all over; paint white what the edit may change")
    return opened


def _photo_mask(mask: Image.Image | str | Path, size: int, photo: Photo) -> Opened:
    whole = open_image(mask, None, ground="black")
    origin = (
        {"kind": "pixels", "sha256": image_sha256(whole.image)}
        if isinstance(mask, Image.Image)
        else file_origin(mask)
    )
    return Opened(photo.crop_mask(whole.image, size), origin, "mask", whole.warnings)


def mask_tensor(mask: Opened) -> Tensor:
    """`(1, 1, R, R)` in [0, 1] of a mask."""
    grey = mask.image.convert("L").convert("RGB")
    return unit_range_from_signed(signed_from_pil([grey], grey.width))[:, :1]
