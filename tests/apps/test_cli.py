"""The command line on the tiny pack: what each command writes, and what it says about bad input."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import refusals
from PIL import Image

from cfclip.apps.cli import COMMANDS, main
from cfclip.apps.console import uninterrupted

TEXT = "green hair"
MAX_HELP_SECONDS = 1.5
NOTHING_REQUIRED = {"bench-speed", "doctor", "web"}


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "me.png"
    Image.linear_gradient("L").convert("RGB").save(path)
    return path


def edit(*arguments: object, pack: str = "tiny") -> list[str]:
    return ["edit", *map(str, arguments), "--pack", pack]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """Run a command that must fail, with exit status 2 and one line; returns the line."""
    assert main(arguments) == 2
    return refusals.refused(capsys)


# What commands do


def test_edit_of_samples(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(edit("sample:1-2", TEXT, "--out", out)) == 0
    assert names(out) == {
        f"sample-{seed}_green-hair{end}"
        for seed in (1, 2)
        for end in (".png", "_strip.png", ".json")
    }
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == str(out / "sample-1_green-hair.png")
    assert captured.err == ""


def test_edit_of_a_folder_with_all_options(
    tmp_path: Path, out: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    picture.rename(folder / "a.png")
    with Image.open(folder / "a.png") as image:
        image.save(folder / "a.jpg")
        image.save(tmp_path / "mask.png")
    options = "--steps 2 --layers 0-1 --strength 0.5 1 --strength 2 --seed 3 --json"
    settings = "--objective logit --projection.steps 1 --space style_space"
    arguments = edit(folder, TEXT, "a smile", "--out", out, "--mask", tmp_path / "mask.png")
    assert main([*arguments, *options.split(), *settings.split()]) == 0
    captured = capsys.readouterr()
    lines = [json.loads(line) for line in captured.out.splitlines()]
    assert [Path(line["source"]).name for line in lines] == ["a.jpg", "a.png"]
    assert len(lines[0]["images"]) == 3
    record = json.loads(Path(lines[0]["record"]).read_text())
    assert record["settings"]["steps"] == 2
    assert record["inversion"]["settings"]["steps"] == 1
    assert record["seed"] == 3
    assert record["prompts"] == [TEXT, "a smile"]
    assert [each["strength"] for each in record["outputs"]] == [0.5, 1.0, 2.0]
    assert "a_png_green-hair+a-smile_x0.5.png" in names(out)
    assert "could not be reproduced" in captured.err


def test_quiet_is_silent(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*edit("sample:1", "green zebra", "--out", out), "--quiet"]) == 0
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_rerun_makes_the_same_image(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(edit("sample:1", TEXT, "--out", out, "--strength", "0.5", "1")) == 0
    record = out / "sample-1_green-hair.json"
    assert main(["rerun", str(record), "--out", str(tmp_path / "again"), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out.splitlines()[-1])["identical"] is True
    assert "identical" in captured.err
    assert names(tmp_path / "again") == names(out)
    for image in out.glob("*.png"):
        assert image.read_bytes() == (tmp_path / "again" / image.name).read_bytes()
    for more in ([], ["--overwrite"]):  # what is rerun is the record, and stays
        assert "choose another --out" in refused(
            capsys, ["rerun", str(record), "--out", str(out), *more]
        )


def test_sample_and_invert(out: Path, picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = ["sample", "--count", "2", "--seed", "4", "--pack", "tiny", "--out", str(out)]
    assert main(sample) == 0
    assert names(out) == {"sample-4.png", "sample-5.png", "samples-4-5.png"}
    assert main(["invert", str(picture), "--pack", "tiny", "--out", str(out), "--json"]) == 0
    written = json.loads((out / "me_inverted.json").read_text())
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert written["inversion"]["psnr"] == line["psnr"]
    assert written["latents"]["shape"] == [8, 16]
    assert "exist" in refused(capsys, sample)


def test_packs(tiny_pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["packs", "list"]) == 0
    assert f"tiny  1  32 px  Apache-2.0  {tiny_pack}" in capsys.readouterr().out
    assert main(["packs", "show", "tiny"]) == 0
    shown = capsys.readouterr().out
    assert "generator.safetensors" in shown
    assert "limits\neverything" in shown
    assert main(["packs", "show", str(tiny_pack), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["card"]["data"]) == ("tiny", "none")


def test_help_shows_the_defaults_of_the_pack(capsys: pytest.CaptureFixture[str]) -> None:
    for pack in (["--pack", "tiny"], ["--pack=tiny"]):
        with pytest.raises(SystemExit) as left:
            main(["edit", *pack, "--help"])
        assert left.value.code == 0
        assert "Optimisation steps at most. (default: 3)" in " ".join(
            capsys.readouterr().out.split()
        )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert ("(required)" in capsys.readouterr().out) == (command not in NOTHING_REQUIRED)


def test_help_is_quick() -> None:
    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    # Processor time: on a machine that is not busy, nearly the time that passes.
    before = used()
    subprocess.run([sys.executable, "-m", "cfclip", "--help"], check=True, capture_output=True)
    assert used() - before <= MAX_HELP_SECONDS


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, contextlib\n"
        "from cfclip.apps.cli import main\n"
        "with contextlib.suppress(SystemExit): main(['edit', '--help'])\n"
        "sys.exit(bool({'torch', 'numpy', 'PIL', 'open_clip'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert ran.returncode == 0


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("cfclip ")


# What they refuse: one line, exit status 2, nothing lost, nothing written


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "empty"), (" \n", "empty"), ("x" * 10_000, "limit is 1000"), ("a\x1b[2J", "control")],
)
def test_unusable_prompts(
    out: Path, capsys: pytest.CaptureFixture[str], text: str, why: str
) -> None:
    line = refused(capsys, edit("sample:1", text, "--out", out))
    assert why in line
    assert "\x1b" not in line
    assert not out.exists()


def test_no_prompt(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no text" in refused(capsys, edit("sample:1", "--out", out))


def test_unknown_words_are_only_a_warning(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(edit("sample:1-2", "grean hair", "--out", out)) == 0
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1
    assert "'grean' (nearest: green" in warning
    assert len(names(out)) == 6


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"hello", "not a picture"), (b"", "empty"), (None, "no file"), (b"\x89PNG\r\n\x1a\n", "")],
)
def test_unusable_pictures(
    tmp_path: Path,
    out: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
    why: str,
) -> None:
    path = tmp_path / "bad.png"
    if content is not None:
        path.write_bytes(content)
    assert why in refused(capsys, edit(path, TEXT, "--out", out))
    assert names(out) == set()


def test_one_bad_picture_does_not_lose_the_others(
    tmp_path: Path, out: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.png").write_bytes(picture.read_bytes()[:200])
    picture.rename(folder / "b.png")
    for command in ([TEXT], []):
        start = ["edit" if command else "invert", str(folder), *command, "--pack", "tiny"]
        assert main([*start, "--json", "--out", str(out / start[0])]) == 2
        assert {name[0] for name in names(out / start[0])} == {"b"}
        captured = capsys.readouterr()
        assert [("error" in json.loads(line)) for line in captured.out.splitlines()] == [
            True,
            False,
        ]
        assert "cfclip: error: " in captured.err.splitlines()[-2]
        assert captured.err.splitlines()[-1] == "1 of 2 pictures done"


@pytest.mark.parametrize("spec", ["sample:x", "sample:3-1"])
def test_malformed_samples(out: Path, capsys: pytest.CaptureFixture[str], spec: str) -> None:
    assert "is not a sample" in refused(capsys, edit(spec, TEXT, "--out", out))


@pytest.mark.parametrize(
    "options",
    [
        ["--steps", "0"],
        ["--layers", "9-2"],
        ["--layers", "0-99"],
        ["--strength", "1e9"],
        ["--device", "gpu"],
        ["--seed", "-1"],
        ["--mask", "nonesuch.png"],
        ["--projection.steps", "-1"],
    ],
)
def test_settings_out_of_limits(
    out: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    line = refused(capsys, edit("sample:1", TEXT, "--out", out, *options))
    assert options[1].lstrip("-") in line.replace("1000000000.0", "1e9")
    assert names(out) == set()


def test_usage_errors_leave_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["edit"], ["fly"], [], ["edit", "a", "b", "--out", "c", "--steps", "many"]):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 2


def test_unknown_pack(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "unknown pack 'nope'" in refused(
        capsys, edit("sample:1", TEXT, "--out", out, pack="nope")
    )
    assert "unknown pack 'nope'" in refused(capsys, ["packs", "show", "nope"])


def test_pack_with_a_changed_byte(
    tiny_pack_copy: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tiny_pack_copy / "generator.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    line = refused(capsys, edit("sample:1", TEXT, "--out", out, pack=str(tiny_pack_copy)))
    assert "generator.safetensors was changed or damaged" in line


def test_a_file_where_the_folder_should_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    commands = (
        edit("sample:1", TEXT),
        ["sample", "--pack", "tiny"],
        ["invert", "sample:1", "--pack", "tiny"],
    )
    for command in commands:
        line = refused(capsys, [*command, "--out", str(tmp_path / "file")])
        assert "cannot write" in line
    assert (tmp_path / "file").read_text() == "mine"


def test_existing_outputs_are_refused_before_any_work(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out.mkdir()
    (out / "sample-3_green-hair_strip.png").write_text("mine")
    line = refused(capsys, edit("sample:1-3", TEXT, "--out", out))
    assert "--overwrite" in line
    assert names(out) == {"sample-3_green-hair_strip.png"}
    assert main(edit("sample:3", TEXT, "--out", out, "--overwrite")) == 0
    assert len(names(out)) == 3


def test_ctrl_c_while_saving_waits() -> None:
    import signal

    done = []

    def save() -> None:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append(True)

    with pytest.raises(KeyboardInterrupt):
        save()
    assert done == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
