"""No character of anybody's texts acts on a terminal, and no line is endless, through any command.

Names of files, lists, manifests, records, metadata and options hold what terminals obey, cannot
show, or show as something else.
"""

import json
import logging
import os
import shutil
import unicodedata
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from http_server import serving, status
from PIL import Image, PngImagePlugin

from cfclip.apps.cli import main
from cfclip.apps.console import Console, library_logs, tell
from cfclip.errors import LONGEST_LINE, one_line, plain, shortened
from cfclip.packs import MANIFEST_FILE
from cfclip.provenance.stamping import XMP_KEYWORD, Provenance, xmp_packet

ACTING = (
    "\x1b]0;title\x07\x1b[2J\b\r\x7f\v\f\t"  # a terminal's commands, C0 and DEL
    "\x85\x9b31m\x90\x9c"  # C1
    "\u202e\u2066\u200e\u061c"  # directions
    "\u200b\u200d\u2060\ufeff\u00ad"  # without room
    "\u2028\u2029"  # other ends of lines
    "\U000e0041\ue000"  # tags, private
)
NAME = f"a\n{ACTING}"
"""As part of a file's name."""
NO_UTF8 = "\udcff\udc9b"
"""As Python gives a name that is no UTF-8."""
LONG = "x" * 3000


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def acting(text: str) -> set[str]:
    """Characters that a terminal would act on or not show; line feeds end lines."""
    return {
        c for c in text.replace("\n", "") if not c.isprintable() and unicodedata.category(c) != "Zs"
    }


def check(out: str, err: str, as_json: bool = False) -> None:
    assert acting(out + err) == set()
    for line in err.splitlines() + ([] if as_json else out.splitlines()):
        assert len(line) <= LONGEST_LINE
    if as_json:
        assert out.isascii()
        for line in out.splitlines():
            json.loads(line, parse_constant=pytest.fail)


def escaped(text: str) -> str:
    return json.dumps(text)  # which TOML's strings are, too


@dataclass
class Files:
    """What commands are given."""

    folder: Path
    picture: Path
    pack: Path
    out: Path

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = content.encode("utf-8", "surrogateescape")
        path.write_bytes(content)
        return path


@pytest.fixture
def files(tmp_path: Path, tiny_pack: Path) -> Files:
    folder = tmp_path / f"in {NAME}"
    folder.mkdir()
    hostile = Provenance(
        ACTING, (NAME, LONG), NAME, NAME, NAME, tool=f"{NAME}{LONG}", version=ACTING
    )
    packet = xmp_packet(hostile).replace("a\ufffd", "a&#x9b;").replace(LONG, LONG + "&#x202e;")
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt(XMP_KEYWORD, packet)
    picture = folder / f"{NAME}{NO_UTF8}.png"
    Image.new("RGB", (64, 48)).save(picture, pnginfo=texts)
    pack = shutil.copytree(tiny_pack, tmp_path / "packs" / "hostile")
    manifest = (pack / MANIFEST_FILE).read_text()
    manifest = manifest.replace('name = "tiny"', 'name = "hostile"')
    for name in ("licence", "attribution", "origin"):
        lines = [line for line in manifest.splitlines() if not line.startswith(f"{name} = ")]
        manifest = f"{name} = {escaped(f'{NAME}{LONG}')}\n" + "\n".join(lines)
    card = f"\n[card]\n{escaped(NAME)} = {escaped(f'{NAME} and {LONG}')}\n"
    (pack / MANIFEST_FILE).write_text(manifest + card)
    return Files(folder, picture, pack, tmp_path / f"out {NAME}")


def bad_default(files: Files) -> list[str]:
    manifest = files.pack / MANIFEST_FILE
    text = manifest.read_text()
    start = text.index("[defaults.edit]\n") + len("[defaults.edit]\n")
    manifest.write_text(f"{text[:start]}layers = {escaped(NAME)}\n{text[start:]}")
    return ["edit", "--pack", str(files.pack), "--help"]


def bad_list(files: Files) -> list[str]:
    rows = [f'"{files.picture.name}"', f'"no {ACTING}.png"', '"sample:1"']
    text = f"image,{ACTING.replace(chr(13), '')}\n" + "".join(f"{row},b\n" for row in rows)
    path = files.write(f"list{ACTING}.csv", text.replace(NO_UTF8, ""))
    return [*batch(files), str(path)]


def batch(files: Files) -> list[str]:
    return ["batch", "--text", "green hair", "--steps", "1", "--workers", "1", *to(files)]


