"""What an edit changed: where, as heat over the picture, and how much of it, as a share."""

from PIL import Image

from cfclip.errors import InputError
from cfclip.losses import changed_pixels, changed_pixels_loss
from cfclip.tensors import grey_from_unit, signed_from_pil

_WARM = (255, 190, 0)
_HOT = (190, 0, 60)
_FADED = 0.45
"""Contrast that is left of the picture under the heat: enough to see what is where."""
_WHITE = (255, 255, 255)


def changed_share(before: Image.Image, after: Image.Image) -> float:
    """Share of pixels that differ, 0 to 1, as `losses.changes` counts them.

    Raises `InputError` for pictures of different sizes.
    """
    _check_sizes(before, after)
    signed = [signed_from_pil([picture], picture.width) for picture in (before, after)]
    return float(changed_pixels_loss(signed[1], signed[0]))


def heat_map(before: Image.Image, after: Image.Image) -> Image.Image:
    """Where two pictures differ: yellow to red over a faded grey `before`.

    The heat of a pixel is what `losses.changes` counts it: half where the change is just
    visible, and never more than one, so that maps of different edits can be compared.

    Args:
        before, after: square pictures of one size.

    Returns:
        8-bit RGB of that size.

    Raises:
        InputError: pictures of different sizes.
    """
    _check_sizes(before, after)
    signed = [signed_from_pil([picture], picture.width) for picture in (before, after)]
    share = changed_pixels(signed[1], signed[0])[0]
    heat = grey_from_unit(share)
    white = Image.new("RGB", before.size, _WHITE)
    faded = Image.blend(white, before.convert("L").convert("RGB"), _FADED)
    ramp = Image.composite(
        Image.new("RGB", before.size, _HOT), Image.new("RGB", before.size, _WARM), heat
    )
    return Image.composite(ramp, faded, heat)


def _check_sizes(before: Image.Image, after: Image.Image) -> None:
    if before.size != after.size or before.width != before.height:
        raise InputError(
            f"pictures of {before.width}x{before.height} and {after.width}x{after.height} pixels "
            "cannot be compared; give two squares of one size"
        )
