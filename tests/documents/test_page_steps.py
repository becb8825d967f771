"""Every command of every page is run on tiny models, or stands here with the reason why not.

What a page starts from, and how its commands are made short, stands in `page_scenes.py`. A command
that is not run is at least understood: by the command line's own parser, by the Makefile, by the
extras of the project.
"""

import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import pytest
import torch
import tyro
from page_scenes import SCENES, Scene
from page_steps import PAGES, ROOT, Step, inline_options, page_text, steps_of, steps_of_page

from cfclip.apps.cli import ALIASES, COMMANDS, main, parse
from cfclip.packs import registry
from recipes.avatars.__main__ import COMMANDS as RECIPES

CI = "is how these tests are started"
REGISTRY = "takes packages from a registry; CI makes its environment by `make`"
HOURS = "trains for minutes to hours; tests/recipes/test_recipe.py runs every step made tiny"

NOT_RUN: Mapping[str, str] = {
    "git clone": "needs this repository's address",
    "cd cfclip": "goes into the clone",
    "make demo": "runs examples.demo, which tests/documents/test_demo.py runs",
    "make web": "runs `cfclip web`, which serves until Ctrl-C; tests/apps/web run it",
    "make test": CI,
    "make test-quick": CI,
    "make lint": "is what CI begins with",
    "make test-lowest": "installs gigabytes; CI runs it",
    "make fuzz": "takes half an hour; tests/fuzzing/test_fuzzing.py runs a part of it",
    "make audit": "asks a service; it is for maintainers",
    "make docs": "builds the site as tests/documents/test_website.py does",
    "cfclip fit-parts src/cfclip/packs/avatars": "would write to the shipped pack",
    "python3 -m venv": REGISTRY,
    ".venv/bin/python -m pip install": REGISTRY,
    "pip install": REGISTRY,
    "docker build": "needs Docker and a registry; tests/documents/test_dockerfile.py has a linter",
    "docker run": "needs Docker; the command in the container is understood",
    "torchrun": "starts processes; tests/training/test_processes.py does",
    "CFCLIP_WEB_REQUESTS=400": CI,
    "cfclip web": "serves until it is stopped; tests/apps/web has it served",
    "cfclip packs download": "downloads; tests/apps/test_make_pack.py has a server of its own",
    **{
        f"python -m recipes.avatars {name}": HOURS
        for name in (
            *("render", "train-probes", "train-clip", "average-clips", "train-generator"),
            *("train-encoder", "assemble", "fit-text-map"),
        )
    },
}
"""First words of commands that are not run, and why not."""

RUN_ELSEWHERE: Mapping[str, str] = {
    "docs/BATCHES.md": "tests/documents/test_batches_page.py",
    "docs/LOOKING.md": "tests/documents/test_looking_page.py",
    "docs/PERFORMANCE.md": "tests/recipes/test_rehearsal.py",
}
"""Pages whose commands another test runs."""

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
_NAME = re.compile("[a-z-]+")
_OPTION = re.compile(r"(--[a-z][\w.-]*)(?: (\{[\w,-]+\})(?=\s))?")
OTHER_OPTIONS = ("--nproc-per-node", "--reduced", "--version")
"""Options of other programs that pages name, of recipes, and of `cfclip` itself."""
STEPS = [step for page in PAGES for step in steps_of_page(page)]
COMMAND_STEPS = [step for step in STEPS if step.kind == "command"]


def reason(step: Step) -> str | None:
    """The entry of `NOT_RUN` that a command falls under, if it does."""
    found = [start for start in NOT_RUN if f"{step.command} ".startswith(f"{start} ")]
    return max(found, key=len) if found else None


def runs(step: Step) -> bool:
    return step.kind == "python" or (step.kind == "command" and reason(step) is None)


RUN_PAGES = [
    page
    for page in PAGES
    if page not in RUN_ELSEWHERE and any(runs(step) for step in STEPS if step.page == page)
]


def helped(arguments: list[str]) -> None:
    """Ask for the help of a command; the parser gives that of a shorter one if it knows no more."""
    asked = [ALIASES.get(each, each) for each in arguments if each != "--help"]
    with redirect_stdout(StringIO()) as told, pytest.raises(SystemExit):
        parse([*asked, "--help"])
    known = told.getvalue().partition(" [-h]")[0].split()[len(["usage:", "cfclip"]) :]
    assert known == asked[: len(known)]
    if len(known) < len(asked):
        parse(asked)


