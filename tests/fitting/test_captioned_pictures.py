"""Reading a folder of pictures with captions, and refusing what is wrong with it."""

from pathlib import Path

import pytest
from captioned import write_captions
from PIL import Image

from cfclip.errors import InputError
from cfclip.fitting.captioned_pictures import Caption, read_captioned_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures without captions yet."""
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.jpg", "c.png", "d.png"):
        Image.new("RGB", (32, 32)).save(tmp_path / "images" / name)
    return tmp_path


def refusal(folder: Path, *lines: str) -> str:
    """The message about these lines, without the folder."""
    (folder / "captions.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_captioned_folder(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{folder}/", "")


def test_captions_and_pictures(folder: Path) -> None:
    lines = [
        {"image": "b.jpg", "text": "  brown  hair "},
        {"image": "a.png", "text": "red hair", "source": "b.jpg"},
        {"image": "b.jpg", "text": "a smile", "source": None},
    ]
    write_captions(folder, lines)
    with (folder / "captions.jsonl").open("a") as file:
        file.write("\n  \n")
    read = read_captioned_folder(folder)
    assert read.captions == (
        Caption("b.jpg", "brown hair"),
        Caption("a.png", "red hair", "b.jpg"),
        Caption("b.jpg", "a smile"),
    )
    assert read.pictures == {name: folder / "images" / name for name in ("b.jpg", "a.png")}
    assert read.uncaptioned == ("c.png", "d.png")


def test_files_of_other_systems(folder: Path) -> None:
    line = '{"image": "a.png", "text": "hair\u2028and skin"}\r\n'
    (folder / "captions.jsonl").write_bytes(b"\xef\xbb\xbf" + line.encode() * 2)
    assert read_captioned_folder(folder).captions == (Caption("a.png", "hair and skin"),) * 2


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "nested deeper"),
        ("[1]", "expected a table"),
        ('{"image": "a.png"}', "missing field text"),
        ('{"text": "hair"}', "missing field image"),
        ('{"image": 3, "text": "hair"}', "image is 3, expected a text"),
        ('{"image": "a.png", "text": ["hair"]}', "text is ['hair'], expected a text"),
        ('{"image": "a.png", "text": "hair", "source": ""}', "source is empty"),
        ('{"image": "a.png", "text": "hair", "sorce": "b"}', "unknown field sorce; known are"),
        ('{"image": "a.png", "text": "hair", "source": "a.png"}', "source and image are both"),
        ('{"image": "a.png", "text": " "}', "the prompt is empty"),
        ('{"image": "a.png", "text": "a\\u0000b"}', "U+0000"),
        ('{"image": "e.png", "text": "hair"}', "there is no picture 'e.png' in images"),
        ('{"image": "a.png", "text": "hair", "source": "e.png"}', "there is no picture 'e.png'"),
        ('{"image": "../images/a.png", "text": "hair"}', "there is no picture '../images/a.png'"),
        ('{"image": "a\\u0000.png", "text": "hair"}', "U+0000"),
    ],
)
def test_bad_lines_are_told_with_their_number(folder: Path, line: str, why: str) -> None:
    message = refusal(folder, '{"image": "a.png", "text": "hair"}', "", line)
    assert message.startswith("captions.jsonl:3: ")
    assert why in message


def test_folders_without_captions_or_pictures(folder: Path, tmp_path: Path) -> None:
    assert "captions.jsonl has no captions" in refusal(folder)
    (folder / "captions.jsonl").unlink()
    with pytest.raises(InputError, match=r"captions\.jsonl: cannot read it \(No such file"):
        read_captioned_folder(folder)
    (folder / "captions.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="is not UTF-8"):
        read_captioned_folder(folder)
    for path in (folder / "images").iterdir():
        path.unlink()
    assert "images has no pictures" in refusal(folder, "{}")
    (folder / "images").rmdir()
    assert refusal(folder, "{}").startswith("there is no folder images; put the pictures there")
    (folder / "images").touch()
    assert refusal(folder, "{}").startswith("there is no folder images")
