"""What a batch can be given: folders, patterns, lists, shards, samples, and bad ones of each."""

import io
import itertools
import json
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from cfclip.batches import find_entries
from cfclip.batches.rows import Entry, Refused
from cfclip.batches.shards import read_member
from cfclip.errors import InputError


def paint(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.linear_gradient("L").save(path)
    return path


def entries(*inputs: object, root: Path | None = None) -> list[Entry | Refused]:
    warned: list[str] = []
    found = list(find_entries([str(each) for each in inputs], root, warned.append))
    assert warned == []
    return found


def good(*inputs: object, root: Path | None = None) -> list[Entry]:
    found = entries(*inputs, root=root)
    assert all(isinstance(each, Entry) for each in found), found
    return [each for each in found if isinstance(each, Entry)]


def reasons(*inputs: object) -> list[str]:
    return [each.line for each in entries(*inputs) if isinstance(each, Refused)]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def shard(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def png() -> bytes:
    stream = io.BytesIO()
    Image.linear_gradient("L").save(stream, format="PNG")
    return stream.getvalue()


def test_samples() -> None:
    found = good("sample:3-5", "sample:9")
    assert [each.place.seed for each in found] == [3, 4, 5, 9]
    assert [each.stem for each in found] == ["sample-3", "sample-4", "sample-5", "sample-9"]


def test_folders_files_and_patterns(tmp_path: Path) -> None:
    for name in ("in/b.png", "in/a.jpg", "in/deep/c.png"):
        paint(tmp_path / name)
    write(tmp_path / "in" / "notes.txt", "no picture")
    assert [each.stem for each in good(tmp_path / "in")] == ["a", "b"]
    assert [each.stem for each in good(tmp_path / "in" / "b.png")] == ["b"]
    assert [each.stem for each in good(f"{tmp_path}/in/**/*.png")] == ["b", "c"]
    assert Path(good(tmp_path / "in")[0].place.path).is_absolute()


@pytest.mark.parametrize("given", ["in", "in/*", "**/*"])
def test_pictures_that_cannot_be_opened_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.png", "in/b.avif", "in/c.jpe"):
        paint(tmp_path / name)
    for name in ("d.jxl", "e.dng", "notes.txt"):
        write(tmp_path / "in" / name, "something else")
    *found, told = entries(given)
    assert [each.image for each in found if isinstance(each, Entry)] == [
        *("in/a.png", "in/b.avif", "in/c.jpe"),
    ]
    assert isinstance(told, Refused)
    line = "2 pictures are skipped, which cannot be opened: d.jxl, e.dng"
    assert told.line == f"{given}: {line}"
    with pytest.raises(InputError, match=r"1 picture is skipped, which cannot be opened: d\.jxl"):
        entries("in/*.jxl")


def test_members_of_shards_that_cannot_be_opened_are_told(tmp_path: Path) -> None:
    members = {"a.png": png(), "b.jxl": b"x", "c.json": b"{}", "d.CR2": b"x"}
    first, told = entries(shard(tmp_path / "a.tar", members))
    assert isinstance(first, Entry)
    assert isinstance(told, Refused)
    assert told.line == "a.tar: 2 pictures are skipped, which cannot be opened: b.jxl, d.CR2"


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    assert [each.stem for each in good(paint(tmp_path / "a[1].png"))] == ["a[1]"]


@pytest.mark.parametrize("given", ["{}/nothing", "{}/*.png", "sample:x"])
def test_what_names_nothing(tmp_path: Path, given: str) -> None:
    with pytest.raises(InputError, match=r"there is no file|nothing that can be|is not a sample"):
        entries(given.format(tmp_path))


def test_no_input() -> None:
    with pytest.raises(InputError, match="no input"):
        entries()


def test_csv(tmp_path: Path) -> None:
    path = write(
        tmp_path / "list.csv",
        '\ufeffimage,text,strength,seed,name\nin/a.png,"hair, green",0.5,3,mine\n\nsample:7,,,,\n',
    )
    first, second = good(path)
    assert (first.text, first.strength, first.seed, first.name) == ("hair, green", 0.5, 3, "mine")
    assert first.place.path == str(tmp_path / "in" / "a.png")
    assert (first.where, second.where) == ("list.csv:2", "list.csv:4")
    assert (second.place.seed, second.text, second.strength) == (7, None, None)


def test_jsonl(tmp_path: Path) -> None:
    lines = [{"image": "a.png", "text": "x", "strength": 2, "seed": 1}, {"image": "sample:7"}]
    path = write(tmp_path / "list.jsonl", "\n".join(map(json.dumps, lines)))
    first, second = good(path)
    assert (first.text, first.strength, first.seed) == ("x", 2.0, 1)
    assert second.place.seed == 7


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("a.png", "has 1 cells, the first line 3"),
        (",x,1", "has no image"),
        ("sample:1-3,x,1", "several samples; give each a row of its own"),
        ("sample:x,x,1", "is not a sample"),
        ("a.png,x,much", "strength is 'much', expected a number"),
        ("a.png,x,nan", "strength is 'nan', expected a number"),
        ("../a.png,x,1", "leads out of"),
        ("/etc/passwd,x,1", "leads out of"),
        ("in/link.png,x,1", "leads out of"),
    ],
)
def test_a_bad_line_of_csv_is_refused_alone(tmp_path: Path, line: str, why: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.png").symlink_to("/etc/passwd")
    path = write(tmp_path / "list.csv", f"image,text,strength\n{line}\ngood.png,x,1\n")
    (reason,) = reasons(path)
    assert reason.startswith("list.csv:2: ")
    assert why in reason
    assert len(entries(path)) == 2


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "is not JSON"),
        ("[" * 10_000, "is nested deeper than 64 levels"),
        ("3", "is not a JSON object"),
        ("{}", "has no image"),
        ('{"image": 3}', "image is 3, expected a text"),
        ('{"image": "a.png", "text": ["x"]}', "text is ['x'], expected a text"),
        ('{"image": "a.png", "strength": true}', "strength is True, expected a number"),
        ('{"image": "a.png", "strength": Infinity}', "a number is not finite"),
        ('{"image": "a.png", "seed": 1.5}', "seed is 1.5, expected a whole number"),
        ('{"image": "a.png", "seed": -1}', "seed is -1, expected a whole number"),
        ('{"image": "a\\u0000.png"}', "has the character U+0000"),
        ('{"image": "a.png", "seed": 1' + "0" * 5000 + "}", "a number has 5,001 digits"),
        ('{"image": "a.png", "image": "b.png"}', "the name 'image' is given twice"),
    ],
)
def test_a_bad_line_of_jsonl_is_refused_alone(tmp_path: Path, line: str, why: str) -> None:
    path = write(tmp_path / "list.jsonl", f'{line}\n{{"image": "good.png"}}\n')
    (reason,) = reasons(path)
    assert reason.startswith("list.jsonl:1: ")
    assert why in reason
    assert len(entries(path)) == 2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"picture,text\na.png,x\n", "its first line has to name the columns"),
        (b"image,image\na.png,x\n", "each once"),
        (b"", "its first line has to name the columns"),
        (b"\xff\xfei\0m\0", "is not UTF-8"),
    ],
)
def test_a_list_that_is_none(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(InputError, match=why):
        entries(tmp_path / "list.csv")


def test_columns_that_are_not_used_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "list.csv", "image,txt\na.png,green hair\n")
    warned: list[str] = []
    list(find_entries([str(path)], None, warned.append))
    assert warned == ["list.csv: not used: txt; known are image, text, strength, seed, name"]


