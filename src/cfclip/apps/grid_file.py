"""What the commands that draw one picture of many share."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from cfclip.apps.options import PackWork
from cfclip.apps.tasks import Task, check_plan
from cfclip.errors import InputError
from cfclip.settings import check_number

if TYPE_CHECKING:
    from PIL import Image

    from cfclip.provenance import Marking, Provenance

_SMALLEST, _LARGEST = 16, 2048
_PNG = ".png"


@dataclass(frozen=True, kw_only=True)
class GridFile(PackWork):
    """Options of a picture of many."""

    out: Annotated[Path, tyro.conf.arg(metavar="PNG")]
    """PNG file to write; its folder is made if needed."""

    size: int = 256
    """Side in pixels that each picture is scaled to; sharpest at a multiple of the pack's."""

    def start(self, tasks: Sequence[Task]) -> "Marking":
        """Check all that can be checked before the work. Raises `InputError`."""
        check_number("size", self.size, _SMALLEST, _LARGEST)
        check_png(self.out)
        check_plan(tasks, [[self.out]], self.writing(self.out.parent))
        return self.marking()

    def finish(
        self, picture: "Image.Image", provenance: "Provenance | None", marking: "Marking"
    ) -> None:
        """Write the picture and tell where it is."""
        from cfclip.provenance import write_picture

        with self.writing(self.out.parent) as writing, writing.together([self.out]) as folder:
            write_picture(picture, folder / self.out.name, provenance, marking)
        self.console.result({"grid": str(self.out)}, str(self.out))


def check_png(path: Path) -> None:
    """Raise `InputError` unless a path has the suffix of a PNG file."""
    if path.suffix.lower() != _PNG:
        raise InputError(f"out is {path}, a PNG file is written; give a name that ends in {_PNG}")
