"""Six real edits of avatars, into hair and skin that the generator was never shown.

    python -m examples.demo --out demo

Three avatars are drawn pictures, which are inverted first; three are samples of the generator.
Writes a strip and a record for each edit, and one sheet of all.
"""

import argparse
import sys
import time
from pathlib import Path

from cfclip import CfclipError, EditResult, Session
from cfclip.apps.console import Console
from cfclip.images import check_outputs
from cfclip.provenance import joint_provenance, provenance_of, write_picture
from cfclip.viewing import sheet

AVATARS = Path(__file__).parent / "avatars"
EDITS: tuple[tuple[str, str], ...] = (
    (str(AVATARS / "ada.png"), "a person with green hair"),
    (str(AVATARS / "ben.png"), "a person with blue skin"),
    (str(AVATARS / "cleo.png"), "a person with purple hair"),
    ("sample:1", "a person with pink hair"),
    ("sample:2", "a person with green skin"),
    ("sample:3", "a person with turquoise hair"),
)
SHEET = "demo.png"
_ROWS = 2


def main(arguments: list[str] | None = None) -> int:
    """Make the demo; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for the pictures")
    parser.add_argument("--pack", default="avatars", help="model pack, by name or folder")
    parser.add_argument("--seed", type=int, default=0, help="decides every random draw")
    options = parser.parse_args(arguments)
    console = Console(quiet=False, as_json=False)
    try:
        make_demo(options.out, options.pack, options.seed, console)
    except CfclipError as error:
        console.error(str(error))
        return 2
    except KeyboardInterrupt:
        console.error(f"interrupted; what was finished is in {options.out}")
        return 130
    return 0


def make_demo(out: Path, pack: str, seed: int, console: Console) -> list[EditResult]:
    """Make and save the edits, then the sheet. An earlier demo in `out` is replaced."""
    began = time.perf_counter()
    check_outputs([out / SHEET], overwrite=True)
    session = Session.open(pack)
    results = []
    for number, (picture, text) in enumerate(EDITS, 1):
        label = f"{number} of {len(EDITS)}, {Path(picture).stem}: {text}"
        with console.progress(f"{label} (inverting)") as update:
            source = session.invert(picture, callback=update)
        with console.progress(label) as update:
            result = session.edit(source, text, seed, callback=update)
        if result.interrupted:
            raise KeyboardInterrupt
        files = result.save(out, overwrite=True)
        console.note(f"{label}: {files.strip}")
        for warning in result.warnings:
            console.warning(warning, source.name)
        results.append(result)
    pairs = [[(each.source, "before"), (each.image, each.prompts[0])] for each in results]
    rows = [[tile for pair in pairs[row::_ROWS] for tile in pair] for row in range(_ROWS)]
    provenance = joint_provenance([provenance_of(each.record) for each in results])
    write_picture(sheet(rows), out / SHEET, provenance, overwrite=True)
    console.note(f"{len(results)} edits in {time.perf_counter() - began:.0f} s")
    console.result({"sheet": str(out / SHEET)}, str(out / SHEET))
    return results


if __name__ == "__main__":
    sys.exit(main())