def understood(words: list[str]) -> None:
    """Parse a command without running it. Whatever is wrong with it raises."""
    match words:
        case ["cfclip", *arguments] if all(map(_NAME.fullmatch, arguments)):
            helped(arguments)  # only the name of a command
        case ["cfclip", *arguments] if "--help" in arguments:
            helped(arguments)
        case ["cfclip", *arguments]:
            parse(arguments)
        case ["python", "-m", "recipes.avatars", *arguments]:
            if arguments:
                module, _, options = RECIPES[arguments[0]].partition(":")
                if arguments[1:]:
                    tyro.cli(getattr(import_module(module), options), args=arguments[1:])
        case ["python" | "python3", "-m", module, *_]:
            assert find_spec(module) is not None, f"there is no module {module}"
        case ["make", *targets]:
            made = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            named = {target for target in targets if "=" not in target}
            assert named <= set(made), f"make has no {targets}"
        case ["pip" | ".venv/bin/python", *arguments]:
            for extras in re.findall(r"cfclip\[([\w,-]+)\]|\.\[([\w,-]+)\]", " ".join(arguments)):
                assert set("".join(extras).split(",")) <= set(EXTRAS), f"there is no extra {extras}"
        case ["docker", "build", "-t", "cfclip", "."]:
            assert (ROOT / "Dockerfile").is_file()
        case ["docker", "run", *arguments]:
            understood(arguments[arguments.index("cfclip") :])
        case ["torchrun", "--nproc-per-node", count, "-m", "cfclip", *arguments]:
            assert int(count) > 0
            understood(["cfclip", *arguments])
        case [setting, *command] if re.fullmatch("[A-Z_]+=.*", setting):
            understood(command)
        case ["git", "clone", *_] | ["cd", "cfclip"]:
            pass
        case _:
            raise AssertionError("no program that the pages use; see page_steps.PROGRAMS")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Recipes set the number of threads, which is every test's."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def place(scene: Scene, tiny_pack: Path, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Go into a folder in which only the tiny pack is found, by the names that the page uses."""
    for name in scene.packs:
        # By its folder too: a name of a user's own, as MY-FACES, is not a pack's name.
        known = re.fullmatch("[a-z-]+", name)
        pack = shutil.copytree(tiny_pack, (folder / "packs" if known else folder) / name)
        if known:
            manifest = pack / "pack.toml"
            manifest.write_text(manifest.read_text().replace('name = "tiny"', f'name = "{name}"'))
    (folder / "packs").mkdir(exist_ok=True)
    patch.chdir(folder)
    # The shipped pack would take minutes; how good it is no page of commands tells.
    patch.setattr(registry, "_SHIPPED", folder / "packs")
    scene.prepare(folder)


