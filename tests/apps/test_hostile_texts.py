"""Every text that commands read, malformed in every way: one line, status 2, and at once."""

import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from few_prompts import PROMPTS
from PIL import Image
from refusals import refused
from tiny_jobs import write_mapper

from cfclip.apps.cli import main
from cfclip.packs import MANIFEST_FILE

TEXT = "green hair"
MAX_SECONDS = 20.0
"""On a busy machine that has to import first; what hangs takes minutes."""
LONGEST_LINE = 500
DIGITS = "9" * 5000
DOTS = ".".join("a" * 50_000)
NAME = "9" * 300
Refusal = Callable[..., str]


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))
    monkeypatch.chdir(tmp_path)
    Image.linear_gradient("L").convert("RGB").save("me.png")


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Refusal:
    """Runs a command that must fail at once and in one line, which is returned."""

    def run(*arguments: object) -> str:
        began = time.perf_counter()
        assert main(list(map(str, arguments))) == 2
        assert time.perf_counter() - began < MAX_SECONDS
        line = refused(capsys).rstrip()
        assert len(line) <= LONGEST_LINE
        return line

    return run


BYTES = {
    "latin": b'"\xe9"',
    "utf-16": "{}".encode("utf-16"),
    "zeros": b"\0" * 100,
    "empty": b"",
    "jpeg": b"\xff\xd8\xff\xe0" * 100,
}
"""What is no text at all."""
JSONS = {
    "digits": DIGITS,
    "in a list": f"[[{DIGITS}, 1], [1, 2], [3, 4], [5, 6]]",
    "infinite": '{"a": 1e999}',
    "nan": "[NaN]",
    "nested": "[" * 100_000,
    "nested tables": '{"a":' * 100_000,
    "surrogate": r'{"kind": "\ud800", "format": 1}',
    "null": r'{"image": "a\u0000.png", "text": "hair"}',
    "twice": '{"image": "a", "image": "b"}',
    "list": '[["x"]]',
    "number": "3",
    "nothing": "null",
    "torn": '{"image": "a.png",',
}
TOMLS = {
    "dots": f"{DOTS} = 1",
    "dots of a header": f"[{DOTS}]",
    "dots in a table": f"a = {{ {DOTS} = 1 }}",
    "dots in quotes": " . ".join(['"a"'] * 50_000) + " = 1",
    "digits": f"format = {DIGITS}",
    "hexadecimal": "resolution = 0x" + "f" * 5000,
    "infinite": "a = inf",
    "nested": "a = " + "[" * 10_000,
    "nested tables": "a = " + "{a = " * 3000,
    "date": "name = 1979-05-27",
    "torn": 'name = "',
    "quotes": "name = " + "'" * 100_000,
}


def cases(*kinds: dict[str, Any]) -> Any:
    """All texts of some kinds, by their names."""
    found = {name: content for kind in kinds for name, content in kind.items()}
    return pytest.mark.parametrize("content", found.values(), ids=list(found))


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


EDIT = ("--pack", "tiny", "--out", "out")


@cases(BYTES, JSONS)
def test_records(refusal: Refusal, tmp_path: Path, content: str) -> None:
    assert "record.json" in refusal("rerun", write(tmp_path / "record.json", content), *EDIT)


@cases(BYTES, JSONS)
def test_landmarks(refusal: Refusal, tmp_path: Path, content: str) -> None:
    points = write(tmp_path / "points.txt", content)
    assert "points.txt" in refusal("edit", "me.png", TEXT, "--landmarks", points, *EDIT)


@cases(BYTES, JSONS)
def test_captions(refusal: Refusal, tmp_path: Path, content: str) -> None:
    write(tmp_path / "data" / "images" / "a.png", (tmp_path / "me.png").read_bytes())
    file = write(tmp_path / "data" / "captions.jsonl", content)
    assert file.name in refusal(
        "fit-text-map", file.parent, "--pack", "tiny", "--out", "map.safetensors"
    )


@cases(BYTES, JSONS)
def test_logs_of_trainings(refusal: Refusal, tmp_path: Path, content: str) -> None:
    log = write(tmp_path / "run" / "log.jsonl", content)
    assert "log.jsonl" in refusal("grid", "curves", log.parent, "--out", "curves.png")


@cases(BYTES, JSONS)
def test_lists_of_pictures(refusal: Refusal, tmp_path: Path, content: str) -> None:
    for name in ("list.jsonl", "list.csv"):
        file = write(tmp_path / name, content)
        assert refusal("batch", file, "--text", TEXT, *EDIT)