def to(files: Files) -> list[str]:
    return ["--pack", "tiny", "--out", str(files.out)]


def record(files: Files, **changes: Any) -> list[str]:
    assert main(["edit", "sample:1", "green hair", *to(files)]) == 0
    (path,) = files.out.glob("*.json")
    content = {**json.loads(path.read_text()), **changes}
    return ["rerun", str(files.write(f"{ACTING}.json", json.dumps(content))), "--out", "again"]


def moved(files: Files) -> list[str]:
    source = {"kind": "file", "path": NAME, "sha256": "a" * 64}
    return record(files, source=source, inversion={"settings": {}, "steps": 1})


def empty_pictures(files: Files) -> list[str]:
    return ["train", "--latents", str(files.write(f"{NAME}/x.png", b"")), *to(files)]


COMMANDS: dict[str, Callable[[Files], list[str]]] = {
    "edit": lambda files: ["edit", str(files.picture), "green hair", *to(files)],
    "edit-nothing": lambda files: ["edit", f"{files.folder}/none", "green hair", *to(files)],
    "edit-folder": lambda files: ["edit", str(files.folder), "green hair", *to(files)],
    "edit-long": lambda files: ["edit", f"{LONG}.png", "green hair", *to(files)],
    "edit-text": lambda files: ["edit", "sample:1", NAME, *to(files)],
    "edit-mask": lambda files: ["edit", "sample:1", "a", "--mask", NAME, *to(files)],
    "edit-layers": lambda files: ["edit", "sample:1", "a", "--layers", NAME, *to(files)],
    "sample": lambda files: ["sample", *to(files)],
    "invert": lambda files: ["invert", str(files.picture), *to(files)],
    "inspect": lambda files: ["inspect", str(files.picture), str(files.picture)],
    "inspect-damaged": lambda files: ["inspect", str(files.write(f"{ACTING}.png", "no picture"))],
    "packs-list": lambda files: ["packs", "list"],
    "packs-show": lambda files: ["packs", "show", str(files.pack)],
    "packs-show-nothing": lambda files: ["packs", "show", NAME],
    "packs-create": lambda files: [
        *("packs", "create", "--name", "b", "--generator", str(files.picture)),
        *("--source-text", "a", "--clip", NAME),
    ],
    "packs-download": lambda files: ["packs", "download", NAME],
    "packs-address": lambda files: [
        *("packs", "download", "ffhq", "--accept-license", "--address", f"file:{NAME}"),
        *("--out", str(files.folder)),
    ],
    "rerun-moved": moved,
    "rerun-versions": lambda files: record(files, versions={"torch": NAME, "python": LONG}),
    "rerun-pack": lambda files: record(files, pack={"name": NAME, "fingerprint": "", "files": {}}),
    "batch": lambda files: [*batch(files), str(files.picture), f"{files.folder}/{NAME}*"],
    "batch-list": bad_list,
    "apply": lambda files: ["apply", NAME, "sample:1", "--out", str(files.out)],
    "train": lambda files: ["train", "--text", NAME, *to(files)],
    "train-pictures": empty_pictures,
    "fit-text-map": lambda files: ["fit-text-map", str(files.folder), "--out", "m.safetensors"],
    "fit-parts": lambda files: ["fit-parts", NAME],
    "parts": lambda files: ["parts", NAME, "--out", str(files.out)],
    "fit-global-directions": lambda files: ["fit-global-directions", "--out", NAME],
    "convert": lambda files: ["convert", str(files.picture), f"{NAME}.safetensors"],
    "grid": lambda files: ["grid", "contact", str(files.picture), "--out", f"{files.out}.png"],
    "bench": lambda files: ["bench", "--methods", NAME, "--out", str(files.out)],
    "bench-files": lambda files: ["bench", "--files", NAME, "--out", str(files.out)],
    "bench-ruler": lambda files: ["bench-ruler", "--pack", NAME, "--out", str(files.out)],
    "bench-speed": lambda files: ["bench-speed", "--works", NAME],
    "bench-speed-page": lambda files: ["bench-speed", "--page", str(files.folder / NAME)],
    "doctor": lambda files: ["doctor", "--pack", NAME],
    "web": lambda files: ["web", "--mappers", NAME],
    "usage-value": lambda files: ["edit", "a", "b", "--seed", NAME, "--out", "o"],
    "usage-option": lambda files: ["edit", "a", "b", f"--{NAME}", LONG, "--out", "o"],
    "usage-command": lambda files: [NAME],
    "help": bad_default,
}


