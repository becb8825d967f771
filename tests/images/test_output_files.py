"""Bytes of PNG files: the same picture and texts, however they were packed."""

import io

import numpy as np
import pytest
from PIL import Image

from cfclip.errors import InputError
from cfclip.images import encode_png

TEXTS = {"Software": "cfclip", "Description": "grünes Haar \u2028 & <b>"}


def noise(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("quickly", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (64, 64), (257, 31)])
def test_what_is_read_is_what_was_written(size: tuple[int, int], quickly: bool) -> None:
    image = noise(*size)
    data = encode_png(image, TEXTS, quickly=quickly)
    assert data == encode_png(image, TEXTS, quickly=quickly)
    with Image.open(io.BytesIO(data)) as back:
        back.verify()  # every checksum
    with Image.open(io.BytesIO(data)) as back:
        assert (back.format, back.mode, back.size) == ("PNG", "RGB", size)
        assert back.tobytes() == image.tobytes()
        assert {name: back.info[name] for name in TEXTS} == TEXTS


@pytest.mark.parametrize("quickly", [False, True])
def test_a_seal_has_the_last_word(quickly: bool) -> None:
    assert encode_png(noise(4, 4), seal=lambda data: data + b"!", quickly=quickly)[-1:] == b"!"


@pytest.mark.parametrize("keyword", ["", "x" * 80, "ä", "a\nb"])
def test_keywords_that_are_none(keyword: str) -> None:
    with pytest.raises(InputError, match="plain ASCII characters"):
        encode_png(noise(4, 4), {keyword: "x"})
