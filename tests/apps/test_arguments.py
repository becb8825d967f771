"""One grammar of pictures and texts for all commands: what is meant is done, or refused."""

import json
import shlex
from pathlib import Path

import pytest
from PIL import Image
from refusals import refused
from tiny_mapper import write_mapper

from cfclip.apps.cli import main, parse
from cfclip.apps.tasks import find_tasks
from cfclip.editing import Session
from cfclip.errors import InputError

TEXT = "green hair"
QUICK = ("--projection.steps", "0", "--projection.warn-below-psnr", "0")
ZERO_WIDTH_SPACE = "\u200b"


@pytest.fixture(autouse=True)
def place(tiny_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))
    monkeypatch.chdir(tmp_path)


def paint(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(exist_ok=True, parents=True)
        Image.linear_gradient("L").convert("RGB").save(name)


def run(command: str, *arguments: str) -> int:
    options = ["--pack", "tiny", "--out", "out", *QUICK]
    if command == "edit":
        options += ["--steps", "1"]
    return main([command, *arguments, *options])


def written(ending: str = ".json") -> set[str]:
    return {path.name.removesuffix(ending) for path in Path("out").glob(f"*{ending}")}


def prompts() -> list[str]:
    (record,) = Path("out").glob("*.json")
    found: list[str] = json.loads(record.read_text())["prompts"]
    return found


# Pictures: any number, each named in any way


@pytest.mark.parametrize("command", ["edit", "invert", "apply"])
def test_any_number_of_pictures(command: str, tiny_pack: Path) -> None:
    paint("a.png", "in/b.png", "in/c.png", "deep/er/d.png", "deep/er/notes.bmp")
    Path("deep/er/notes.txt").write_text("no picture")
    pictures = ["a.png", "in", "deep/**/*.png", "sample:1-2", "sample:7"]
    before, after = [], []
    if command == "apply":
        before = [str(write_mapper(Path("run"), tiny_pack, TEXT, "blue skin"))]
    if command != "invert":
        after = ["--text", TEXT]
    assert run(command, *before, *pictures, *after) == 0
    end = "inverted" if command == "invert" else "green-hair"
    made = ("a", "b", "c", "d", "sample-1", "sample-2", "sample-7")
    assert written() == {f"{name}_{end}" for name in made}


@pytest.mark.parametrize(
    ("action", "options"),
    [("contact", []), ("compare", ["--text", TEXT]), ("strengths", ["--text", TEXT])],
)
def test_grids_and_inspect_take_the_same_pictures(
    action: str, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    paint("a.png", "in/b.png")
    tail = ["--pack", "tiny", "--out", "out.png"]
    tail += [*QUICK, "--steps", "1"] if options else []
    assert main(["grid", action, "a.png", "in/*.png", "sample:1", *options, *tail]) == 0
    capsys.readouterr()
    assert main(["inspect", "a.png", "in", "o*.png", "--json"]) == 0
    told = [json.loads(line)["image"] for line in capsys.readouterr().out.splitlines()]
    assert told == ["a.png", "in/b.png", "out.png"]


def test_what_names_no_picture_loses_no_others(capsys: pytest.CaptureFixture[str]) -> None:
    paint("a.png")
    for command, texts in (("edit", ["--text", TEXT]), ("invert", [])):
        assert run(command, "none.png", "a.png", "*.gif", *texts) == 2
        told = capsys.readouterr().err
        assert "there is no file none.png" in told
        assert "'*.gif'" in told
        assert "1 of 3 pictures done" in told
    assert written() == {"a_green-hair", "a_inverted"}


def test_nothing_but_missing_pictures_is_one_short_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("edit", *(f"none-{number}.png" for number in range(100)), "--text", TEXT) == 2
    line = refused(capsys)
    assert "there is no file none-0.png, and 99 more" in line
    assert len(line) < 500


def test_results_of_pictures_of_one_name_do_not_collide() -> None:
    paint("anna/me.png", "bob/me.png", "me.png", "me.bmp", "bob/x.png", "sample-1.png")
    given = ["anna/me.png", "bob", "me.png", "me.bmp", "sample:1", "sample-1.png"]
    assert run("edit", *given, "--text", TEXT) == 0
    here = Path.cwd().name
    made = {"anna_me", "bob_me", f"{here}_me", "me_bmp", "x", "sample-1", "sample-1_png"}
    assert written() == {f"{name}_green-hair" for name in made}
    assert len(written("_strip.png")) == len(made)


@pytest.mark.parametrize(
    "names",
    [
        ["a.png", "a.bmp", "a_png.png"],
        ["a.png", "A.png"],
        ["x/in/a.png", "y/in/a.png"],
        ["x/in/a.png", "y/in/a.png", "z/in/a.png", "x/in_a.png", "in_a.png", "a.png"],
        [".a.png", "_a.png", "a.png"],
    ],
)
def test_every_picture_has_a_name_of_its_own(names: list[str]) -> None:
    paint(*names)
    tasks, _ = find_tasks(names, "avatars")
    assert len({task.name.casefold() for task in tasks}) == len(names)
    # Alone each is called as plainly as can be.
    assert find_tasks(names[:1], "avatars")[0][0].name == Path(names[0]).stem.lstrip("._")


def test_a_picture_that_is_named_twice_is_worked_on_once() -> None:
    paint("in/a.png")
    given = ["in", "in/a.png", "./in/*.png", str(Path("in/a.png").absolute())]
    assert run("edit", *given, "sample:1-2", "sample:2-3", "--text", TEXT) == 0
    made = {"a", "sample-1", "sample-2", "sample-3"}
    assert written() == {f"{name}_green-hair" for name in made}


# Texts: by --text; after a single picture without it


def test_a_single_picture_may_be_followed_by_its_texts() -> None:
    assert run("edit", "sample:1", TEXT, "a smile") == 0
    assert prompts() == [TEXT, "a smile"]


def test_several_texts_are_one_edit() -> None:
    assert run("edit", "sample:1", "--text", TEXT, "--text", "a smile") == 0
    assert prompts() == [TEXT, "a smile"]


@pytest.mark.parametrize(
    ("given", "told", "does"),
    [
        (["a.png", "b.png", TEXT], "'b.png'", {"a", "b"}),
        (["a.png", "b.png"], "'b.png'", {"a", "b"}),
        (["a.png"], "no text", {"a"}),
        (["in"], "no text", {"c"}),
        (["a.png", "in", TEXT], "'in'", {"a", "c"}),
        (["a.png", "./in/c.png", TEXT], "'./in/c.png'", {"a", "c"}),
        (["a.png", "*.png", TEXT], "'*.png'", {"a", "b"}),
        (["a.png", "sample:2", TEXT], "'sample:2'", {"a", "sample-2"}),
        ([TEXT, "a.png"], "'a.png'", {"a"}),
        (["a.png", TEXT, "notes"], "'notes'", {"a"}),
        ([TEXT], "no pictures", {"sample-7"}),
        ([], "no pictures", {"sample-7"}),
    ],
)
def test_what_is_ambiguous_is_refused_with_the_right_command(
    given: list[str], told: str, does: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    paint("a.png", "b.png", "in/c.png")
    Path("notes").write_text("no picture")
    assert run("edit", *given) == 2
    line = refused(capsys)
    assert told in line
    assert not Path("out").exists()
    _, command = line.split(": cfclip ")
    # What the line says to type does what was meant, with the options that were given.
    words = shlex.split(command)
    assert words[-2:] == ["--out", "out"]
    assert run(*words[:-2]) == 0
    assert written() == {f"{name}_green-hair" for name in does}


@pytest.mark.parametrize("text", ["missing.jpg", "deep/missing.PNG", "sample:x", "notes"])
def test_a_text_that_looks_like_a_picture_is_refused(
    text: str, tiny_pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("notes").write_text("a file, if no picture")
    write_mapper(Path("run"), tiny_pack, TEXT)
    assert run("edit", "sample:1", text) == 2
    assert f"{text!r} is a file or a picture, not a text" in refused(capsys)
    options = ["--text", text, "--pack", "tiny", "--out"]
    for command in (
        ["edit", "sample:1", *options, "out"],
        ["apply", "run", "sample:1", *options, "out"],
        ["batch", "sample:1", *options, "out"],
        ["grid", "compare", "sample:1", *options, "out.png"],
        ["grid", "strengths", "sample:1", *options, "out.png"],
        ["train", *options, "out"],
    ):
        assert main(command) == 2
        assert f"--text {text!r} is a file or a picture" in refused(capsys)
    assert not Path("out").exists()


def test_a_text_may_be_called_like_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("smile").mkdir()
    assert run("edit", "sample:1", "smile") == 2  # which may be meant as a folder of pictures
    assert "cfclip edit sample:1 --text smile --out out" in refused(capsys)
    assert run("edit", "sample:1", "--text", "smile") == 0
    assert prompts() == ["smile"]


def test_long_and_odd_words_are_refused_in_a_short_line(capsys: pytest.CaptureFixture[str]) -> None:
    paint("a.png")
    for given in (["a.png", "x" * 5000 + ".png"], [f"{n}.png" for n in range(500)] + [TEXT]):
        assert run("edit", *given) == 2
        line = refused(capsys)
        assert len(line) < 500
        assert 'cfclip edit IMAGE... --text "green hair" --out OUT' in line
    assert run("edit", "a.png", "a\x00b") == 2
    assert "control character" in refused(capsys)


# A text may begin with "-"


@pytest.mark.parametrize("text", ["-x", "-5 degrees", "- green hair", "--green hair", "-", "-5"])
def test_a_text_may_begin_with_a_dash(text: str, tiny_pack: Path) -> None:
    assert run("edit", "sample:1", "--text", text) == 0
    assert prompts() == [text]
    for options in (["--text", text, "--source-text", text], [f"--text={text}"]):
        tail = ["--pack", "tiny", "--unrealistic-text", text, "--out", "out", "--overwrite"]
        assert main(["edit", "sample:1", *options, *tail, "--steps", "1"]) == 0
        assert prompts() == [text]
    write_mapper(Path("run"), tiny_pack, TEXT, text)
    assert run("apply", "run", "sample:2", "--text", text) == 0
    tail = ["--pack", "tiny", "--out", "out.png", "--steps", "1"]
    assert main(["grid", "compare", "sample:4", "--text", text, *tail]) == 0


def test_texts_of_lists_may_begin_with_a_dash(tiny_pack: Path) -> None:
    write_mapper(Path("run"), tiny_pack, "-x", "-5 degrees")
    Path("list.csv").write_text("image,text\nsample:1,-x\nsample:2,\n")
    Path("list.jsonl").write_text('{"image": "sample:3", "text": "-5 degrees"}\n')
    options = ["--mapper", "run", "--text", "-x", "--workers", "1"]
    assert run("batch", "list.csv", "list.jsonl", *options) == 0
    rows = [json.loads(line) for line in Path("out/results.jsonl").read_text().splitlines()]
    assert {(row["image"], row["text"]) for row in rows} == {
        ("sample:1", "-x"),
        ("sample:2", "-x"),
        ("sample:3", "-5 degrees"),
    }


@pytest.mark.parametrize("text", ["-x", "--out", "--"])
def test_words_after_two_dashes_are_no_options(text: str) -> None:
    tail = ["--pack", "tiny", "--steps", "1", "--out", "out", "--overwrite"]
    for given in (["sample:1", *tail, "--", text], [*tail, "sample:1", "--", text]):
        assert main(["edit", *given]) == 0
        assert prompts() == [text]
    assert main(["edit", *tail, "--strength", "1", "0.5", "--", "sample:1", text]) == 0


def test_a_picture_may_begin_with_a_dash() -> None:
    paint("-a.png")
    assert run("invert", "./-a.png") == 0
    assert main(["invert", "--pack", "tiny", "--out", "again", *QUICK, "--", "-a.png"]) == 0
    tail = ["--pack", "tiny", "--out", "out.png"]
    assert main(["grid", "contact", "sample:1", *tail, "--", "-a.png"]) == 0


def test_an_option_without_its_text_takes_no_other_option(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for given in (["sample:1", "--text", "--out", "out"], ["sample:1", "--out", "out", "--text"]):
        with pytest.raises(SystemExit) as left:
            parse(["edit", *given])
        assert left.value.code == 2
        assert "--text" in capsys.readouterr().err


# One check of texts, behind every door


def test_texts_that_show_nothing_are_empty_everywhere(
    tiny_pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blank = ZERO_WIDTH_SPACE
    write_mapper(Path("run"), tiny_pack, TEXT, "a smile")
    paint("folder/images/a.png")
    Path("folder/captions.jsonl").write_text(json.dumps({"image": "a.png", "text": blank}))
    Path("texts.txt").write_text(f"{TEXT}\n{blank}\n")
    Path("list.csv").write_text(f"image,text\nsample:1,{blank}\n")
    tail = ["--pack", "tiny", "--out"]
    for command in (
        ["edit", "sample:1", blank, *tail, "out"],
        ["edit", "sample:1", "--text", blank, *tail, "out"],
        ["edit", "sample:1", TEXT, "--source-text", blank, *tail, "out"],
        ["edit", "sample:1", TEXT, "--unrealistic-text", blank, *tail, "out"],
        ["apply", "run", "sample:1", "--text", blank, *tail, "out"],
        ["batch", "sample:1", "--text", blank, *tail, "out"],
        ["batch", "list.csv", *tail, "out"],
        ["grid", "compare", "sample:1", "--text", blank, *tail, "out.png"],
        ["grid", "strengths", "sample:1", "--text", blank, *tail, "out.png"],
        ["train", "--text", blank, *tail, "out"],
        ["train", "--texts", "texts.txt", *tail, "out"],
        ["fit-text-map", "folder", *tail, "map.safetensors"],
    ):
        assert main(command) == 2
        assert "the prompt is empty" in refused(capsys)
    with pytest.raises(InputError, match="empty"):
        Session.open(tiny_pack).edit("sample:1", blank)
