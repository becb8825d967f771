"""The layout that a reader relies on: import direction, start-up time, module length."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "cfclip"
RECIPES = Path(__file__).parents[1] / "recipes"

TEXT = {"text_formats", "text_files", "typed_fields"}
FOUNDATION = {
    *("plain_text", "errors", "locking", "files", "reach", "tensors", "version", "weights"),
    *TEXT,
    *("pickle_values", "pickle_names", "pickles", "zip_index", "torch_layout", "torch_files"),
    *("gif", "foreign_checkpoints", "given_settings"),
}
DESCENT = {"schedule", "descent"}
PARTS = {
    *("generators", "embedders", "encoders", "features", "losses", "editors", "packs", "images"),
    *("photos", "png", "colour_profiles", "colours", "picture_files", "decoding", "latent_files"),
    "picture_blocks",
    *DESCENT,
}
FACADE = {
    *("session", "sources", "latent_sources", "settings", "results", "record", "replay", "devices"),
    *("captions", "inversions", "text_map_fitting", "counterfactual", "sheets", "outputs"),
    "charts",
    *("mappers", "mapper_training", "channel_fitting", "provenance", "credentials", "marking"),
    *("diagnosis", "tuned_sources", "likeness", "composition", "mapper_folders"),
    *("heat_maps", "sweeps", "drawings", "memory", "xmp"),
}

ALLOWED: dict[str, set[str]] = {
    # Foundation: needs nothing above itself.
    "plain_text": set(),
    "errors": {"plain_text"},
    "version": set(),
    "locking": {"errors"},
    "files": {"errors", "locking"},
    "reach": {"errors"},
    "given_settings": set(),
    "tensors": {"errors"},
    "text_formats": {"errors"},
    "text_files": {"errors", "text_formats"},
    "typed_fields": {"text_formats"},
    "weights": {"errors", "files", "text_formats", "typed_fields"},
    "foreign_checkpoints": {"errors", "text_formats"},
    "pickle_values": {"errors"},
    "pickles": {"errors", "pickle_values"},
    "zip_index": {"errors"},
    "pickle_names": {"errors", "pickle_values"},
    "torch_layout": {"errors", "pickle_values", "pickle_names", "pickles", "zip_index"},
    "torch_files": {"errors", "pickle_values", "torch_layout"},
    "latent_files": FOUNDATION,
    "png": {"errors"},
    "gif": {"errors"},
    "colour_profiles": {"errors"},
    "colours": {"errors", "colour_profiles"},
    "picture_files": {"errors"},
    "picture_blocks": {"errors"},
    "decoding": {"errors", "colour_profiles", "picture_blocks", "picture_files"},
    "images": {"errors", "files", "gif", "png", "colours", "decoding"},
    "schedule": {"errors", "text_formats"},
    "descent": {"errors", "tensors", "schedule"},
    # Parts: models know no other models, losses know none, methods know their base classes.
    "losses": {"errors", "tensors"},
    "generators": FOUNDATION,
    "embedders": FOUNDATION,
    "features": FOUNDATION,
    "encoders": {*FOUNDATION, *DESCENT, "generators.base", "embedders.base", "features.irse"},
    "editors": {
        *FOUNDATION,
        *DESCENT,
        "losses",
        "generators.base",
        "generators.ops",  # pure torch: the layers that the latent mappers are made of
        "embedders.base",
        "embedders.prompts",
        "encoders.base",
    },
    "packs": {
        *DESCENT,
        *(*FOUNDATION, "generators", "embedders", "encoders", "features"),
        *("editors.channel_statistics", "editors.linear_text_map"),
    },
    "photos": {
        *TEXT,
        "errors",
        "files",
        "schedule",
        "images",
        "record",
    },  # pixels, points: no model
    # What puts the parts together.
    **{name: {*FOUNDATION, *PARTS, *FACADE} for name in FACADE},
    "settings": {*FOUNDATION, *PARTS, *FACADE, "training.config", "training.presets"},
    "drawings": set(),
    "charts": {"drawings"},
    "sheets": {"errors", "drawings"},  # pictures and names only: no part of a model
    "outputs": {"errors"},
    "devices": {"errors"},
    "xmp": {"errors"},
    "memory": set(),
    "provenance": {"version", "xmp"},
    "credentials": {*TEXT, "errors", "provenance"},
    "marking": {"errors", "images", "png", "provenance", "credentials"},
    "captions": {*TEXT, "errors", "picture_files", "embedders.prompts"},
    "mapper_training": {*FOUNDATION, *PARTS, *FACADE, "training"},
    "channel_fitting": {*FOUNDATION, *PARTS, *FACADE, "training"},
    "training": {*FOUNDATION, *PARTS},
    "batches": {*FOUNDATION, *PARTS, *FACADE, "training.runs"},
    "evaluation": {*FOUNDATION, *PARTS, *FACADE, "training"},
    "apps": {*FOUNDATION, *PARTS, *FACADE, "training", "evaluation", "batches"},
    "__init__": {*FOUNDATION, *PARTS, *FACADE},
    "__main__": {"apps"},
}
"""Part of cfclip to what it may import, besides itself: a part, or one module of a part."""

APPS_ONLY = {"tyro", "rich", "gradio", "fastapi", "uvicorn"}
ONE_MODULE_ONLY = {"ray": "batches.ray_engine", "pyarrow": "batches.packing"}
"""Large libraries of extras, each behind one module."""
NOT_AT_IMPORT = {"torch", "numpy", "PIL", "open_clip", "kornia", "tyro", "rich", "gradio"}

MAX_LINES = 350
"""About 300 is the aim; tables of data may need a few more."""
MAX_IMPORT_SECONDS = 0.5


def modules(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py"))


def name_of(path: Path) -> str:
    """`losses/clip_nce.py` -> `losses.clip_nce`; a package's `__init__` keeps its name."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts)


