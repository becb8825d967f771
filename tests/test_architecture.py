"""The layout that a reader relies on: import direction, start-up time, module length."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
RECIPES = Path(__file__).parents[1] / "recipes"
BENCHMARK = "cfclip_benchmark"

ROOT = {"__init__", "__main__", "errors", "settings", "tensors", "version"}
"""The modules at the root: what every folder may need, and the facade."""
_ARROWS = {
    "io": "",
    "losses": "",
    "optim": "",
    "foreign": "io",
    "images": "io",
    "embedders": "io foreign",
    "features": "io foreign",
    "generators": "io foreign",
    "provenance": "io images",
    "editors": "io losses optim foreign embedders generators",
    "encoders": "io optim foreign embedders features generators",
    "photos": "io images provenance",
    "viewing": "losses provenance",
    "packs": "io optim embedders features generators editors encoders",
    "training": "io losses optim foreign embedders generators editors",
    "editing": (
        "io losses optim foreign images embedders features generators provenance editors "
        "encoders photos viewing packs training"
    ),
    "batches": (
        "io losses optim images embedders generators provenance editors encoders training editing"
    ),
    "cfclip_benchmark": (
        "io optim images embedders provenance editors encoders viewing packs training editing"
    ),
    "fitting": "io images embedders features generators editors encoders photos training editing",
    "apps": (
        "io losses optim images embedders features generators provenance editors encoders "
        "photos viewing packs training editing batches cfclip_benchmark fitting"
    ),
}
"""Folder of `cfclip`, or the benchmark beside it, to the folders that it imports, and no other."""
MAY_IMPORT = {name: set(targets.split()) for name, targets in _ARROWS.items()}

MODELS_BY_BASE_CLASS = {
    ("encoders", "generators"): {"generator", "ops"},
    ("encoders", "embedders"): {"embedder"},
    ("editors", "generators"): {"generator", "ops"},
    ("editors", "embedders"): {"embedder", "prompts"},
    ("editors", "encoders"): {"encoder"},
}
"""Of these folders only these modules, so that any generator goes with any embedder. `ops` is pure
torch: the layers that the latent mappers are made of."""

APPS_ONLY = {"tyro", "rich", "gradio", "fastapi", "uvicorn"}
ONE_MODULE_ONLY = {"ray": "cfclip.batches.ray_engine", "pyarrow": "cfclip.batches.packing"}
"""Large libraries of extras, each behind one module."""
NOT_AT_IMPORT = {"torch", "numpy", "PIL", "open_clip", "kornia", "tyro", "rich", "gradio"}

MAX_LINES = 350
"""About 300 is the aim; tables of data may need a few more."""
MAX_IMPORT_SECONDS = 0.5


def modules(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py"))


def name_of(path: Path) -> str:
    """`losses/clip_nce.py` -> `losses.clip_nce`; a package's `__init__` keeps its name."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def imports_of(source: str, module: str) -> set[str]:
    """Absolute names of all that a source imports anywhere in it, functions included."""
    found: set[str] = set()
    package = module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [base])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def folder_of(name: str) -> str:
    """The folder that a module of `cfclip` lies in, or its own name at the root."""
    parts = name.split(".")
    return parts[0] if parts[0] != "cfclip" else parts[1] if len(parts) > 1 else "__init__"


def arrows(module: str, source: str) -> dict[str, set[str]]:
    """The folders that a module imports, each with the modules of it."""
    own, found = folder_of(module), {}
    for name in imports_of(source, module):
        if name.split(".")[0] not in ("cfclip", BENCHMARK):
            continue
        target = folder_of(name)
        if target not in {own, *ROOT} and (SOURCE / "cfclip" / target).is_dir() | (
            target == BENCHMARK
        ):
            found.setdefault(target, set()).add(name)
    return found


def violations(module: str, source: str) -> list[str]:
    own = folder_of(module)
    names = imports_of(source, module)
    bad: set[str] = set()
    for target, imported in arrows(module, source).items():
        if own in ROOT - {"__init__", "__main__"} or target not in MAY_IMPORT.get(own, {target}):
            bad |= imported
        known = MODELS_BY_BASE_CLASS.get((own, target))
        if known is not None:
            bad |= {each for each in imported if each.split(".")[2] not in known}
    if own != "apps":
        bad |= {name for name in names if name.split(".")[0] in APPS_ONLY}
    bad |= {name for name in names if ONE_MODULE_ONLY.get(name.split(".")[0], module) != module}
    return sorted(bad)


def test_the_root_holds_few_modules() -> None:
    assert {path.stem for path in (SOURCE / "cfclip").glob("*.py")} == ROOT


@pytest.mark.parametrize("path", modules(SOURCE), ids=name_of)
def test_import_direction(path: Path) -> None:
    assert violations(name_of(path), path.read_text()) == []


def test_every_arrow_that_is_allowed_is_used() -> None:
    used: dict[str, set[str]] = {}
    for path in modules(SOURCE):
        own = folder_of(name_of(path))
        if own not in ROOT:
            used.setdefault(own, set()).update(arrows(name_of(path), path.read_text()))
    assert used == MAY_IMPORT