def run(step: Step, scene: Scene) -> None:
    """Run a step in this process, as a shell in the root of the repository would."""
    if step.kind == "python":
        code = step.text
        for old, new in scene.replaced.items():
            code = code.replace(old, new)
        exec(compile(code, step.page, "exec"), {"__name__": step.page})
        return
    words = [*step.words, *scene.options(step.command)]
    if words[0] == "cfclip":
        assert main(words[1:]) == 0
        return
    assert words[:2] == ["python", "-m"]
    module = words[2]
    if hasattr(import_module(module), "__path__"):
        module += ".__main__"
    assert import_module(module).main(words[3:]) in (0, None)


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN_PAGES)
def test_a_page_runs_from_top_to_bottom(
    page: str,
    tiny_pack: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scene = SCENES.get(page, Scene())
    place(scene, tiny_pack, tmp_path, monkeypatch)
    capsys.readouterr()
    told = ""
    for step in steps_of_page(page):
        if runs(step):
            try:
                run(step, scene)
            except BaseException as error:
                error.add_note(f"{page}: {step.text}\n{capsys.readouterr().err}")
                raise
            told += capsys.readouterr().err
    if scene.after is not None:
        scene.after(tmp_path, told)


@pytest.mark.parametrize("step", COMMAND_STEPS, ids=lambda step: f"{step.page}: {step.text[:60]}")
def test_a_command_is_understood(step: Step) -> None:
    words = ["bash" if word == "..." else word for word in step.words]
    understood(words)
    assert reason(step) or words[0] == "cfclip" or words[:2] == ["python", "-m"], (
        "a test can only run cfclip and python -m; else give a reason in NOT_RUN"
    )


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_running_text_are_understood(page: str) -> None:
    for step in steps_of_page(page):
        if step.kind == "inline":
            try:
                understood(step.words)
            except BaseException as error:
                error.add_note(f"{page}: {step.text}")
                raise


def test_every_reason_and_every_scene_is_needed() -> None:
    assert {reason(step) for step in COMMAND_STEPS} - {None} == set(NOT_RUN)
    assert set(SCENES) <= set(RUN_PAGES)
    for page, scene in SCENES.items():
        steps = [step for step in steps_of_page(page) if runs(step)]
        commands = [f"{step.command} " for step in steps if step.kind == "command"]
        for start in scene.shorter:
            assert any(each.startswith(f"{start} ") for each in commands), f"{page}: {start}"
        for old in scene.replaced:
            assert any(old in step.text for step in steps if step.kind == "python"), old


@pytest.mark.parametrize("page", RUN_ELSEWHERE)
def test_pages_are_run_elsewhere(page: str) -> None:
    assert page in PAGES
    assert Path(page).name in (ROOT / RUN_ELSEWHERE[page]).read_text(encoding="utf-8")


def test_how_steps_are_found() -> None:
    text = (
        "Type `cfclip edit\n--help` or `cfclip`.\n\n"
        "```\ncfclip a \\\n    b # not c\ngit x && make\n```\n\n"
        "```python\nx = 1\n```\n\n```text\nno command\n```\n\n    cfclipped\n"
    )
    found = [(step.kind, step.text) for step in steps_of(text)]
    assert found == [
        *(("command", each) for each in ("cfclip a b # not c", "git x", "make")),
        ("python", "x = 1\n"),
        ("inline", "cfclip edit --help"),
    ]
    assert next(steps_of(text)).command == "cfclip a b"
    with pytest.raises(AssertionError, match="indent"):
        list(steps_of("Then\n\n    cfclip edit x\n"))


@pytest.mark.parametrize(
    "command",
    [
        "cfclip paint",
        "cfclip packs eat",
        "cfclip edit --no-such-option",
        "make coffee",
        "pip install 'cfclip[none]'",
    ],
)
def test_the_check_itself_finds_what_is_not_there(command: str) -> None:
    with pytest.raises((AssertionError, SystemExit)):
        understood(shlex.split(command))


@pytest.fixture(scope="module")
def options() -> Mapping[str, set[str]]:
    """Every option that may be named, and the values of those that are a choice."""
    found: dict[str, set[str]] = {name: set() for name in OTHER_OPTIONS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")  # an option and its choices on one line
        kinds = ("contact", "strengths", "compare", "curves")
        nested = ("packs create", "packs download", *(f"grid {kind}" for kind in kinds))
        for name in (*COMMANDS, *nested):
            with redirect_stdout(StringIO()) as told, pytest.raises(SystemExit):
                parse([*name.split(), "--help"])
            for option, choices in _OPTION.findall(told.getvalue()):
                values = found.setdefault(option, set())
                values |= set(choices.strip("{}").split(",")) if choices else set()
    return found


@pytest.mark.parametrize("page", PAGES)
def test_options_in_running_text_are_there(page: str, options: Mapping[str, set[str]]) -> None:
    for words in inline_options(page_text(page)):
        option, *given = words
        assert option in options, f"{page}: no command has {option}"
        if options[option] and given:
            assert given[0] in options[option], f"{page}: {option} {given[0]}"


def test_the_check_of_options_sees_choices(options: Mapping[str, set[str]]) -> None:
    assert options["--space"] == {"w", "w_plus", "style_space"}
    assert inline_options("`--space w` or `a` or ```\n--x\n```") == [["--space", "w"]]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#]+)\)?", page_text(page)):
        assert (ROOT / page).parent.joinpath(target).exists(), target