SLOW = {"batch", "batch-list"}
"""They start processes."""


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=[pytest.mark.slow] * (each in SLOW)) for each in COMMANDS]
)
def test_no_command_lets_them_through(
    files: Files,
    name: str,
    as_json: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(files.folder)
    monkeypatch.setenv(
        "CFCLIP_PACKS", f"{files.pack.parent}{os.pathsep}{os.environ['CFCLIP_PACKS']}"
    )
    command = COMMANDS[name](files)
    capsys.readouterr()
    usage = name.startswith(("usage", "help"))
    try:
        main([*command, *(["--json"] if as_json and not usage else [])])
    except SystemExit:
        assert usage
    captured = capsys.readouterr()
    assert captured.out + captured.err
    check(captured.out, captured.err, as_json and not usage)


def test_a_redirect_to_anything(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(b"") as server:
        server.replies = [status(302, Location=f"ftp://x/{ACTING}".encode().decode("latin-1"))]
        command = ["packs", "download", "ffhq", "--accept-license", "--address", server.address]
        kept = ["--out", str(files.folder), "--downloads", str(files.out)]
        assert main([*command, *kept, "--clip", str(files.pack / "clip")]) == 2
    captured = capsys.readouterr()
    assert "answers 302" in captured.err
    check(captured.out, captured.err)


def test_results_of_ordinary_names_can_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Spaces of any kind and length, accents, emoji: what is printed is where the file is."""
    for name in ("two  spaces", "Bildschirmfoto 10\u202f42", "\u5199\u771f\u3000a", "\U0001f600 é"):
        out = tmp_path / name
        assert main(["sample", "--pack", "tiny", "--out", str(out)]) == 0
        told = capsys.readouterr().out
        assert told == f"{out / 'sample-0.png'}\n"
        assert Path(told[:-1]).is_file()


def test_a_name_cannot_make_a_line_of_its_own(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    out = f"{files.out}\ncfclip: all is well"
    assert main(["sample", "--pack", "tiny", "--out", out]) == 0
    told = capsys.readouterr().out
    assert told.count("\n") == 1
    assert r"\ncfclip: all is well/sample-0.png" in told
    assert main(["sample", "--pack", "tiny", "--out", out, "--overwrite", "--json"]) == 0
    assert Path(json.loads(capsys.readouterr().out)["image"]).is_file()


def test_json_is_whole_and_has_no_numbers_that_are_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = {"text": LONG + ACTING + NO_UTF8, "psnr": float("inf"), "all": [float("nan")]}
    Console(quiet=False, as_json=True).result(content, "")
    told = capsys.readouterr().out
    check(told, "", as_json=True)
    assert json.loads(told) == {**content, "psnr": None, "all": [None]}


def test_a_long_line_keeps_its_beginning_and_its_end(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    Console(quiet=False, as_json=False).error(f"{LONG} is wrong; do this")
    told = capsys.readouterr().err
    assert len(told) == LONGEST_LINE + 1
    assert told.startswith("cfclip: error: xxx")
    assert " ... " in told
    assert told.endswith("is wrong; do this\n")


def test_libraries_are_told_likewise(capsys: pytest.CaptureFixture[str]) -> None:
    with library_logs():
        logging.getLogger("some.library").warning("%s\nsecond line %s", NAME, LONG)
        warnings.warn(f"{NAME}{LONG}", stacklevel=1)
    captured = capsys.readouterr()
    assert "second line" in captured.err
    assert "UserWarning" in captured.err
    check(captured.out, captured.err)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_stream_of_any_encoding_can_be_told(encoding: str) -> None:
    stream = TextIOWrapper(BytesIO(), encoding=encoding)
    tell(["grün \u3042 \udcff"], stream)
    stream.seek(0)
    assert stream.read().startswith("gr")


def test_what_is_plain() -> None:
    assert plain(NAME).startswith(r"a\n\x1b]0;title\x07")
    assert acting(plain("".join(map(chr, range(0x110000))))) == set()
    assert one_line("a\nb\x1b[31m  c") == r"a b\x1b[31m c"
    assert plain("ordinary \u00a0\u3000") == "ordinary \u00a0\u3000"
    assert shortened("x" * LONGEST_LINE) == "x" * LONGEST_LINE
    assert len(shortened("x" * (LONGEST_LINE + 1))) == LONGEST_LINE


def test_a_word_that_is_no_text_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["inspect", "a.png", "--quiet", "\udcff"])
    assert ended.value.code == 2
    assert "Unrecognized" in capsys.readouterr().err