def test_the_folder_of_the_pictures_can_be_named(tmp_path: Path) -> None:
    lists, pictures = tmp_path / "lists", tmp_path / "pictures"
    lists.mkdir()
    picture = paint(pictures / "a.png")
    path = write(lists / "list.csv", f"image\na.png\n{picture}\n")
    assert [each.place.path for each in good(path, root=pictures)] == [str(picture)] * 2
    with pytest.raises(InputError, match="--root"):
        entries(path, root=tmp_path / "nowhere")


def test_shards(tmp_path: Path) -> None:
    members = {"a/0001.png": png(), "a/0001.json": b"{}", "0002.seg.JPG": b"jpeg", "c.cls": b"3"}
    path = shard(tmp_path / "s-0.tar", members)
    first, second = good(path)
    assert (first.stem, first.image) == ("a/0001", "s-0.tar/a/0001.png")
    assert second.stem == "0002"
    assert [read_member(each.place) for each in (first, second)] == [png(), b"jpeg"]
    shard(tmp_path / "s-1.tar", {"0003.png": png()})
    assert len(good(f"{tmp_path}/s-*.tar")) == 3


def test_a_shard_never_unpickles(tmp_path: Path) -> None:
    # Whatever else is in there (a pickle, as webdataset writes them) is passed over.
    assert [each.stem for each in good(shard(tmp_path / "s.tar", {"a.pkl": b"x", "a.png": b"y"}))]