def test_folders_import_in_one_direction() -> None:
    below: dict[str, set[str]] = {name: set(targets) for name, targets in MAY_IMPORT.items()}
    while free := {name for name, targets in below.items() if not targets & set(below)}:
        below = {name: targets for name, targets in below.items() if name not in free}
    assert below == {}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("cfclip.losses.new", "from cfclip.generators.generator import Generator"),
        ("cfclip.losses.new", "def f():\n    import cfclip.embedders.clip"),
        ("cfclip.editors.new", "from cfclip.generators.stylegan2 import StyleGAN2"),
        ("cfclip.editors.new", "from ..editing.session import Session"),
        ("cfclip.generators.new", "from cfclip import losses"),
        ("cfclip.encoders.new", "import rich.progress"),
        ("cfclip.batches.new", "import ray"),
        ("cfclip.editing.session", "from cfclip.apps.cli import main"),
        ("cfclip.editing.session", "from cfclip_benchmark.report import shown"),
        ("cfclip.errors", "from cfclip.io.files import atomic_write"),
    ],
)
def test_the_check_itself_finds_violations(module: str, source: str) -> None:
    assert len(violations(module, source)) == 1


def test_the_check_itself_allows_what_is_allowed() -> None:
    source = (
        "from cfclip.generators.generator import Generator\nfrom cfclip.losses import objective"
    )
    assert violations("cfclip.editors.new", source + "\nfrom .editor import Editor") == []


def test_pictures_for_users_tell_how_they_were_made() -> None:
    writers = {
        name_of(path)
        for path in modules(SOURCE)
        if {"cfclip.images.output_files.write_png", "cfclip.images.output_files.encode_png"}
        & imports_of(path.read_text(), name_of(path))
    }
    # A benchmark keeps pictures to measure them; drawn ones among them are no model's.
    assert writers == {
        "cfclip.provenance.stamping",
        "cfclip_benchmark.benchmark_run",
        "cfclip_benchmark.candidates",
    }


@pytest.mark.parametrize("path", [*modules(SOURCE), *modules(RECIPES)], ids=str)
def test_modules_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", [*modules(SOURCE), *modules(RECIPES)], ids=str)
def test_the_umask_is_left_alone(path: Path) -> None:
    """It is the whole process's: files of other threads would get its rights for a moment."""
    tree = ast.parse(path.read_text())
    named = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert "umask" not in named | imported


@pytest.mark.parametrize("path", modules(SOURCE), ids=name_of)
def test_the_library_neither_prints_nor_sets_global_state(path: Path) -> None:
    if name_of(path).startswith("cfclip.apps."):
        return
    forbidden = {
        "print",
        "torch.manual_seed",
        "torch.set_num_threads",
        "torch.set_default_dtype",
        "random.seed",
        "np.random.seed",
        "warnings.filterwarnings",
        "warnings.simplefilter",
    }
    calls = {
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    }
    assert calls & forbidden == set()


def test_importing_cfclip_is_quick_and_loads_nothing_heavy() -> None:
    code = f"""
import sys, time
start = time.perf_counter()
import cfclip
print(time.perf_counter() - start, *sorted({NOT_AT_IMPORT!r} & set(sys.modules)))
"""
    runs = [
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        for _ in range(3)
    ]
    seconds = [float(run.stdout.split()[0]) for run in runs]
    assert {tuple(run.stdout.split()[1:]) for run in runs} == {()}
    assert min(seconds) < MAX_IMPORT_SECONDS  # the best of three: other work slows single runs


def test_every_module_imports_without_output() -> None:
    names = [name_of(path) for path in modules(SOURCE) if path.stem != "__main__"]
    code = "import importlib\nfor name in " + repr(names) + ":\n    importlib.import_module(name)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, ""), run.stderr


TEXT_READERS = {
    "json.load",
    "json.loads",
    "json.JSONDecoder",
    "csv.reader",
    "csv.DictReader",
    "tomllib.load",
    "tomllib.loads",
    "literal_eval",
    "eval",
}
"""What takes text at its word; `text_formats` and `text_files` bound it first."""


def text_readers_in(source: str) -> set[str]:
    """The readers of text that a source names, under whatever name it imports them."""
    tree, names = ast.parse(source), dict[str, str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {each.asname or each.name: each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            base = ast.unparse(node.value)
            found.add(f"{names.get(base, base)}.{node.attr}")
        elif isinstance(node, ast.Name):
            found.add(names.get(node.id, node.id))
    return {name for name in found if name in TEXT_READERS or name.split(".")[-1] == "literal_eval"}


@pytest.mark.parametrize("path", modules(SOURCE), ids=name_of)
def test_text_from_outside_has_one_door(path: Path) -> None:
    if name_of(path) not in ("cfclip.io.text_formats", "cfclip.io.text_files"):
        assert text_readers_in(path.read_text()) == set()


@pytest.mark.parametrize(
    "source",
    [
        "import json\njson.loads('1')",
        "import json as j\nread = j.load",
        "from json import loads as read\nread('1')",
        "def f():\n    import tomllib\n    return tomllib.load",
        "import csv\ncsv.DictReader([])",
        "import ast\nast.literal_eval('1')",
    ],
)
def test_the_check_of_the_door_finds_readers(source: str) -> None:
    assert len(text_readers_in(source)) == 1


def test_the_check_of_the_door_allows_writers() -> None:
    assert text_readers_in("import json, csv\njson.dumps(1)\ncsv.writer(x)") == set()