@cases(BYTES, TOMLS)
def test_packs(refusal: Refusal, tiny_pack_copy: Path, content: str) -> None:
    write(tiny_pack_copy / MANIFEST_FILE, content)
    for command in (
        ("packs", "show", tiny_pack_copy),
        ("edit", "sample:1", TEXT, "--pack", tiny_pack_copy, "--out", "out"),
    ):
        assert MANIFEST_FILE in refusal(*command)


@cases(TOMLS)
def test_packs_that_are_listed(
    tiny_pack_copy: Path,
    content: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(tiny_pack_copy / MANIFEST_FILE, content)
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack_copy.parent))
    began = time.perf_counter()
    assert main(["packs", "list"]) == 2
    assert time.perf_counter() - began < MAX_SECONDS
    captured = capsys.readouterr()
    assert captured.out.startswith("avatars ")
    assert captured.err.count("\n") == 1
    assert MANIFEST_FILE in captured.err


@cases(BYTES, TOMLS)
def test_prompts_and_variants_of_a_benchmark(
    refusal: Refusal, tmp_path: Path, content: str
) -> None:
    file = write(tmp_path / "given.toml", content)
    few = write(tmp_path / "prompts.toml", PROMPTS)
    bench = ("bench", "--quick", "--images", 1, *EDIT)
    assert "given.toml" in refusal(*bench, "--prompts", file)
    assert "given.toml" in refusal(*bench, "--prompts", few, "--variants", file)


@cases(BYTES, JSONS)
def test_settings_that_were_tuned(refusal: Refusal, tmp_path: Path, content: str) -> None:
    file = write(tmp_path / "tuned" / "cfclip-optimisation.json", content)
    few = write(tmp_path / "prompts.toml", PROMPTS)
    bench = ("bench", "--quick", "--images", 1, "--methods", file.stem, "--prompts", few, *EDIT)
    assert file.name in refusal(*bench, "--tuned", file.parent)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('templates = [\n    "{}",', "templates = [\n    [1],"),
        ('"red hair"', '["red hair"]'),
        ("templates = [", 'templates = "abc"\nmore = ['),
        ("[card]", "[card]\nmore = []"),
        ("[defaults.edit]", "[defaults.edit]\nlr = [1]"),
        ('name = "tiny"', "name = ['tiny']"),
        ('name = "tiny"', f'name = "{NAME}"'),
        ('vocabulary = "vocabulary.txt"', f'vocabulary = "{NAME}.txt"'),
        ("[files]", f'[files]\n"{NAME}.txt" = "{"0" * 64}"'),
        ("[files]", '[files]\n"a\\u0000.txt" = "x"'),
        ("resolution = 32", "resolution = 18446744073709551615"),
    ],
    ids=lambda text: text[:24],
)
def test_values_in_a_pack(refusal: Refusal, tiny_pack_copy: Path, old: str, new: str) -> None:
    file = tiny_pack_copy / MANIFEST_FILE
    text = file.read_text()
    assert old in text
    write(file, text.replace(old, new, 1))
    assert refusal("edit", "sample:1", TEXT, "--pack", tiny_pack_copy, "--out", "out")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("settings", "lr"), 1e999),
        (("settings", "lr"), 1e38),
        (("settings", "steps"), 10**400),
        (("settings", "objective"), ["clip_nce"]),
        (("settings", "a" * 5000), 1),
        (("source", "seed"), 10**30),
        (("source", "seed"), "1"),
        (("source", "truncation_psi"), -1.0),
        (("source", "kind"), ["sample"]),
        (("source", "kind"), {"a": 1}),
        (("pack", "files"), [1]),
        (("pack", "name"), NAME),
        (("prompts",), TEXT),
        (("prompts",), [[TEXT]]),
        (("prompts",), "\ud800"),
        (("seed",), 2**63),
        (("seed",), 1.5),
        (("mask",), {"kind": "file", "path": NAME, "sha256": "0"}),
        (("outputs",), "abc"),
        (("outputs",), [{"strength": 1e300, "pixels_sha256": "0"}]),
        (("inversion",), {"settings": 3}),
        (("steps",), True),
        (("device",), "a" * 5000),
    ],
    ids=str,
)
def test_values_in_a_record(
    refusal: Refusal, record: Path, tmp_path: Path, place: tuple[str, ...], value: Any
) -> None:
    content = json.loads(record.read_text())
    *tables, name = place
    table = content
    for each in tables:
        table = table[each]
    table[name] = value
    assert refusal("rerun", write(tmp_path / "record.json", json.dumps(content)), "--out", "out")


