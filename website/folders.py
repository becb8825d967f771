"""The folders of the source and the arrows between them: what each imports, and a picture of it.

python -m website.folders --out docs/images/folders.svg
"""

import argparse
import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
LIBRARY, BENCHMARK = "cfclip", "cfclip_benchmark"
ROOT = frozenset({"__init__", "__main__", "errors", "settings", "tensors", "version"})
"""The modules at the root of the library, which every folder may need."""


def modules(root: Path = SOURCE) -> list[Path]:
    """Every module below a folder."""
    return sorted(root.rglob("*.py"))


def name_of(path: Path) -> str:
    """`cfclip/losses/terms.py` -> `cfclip.losses.terms`; a package has its own name."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def imports_of(source: str, package: str) -> set[str]:
    """Absolute names of all that a source imports anywhere in it, functions included."""
    found: set[str] = set()
    parts = package.split(".")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = [*parts[: len(parts) - node.level + 1]] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def folder_of(name: str) -> str:
    """The folder that a module lies in, or its own name at the root of the library."""
    first, *rest = name.split(".")
    return first if first != LIBRARY else rest[0] if rest else "__init__"


def folders() -> list[str]:
    """The folders of the library, and the benchmark beside it."""
    return [path.parent.name for path in sorted((SOURCE / LIBRARY).glob("*/__init__.py"))] + [
        BENCHMARK
    ]


def targets_of(module: str, source: str) -> Iterator[tuple[str, str]]:
    """(folder, name) of whatever a module imports from another folder of ours."""
    own, known = folder_of(module), set(folders())
    for name in imports_of(source, module.rpartition(".")[0]):
        if name.split(".")[0] in (LIBRARY, BENCHMARK) and folder_of(name) in known - {own}:
            yield folder_of(name), name


def arrows() -> dict[str, set[str]]:
    """Each folder with the folders that it imports."""
    found: dict[str, set[str]] = {name: set() for name in folders()}
    for path in modules():
        own = folder_of(name_of(path))
        if own not in ROOT:
            found[own] |= {target for target, _ in targets_of(name_of(path), path.read_text())}
    return found


def layers(below: Mapping[str, set[str]]) -> list[list[str]]:
    """The folders by the longest way down from them, the lowest first; `ValueError` in a circle."""
    found: list[list[str]] = []
    left = {name: set(targets) for name, targets in below.items()}
    while left:
        free = sorted(name for name, targets in left.items() if not targets & set(left))
        if not free:
            raise ValueError(f"{', '.join(sorted(left))} import each other")
        found.append(free)
        left = {name: targets for name, targets in left.items() if name not in free}
    return found


def direct(below: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The arrows that no way over other folders replaces: few enough to be drawn."""

    def reach(name: str) -> set[str]:
        return below[name].union(*map(reach, below[name])) if below[name] else set()

    return {
        name: {one for one in targets if not any(one in reach(other) for other in targets)}
        for name, targets in below.items()
    }


def draw(path: Path) -> None:
    """Write the picture: the lowest folders at the bottom, arrows to what a folder imports."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    below = arrows()
    rows = layers(below)
    width = max(map(len, rows))
    places = {
        name: ((index + 0.5) * width / len(row), level)
        for level, row in enumerate(rows)
        for index, name in enumerate(row)
    }
    # The same bytes for the same folders: names stay texts, and ids follow from what is drawn.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": LIBRARY, "font.family": "sans-serif"}):
        axes = (figure := Figure(figsize=(1.55 * width, 0.85 * len(rows)))).add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(-0.6, len(rows) - 0.4))
        axes.axis("off")
        box = {"boxstyle": "round,pad=0.35", "facecolor": "#e0f2f1", "edgecolor": "#00796b"}
        boxes = {
            name: axes.text(
                *place, name, ha="center", va="center", fontsize=10, bbox=box
            ).get_bbox_patch()
            for name, place in places.items()
        }
        for name, targets in direct(below).items():
            for target in sorted(targets):
                look = {"arrowstyle": "->", "color": "#78909c", "shrinkA": 1, "shrinkB": 2}
                ends = {"patchA": boxes[name], "patchB": boxes[target]}
                axes.annotate("", places[target], places[name], arrowprops=look | ends)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None}, transparent=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Draw the folders and what they import.")
    parser.add_argument("--out", type=Path, required=True, help="SVG file to write")
    draw(parser.parse_args(arguments).out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
