"""XMP in GIF files: written so that every reader still sees the pictures, and read back."""

from io import BytesIO

import pytest
from PIL import Image

from cfclip.errors import InputError
from cfclip.images.output_files import encode_gif, packet_of, with_packet

PACKET = '<?xpacket begin="\ufeff" id="x"?><a>grün' + "\x01" * 300 + '</a><?xpacket end="r"?>'


def animation(frames: int = 3, comment: str = "") -> bytes:
    pictures = [Image.new("RGB", (5, 4), (80 * index, 0, 9)) for index in range(frames)]
    stream = BytesIO()
    first, *rest = pictures
    first.save(
        stream, "GIF", save_all=True, append_images=rest, duration=90, loop=0, comment=comment
    )
    return stream.getvalue()


@pytest.mark.parametrize("comment", ["", "a remark " * 60])
def test_the_packet_comes_back_and_the_pictures_stay(comment: str) -> None:
    bare = animation(comment=comment)
    told = with_packet(bare, PACKET)
    assert packet_of(bare) is None
    assert packet_of(told) == PACKET
    with Image.open(BytesIO(told)) as one, Image.open(BytesIO(bare)) as other:
        assert one.n_frames == other.n_frames == 3
        assert (one.info["loop"], one.info["duration"]) == (0, 90)
        for index in range(3):
            one.seek(index)
            other.seek(index)
            assert one.convert("RGB").tobytes() == other.convert("RGB").tobytes()


def test_nothing_goes_in_of_what_a_picture_was_opened_with() -> None:
    picture = Image.new("RGB", (5, 4), "grey")
    picture.info = {"comment": b"secret", "icc_profile": b"secret", "transparency": (1, 2, 3)}
    data = encode_gif([(picture, 50), (Image.new("RGB", (5, 4)), 50)])
    assert b"secret" not in data
    with Image.open(BytesIO(data)) as written:
        assert written.convert("RGBA").getpixel((2, 2)) == (128, 128, 128, 255)


@pytest.mark.parametrize("length", range(0, 600, 37))
def test_a_reader_of_sub_blocks_finds_the_end_wherever_it_steps_in(length: int) -> None:
    told = with_packet(animation(1), "x" * length)
    with Image.open(BytesIO(told)) as opened:
        opened.load()
        assert opened.size == (5, 4)


def test_other_data_is_refused_or_has_none() -> None:
    with pytest.raises(InputError, match="89a"):
        with_packet(b"GIF87a" + bytes(20), PACKET)
    told = with_packet(animation(), PACKET)
    for cut in (0, 5, 12, 14, 60, len(told) // 2):
        assert packet_of(told[:cut]) in (None, PACKET)