def test_no_field_of_a_record_is_taken_at_its_word(
    refusal: Refusal, record: Path, tmp_path: Path
) -> None:
    content = json.loads(record.read_text())
    tables = [content, *(content[name] for name in ("pack", "source", "settings"))]
    places = [(table, name) for table in tables for name in table]
    for table, name in places:
        kept = table[name]
        table[name] = [1] if isinstance(kept, str) else "x"
        file = write(tmp_path / "record.json", json.dumps(content))
        status = main(
            ["rerun", str(file), "--out", str(tmp_path / "out"), "--overwrite", "--quiet"]
        )
        assert status == (0 if name in FREE_FIELDS else 2), name
        table[name] = kept


FREE_FIELDS = {
    *("seconds", "warnings", "loss", "history", "strip", "stop_reason", "interrupted"),
    "confined_to",
}
"""Fields of a record that nothing is made of; whatever they hold, the edit can be made again."""


@pytest.fixture(scope="module")
def record(tiny_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an edit."""
    out = tmp_path_factory.mktemp("edit")
    tiny = ["--pack", str(tiny_pack), "--steps", "1", "--augmentations", "1"]
    assert main(["edit", "sample:1", TEXT, "--out", str(out), *tiny]) == 0
    return out / "sample-1_green-hair.json"


@pytest.mark.parametrize(
    "line",
    [
        {"image": NAME, "text": TEXT},
        {"image": ["a.png"], "text": TEXT},
        {"image": "a.png", "text": list(TEXT)},
        {"image": "a.png", "text": TEXT, "source": NAME},
        {"image": "../a.png", "text": TEXT},
        {"image": "a.png", "text": TEXT, NAME: 1},
    ],
    ids=str,
)
def test_values_in_captions(refusal: Refusal, tmp_path: Path, line: dict[str, Any]) -> None:
    write(tmp_path / "data" / "images" / "a.png", (tmp_path / "me.png").read_bytes())
    file = write(tmp_path / "data" / "captions.jsonl", json.dumps(line))
    line_told = refusal("fit-text-map", file.parent, "--pack", "tiny", "--out", "map.safetensors")
    assert f"{file}:1: " in line_told


BATCH = ("--pack", "tiny", "--workers", "1", "--steps", "1", "--augmentations", "1")
ROWS = "".join(
    f"{row}\n"
    for row in (
        "image,text,strength,seed,name",
        f"sample:1,{TEXT},1,{DIGITS},digits",
        f"sample:{DIGITS},{TEXT},1,1,sample",
        f"sample:1,{TEXT},1e999,1,infinite",
        f"sample:1,{TEXT},{DIGITS},1,long",
        f"{NAME}.png,{TEXT},1,1,name",
        f"a\0.png,{TEXT},1,1,null",
        f'sample:1,"{"x" * 200_000}",1,1,wide',
        f"sample:1,{TEXT},1,1.0,good",
    )
)


def test_a_bad_row_is_the_only_one_that_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "list.csv", ROWS.encode() + b"sample:1,\xff,1,1,latin\n")
    assert main(["batch", str(file), "--out", "out", *BATCH]) == 2
    told = [json.loads(line) for line in (tmp_path / "out/results.jsonl").read_text().splitlines()]
    assert [(each["name"], each["seed"]) for each in told if each["status"] == "done"] == [
        ("good", 1)
    ]
    lines = capsys.readouterr().err.splitlines()
    assert max(map(len, lines)) <= LONGEST_LINE
    for number in (2, 3, 4, 5, 7, 8, 10):
        assert any(f"list.csv:{number}: " in line for line in lines)


@pytest.mark.parametrize(
    "change",
    [
        {"name": ["x", "x"]},
        {"place": {"kind": ["sample"]}},
        {"place": 3},
        {"seed": 10**30},
        {"strength": "1"},
        {"text": None},
    ],
    ids=str,
)
def test_rows_that_a_batch_has_kept(
    refusal: Refusal, begun: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    folder = shutil.copytree(begun, tmp_path / "batch")
    (line,) = (folder / "rows.jsonl").read_text().splitlines()
    write(folder / "rows.jsonl", json.dumps({**json.loads(line), **change}) + "\n")
    told = refusal("batch", "sample:1", "--text", TEXT, "--out", folder, *BATCH)
    assert "rows.jsonl:1: " in told


@pytest.mark.parametrize("name", ["batch.json", "rows.jsonl"])
@cases(BYTES, JSONS)
def test_what_a_batch_has_kept(
    refusal: Refusal, begun: Path, tmp_path: Path, name: str, content: str
) -> None:
    folder = shutil.copytree(begun, tmp_path / "batch")
    data = content if isinstance(content, bytes) else content.encode()
    write(folder / name, data + b"\n")
    assert name in refusal("batch", "sample:1", "--text", TEXT, "--out", folder, *BATCH)


@cases(BYTES, JSONS)
def test_results_that_a_batch_was_told(begun: Path, tmp_path: Path, content: str) -> None:
    folder = shutil.copytree(begun, tmp_path / "batch")
    odd = json.dumps({"name": "sample-1_green-hair", "psnr": "high", "warnings": 3, "error": []})
    data = content if isinstance(content, bytes) else content.encode()
    write(folder / "results.jsonl", data + f"\n{odd}\n".encode())
    again = ["batch", "sample:1", "--text", TEXT, "--out", str(folder), *BATCH]
    assert main(again) == 0
    (told,) = (json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines())
    assert (told["name"], told["status"]) == ("sample-1_green-hair", "done")


KEPT = (
    *(BYTES["latin"], BYTES["empty"], JSONS["digits"], JSONS["infinite"], JSONS["nested"]),
    '{"latents": "abc", "inversion": "abc", "warnings": "abc"}',
)


def test_inversions_that_a_batch_has_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    for number in range(len(KEPT) + 1):
        Image.new("RGB", (32, 32), (number, 0, 0)).save(tmp_path / "in" / f"{number:02}.png")
    mapper = write_mapper(tmp_path / "run", Path(os.environ["CFCLIP_PACKS"]) / "tiny")
    quick = ["--projection.steps", "0", "--projection.warn-below-psnr", "0", "--workers", "1"]
    command = ["batch", "in", "--all-texts", "--mapper", str(mapper), *EDIT, *quick]
    assert main(command) == 0
    first, *others = sorted((tmp_path / "out" / "inversions").glob("*.json"))
    content = json.loads(first.read_text())
    content["latents"]["float32"] = content["latents"]["float32"][:-8] + "AADAfw=="  # NaN
    write(first, json.dumps(content))
    for file, text in zip(others, KEPT, strict=True):
        write(file, text)
    pictures = {file.name: file.read_bytes() for file in (tmp_path / "out/pictures").iterdir()}
    shutil.rmtree(tmp_path / "out" / "pictures")
    assert main(command) == 0
    again = {file.name: file.read_bytes() for file in (tmp_path / "out/pictures").iterdir()}
    assert again == pictures
    assert "Traceback" not in capsys.readouterr().err


@pytest.fixture(scope="module")
def begun(tiny_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A batch of one row that is done."""
    out = tmp_path_factory.mktemp("begun") / "batch"
    tiny = ["--pack", str(tiny_pack), *BATCH[2:]]
    assert main(["batch", "sample:1", "--text", TEXT, "--out", str(out), *tiny]) == 0
    return out


@pytest.mark.parametrize(
    "number", ["1e38", "-1e38", "1e308", "1e999", "inf", "nan", "9" * 400, "9" * 4000]
)
@pytest.mark.parametrize(
    "option", ["--lr", "--latent-l2", "--steps", "--augmentations", "--seed", "--projection.lr"]
)
def test_numbers_of_options(capsys: pytest.CaptureFixture[str], option: str, number: str) -> None:
    command = ["edit", "sample:1", TEXT, *EDIT, f"{option}={number}"]
    with suppress(SystemExit):  # of the parser, for what is no number of its kind
        assert main(command) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("layers", [DIGITS, f"0-{DIGITS}", "0-99999999999"])
def test_layers_that_are_none(refusal: Refusal, layers: str) -> None:
    assert "layers is" in refusal("edit", "sample:1", TEXT, *EDIT, f"--layers={layers}")


@pytest.mark.parametrize(
    "address",
    [
        *("http://[", "https://[::1", "http://", "http:/x", "://", "HTTP:", "file:///etc/passwd"),
        *("http://x:99999/a", "http://x:port/", "http://x:-1/", "http://a b/", "http://\0/"),
        *("http://./", "http://\u2100.com/", "http://\udcff/", "http://x/\r\nHost: y"),
        *("http://user:word@x/", "http://" + "a" * 5000, "ftp://x/a"),
    ],
    ids=lambda address: repr(address[:30]),
)
def test_addresses_that_are_none(
    tiny_pack: Path, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    download = ["packs", "download", "ffhq", "--accept-licence", "--downloads", "kept"]
    began = time.perf_counter()
    clip = ["--clip", str(tiny_pack / "clip")]
    assert main([*download, *clip, "--out", "out", "--address", address]) == 2
    assert time.perf_counter() - began < MAX_SECONDS
    line = capsys.readouterr().err.splitlines()[-1]
    assert "is no address of http or https" in line
    assert len(line) <= LONGEST_LINE


def test_50000_prompts(refusal: Refusal, tmp_path: Path) -> None:
    prompts = [f"green hair {number // 2}" for number in range(50_000)]
    file = write(tmp_path / "prompts.txt", "\n".join(prompts))
    told = refusal("train", "--texts", file, "--pack", "none", "--out", "run")
    assert "none" in told