def test_members_that_lead_out_or_are_no_pictures(tmp_path: Path) -> None:
    path = shard(
        tmp_path / "s.tar", {"../x.png": b"1", "/y.png": b"1", "z.png": b"", "ok.png": b"1"}
    )
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    lines = reasons(path)
    assert [line.split(":")[0] for line in lines] == [
        "s.tar/../x.png",
        "s.tar//y.png",
        "s.tar/z.png",
    ]
    assert "leads out of the archive" in lines[0]
    assert "has 0 bytes" in lines[2]
    assert [each.stem for each in entries(path) if isinstance(each, Entry)] == ["ok"]


def test_what_is_no_shard(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"s\.tar is no webdataset shard"):
        entries(write(tmp_path / "s.tar", "x" * 2000))
    with tarfile.open(tmp_path / "z.tar", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.png"))
    with pytest.raises(InputError, match="give an uncompressed tar archive"):
        entries(tmp_path / "z.tar")


def test_a_shard_that_was_cut_off(tmp_path: Path) -> None:
    path = shard(tmp_path / "s.tar", {f"{number}.png": b"x" * 5000 for number in range(4)})
    path.write_bytes(path.read_bytes()[:8000])
    found = entries(path)
    assert isinstance(found[-1], Refused)
    assert "is damaged" in found[-1].line
    (entry,) = [each for each in found[1:] if isinstance(each, Entry)]
    with pytest.raises(InputError, match="ends before its pictures do"):
        read_member(entry.place)


def header(name: str, size: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A tar header whose field for the size, 12 bytes, may hold anything."""
    member = tarfile.TarInfo(name)
    member.type = kind
    data = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    data[124:136] = size
    data[148:156] = b" " * 8  # as which the checksum counts in itself
    data[148:156] = b"%06o\0 " % sum(data)
    return bytes(data)


BELOW_ZERO = b"\xff" * 10 + b"\xfe\x00"
"""-512: the header itself is what comes next."""


@pytest.mark.parametrize(
    "rest",
    [
        header("b.png", BELOW_ZERO),
        header("b.cls", BELOW_ZERO, tarfile.CONTTYPE),
        header("b", BELOW_ZERO, tarfile.XHDTYPE),
        header("b.cls", b"\x80" + b"\xff" * 11),
        header("b", b"%011o\0" % 512, tarfile.XHDTYPE)
        + b"22 GNU.sparse.size=abc\n".ljust(512, b"\0")
        + header("b.png", b"%011o\0" % 0),
        (header("b", b"%011o\0" % 2, tarfile.GNUTYPE_LONGNAME) + b"b".ljust(512, b"\0")) * 2000,
    ],
)
def test_what_is_wrong_in_a_shard_ends_it_there(tmp_path: Path, rest: bytes) -> None:
    start = header("a.png", b"%011o\0" % 1) + b"x".ljust(512, b"\0")
    (tmp_path / "s.tar").write_bytes(start + rest + bytes(1024))
    found = list(itertools.islice(find_entries([f"{tmp_path}/s.tar"], None, print), 9))
    assert [each.stem for each in found if isinstance(each, Entry)] == ["a"]
    assert isinstance(found[-1], Refused)
    assert "is damaged" in found[-1].line


def test_what_a_refusal_quotes_is_cut(tmp_path: Path) -> None:
    line = json.dumps({"image": "../" * 100_000})
    (reason,) = reasons(write(tmp_path / "list.jsonl", f'{line}\n{{"image": "good.png"}}\n'))
    assert len(reason) < 1000