def imports_of(source: str, module: str) -> set[str]:
    """Absolute names of all that a source imports anywhere in it, functions included."""
    found: set[str] = set()
    package = ["cfclip", *module.split(".")[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [base])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def is_within(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")


def violations(module: str, source: str) -> list[str]:
    part = module.split(".")[0]
    assert part in ALLOWED, f"say in ALLOWED what cfclip.{part} may import"
    allowed = {part, *ALLOWED[part]}
    names = imports_of(source, module)
    inside = {name.removeprefix("cfclip.") for name in names if name.startswith("cfclip.")}
    bad = {name for name in inside if not any(is_within(name, each) for each in allowed)}
    if part != "apps":
        bad |= {name for name in names if name.split(".")[0] in APPS_ONLY}
    bad |= {name for name in names if ONE_MODULE_ONLY.get(name.split(".")[0], module) != module}
    return sorted(bad)


@pytest.mark.parametrize("path", modules(SOURCE), ids=name_of)
def test_import_direction(path: Path) -> None:
    assert violations(name_of(path), path.read_text()) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("losses.new", "from cfclip.generators.base import Generator"),
        ("losses.new", "def f():\n    import cfclip.embedders.clip"),
        ("editors.new", "from cfclip.generators.stylegan2 import StyleGAN2"),
        ("editors.new", "from ..session import Session"),
        ("generators.new", "from cfclip import losses"),
        ("encoders.new", "import rich.progress"),
        ("batches.new", "import ray"),
        ("session", "from cfclip.apps.cli import main"),
    ],
)
def test_the_check_itself_finds_violations(module: str, source: str) -> None:
    assert len(violations(module, source)) == 1


def test_the_check_itself_allows_what_is_allowed() -> None:
    source = "from cfclip.generators.base import Generator\nfrom cfclip.losses import objective"
    assert violations("editors.new", source + "\nfrom .base import EditResult") == []


def test_pictures_for_users_tell_how_they_were_made() -> None:
    writers = {
        name_of(path)
        for path in modules(SOURCE)
        if {"cfclip.images.write_png", "cfclip.png.encode_png"}
        & imports_of(path.read_text(), name_of(path))
    } - {"images"}
    # A benchmark keeps pictures to measure them; drawn ones among them are no model's.
    assert writers == {"marking", "evaluation.benchmark_run", "evaluation.candidates"}


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
    if name_of(path).startswith("apps."):
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
    names = [
        "cfclip." + name_of(path).removesuffix(".__init__")
        for path in modules(SOURCE)
        if path.stem != "__main__" and name_of(path) != "__init__"
    ]
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
    if name_of(path) not in ("text_formats", "text_files"):
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
