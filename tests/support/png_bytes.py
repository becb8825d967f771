"""Small PNG files in memory."""

import io

from PIL import Image


def png_of(grey: int, side: int = 32) -> bytes:
    """The file of a square picture of one grey."""
    stream = io.BytesIO()
    Image.new("RGB", (side, side), (grey, grey, grey)).save(stream, format="PNG")
    return stream.getvalue()
