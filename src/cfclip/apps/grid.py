"""`cfclip grid`: contact sheets and curves of trainings; `edit_grids` has the grids of edits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import tyro

from cfclip.apps.edit_grids import GridCompare, GridStrengths
from cfclip.apps.grid_file import GridFile, check_png
from cfclip.apps.options import OK, Images, Output
from cfclip.apps.tasks import Task, find_tasks, recovering, summarise
from cfclip.errors import InputError, short_place, shown
from cfclip.settings import check_number

if TYPE_CHECKING:
    from cfclip.editing import Session
    from cfclip.provenance import Provenance
    from cfclip.viewing import Series, Tile

_CURVE_COLUMNS = 2
_FIRST_CURVES = ("total", "validation")
_SPEED = "steps_per_second"


@dataclass(frozen=True)
class GridContact(GridFile):
    """Show pictures beside each other, with their names."""

    images: Images
    """Picture files, folders, patterns such as 'in/*.png', sample:SEED or sample:FIRST-LAST, files
    of latents such as codes.pt or codes.pt:0-9."""

    columns: int = 6
    """Pictures in a row."""

    no_names: bool = False
    """Leave out the names of the pictures."""

    def run(self) -> int:
        """Open, place, write; pictures that fail are left out and told at the end."""
        check_number("columns", self.columns, 1)
        tasks, failures = find_tasks(self.images, self.pack, once=False)
        marking = self.start(tasks)
        from cfclip.provenance import joint_provenance
        from cfclip.viewing import in_rows, sheet

        samples = any(isinstance(task.picture, str) for task in tasks)
        session = self.open_session() if samples else None
        tiles: list[Tile] = []
        provenances: list[Provenance | None] = []
        total = len(tasks) + len(failures)
        for task in tasks:
            with recovering(self.console, task, failures):
                tile, provenance = self._tile(task, session)
                tiles.append(tile)
                provenances.append(provenance)
        if tiles:
            picture = sheet(in_rows(tiles, self.columns), side=self.size)
            self.finish(picture, joint_provenance(provenances), marking)
        return summarise(self.console, failures, total)

    def _tile(self, task: Task, session: "Session | None") -> "tuple[Tile, Provenance | None]":
        from cfclip.viewing import fitted

        name = "" if self.no_names else task.name
        if session is not None and isinstance(task.picture, str):
            source = session.invert(task.picture)
            return (source.image, name), session.provenance(source)
        from cfclip.images import open_image
        from cfclip.provenance import inspect_picture

        picture = open_image(task.picture, None).image
        # Kept at the size it is shown in: thousands of photos would fill the memory.
        return (fitted(picture, self.size), name), inspect_picture(task.picture).provenance


@dataclass(frozen=True)
class GridCurves(Output):
    """Draw the terms of trainings over their steps, one chart for each term."""

    runs: Annotated[
        tyro.conf.Positional[tuple[Path, ...]],
        tyro.conf.arg(metavar="RUN...", help_behavior_hint="(required)"),
    ]
    """Folders of trainings; of several, each has a colour of its own."""

    out: Annotated[Path, tyro.conf.arg(metavar="PNG")]
    """PNG file to write; its folder is made if needed."""

    overwrite: bool = False
    """Replace a file that exists."""

    def run(self) -> int:
        """Read the logs, draw, write."""
        from cfclip.images import check_outputs

        if not self.runs:
            raise InputError("no trainings; give their folders, such as runs/green-hair")
        check_png(self.out)
        curves = _curves(self.runs)
        check_outputs([self.out], self.overwrite)
        from cfclip.provenance import write_picture
        from cfclip.viewing import chart, in_rows, picture_of, sheet

        charts = [
            (picture_of(chart(series, "steps", term, scale="values")), "")
            for term, series in curves.items()
        ]
        picture = sheet(in_rows(charts, _CURVE_COLUMNS))
        write_picture(picture, self.out, None, overwrite=self.overwrite)
        self.console.result({"grid": str(self.out)}, str(self.out))
        return OK


def _curves(runs: Sequence[Path]) -> "dict[str, list[Series]]":
    """For each term that a run has logged, a curve for each run that has it."""
    from cfclip.training import read_log
    from cfclip.viewing import MOST_DRAWN, Point, Series

    curves: dict[str, list[Series]] = {}
    for run in runs:
        rows = read_log(run)
        for row in rows:
            for term, value in row.items():
                least = 0.0 if term == "step" else -MOST_DRAWN
                check_number(f"{short_place(run)}: {shown(term)}", value, least, MOST_DRAWN)
        terms = dict.fromkeys(term for row in rows for term in row)
        for term in terms:
            if term not in ("step", _SPEED):
                points = tuple(Point(row["step"], row[term]) for row in rows if term in row)
                curves.setdefault(term, []).append(Series(run.resolve().name, points))
    order = [*(term for term in _FIRST_CURVES if term in curves), *curves]
    return {term: curves[term] for term in dict.fromkeys(order)}


GridAction: TypeAlias = (
    Annotated[GridContact, tyro.conf.subcommand("contact")]
    | Annotated[GridStrengths, tyro.conf.subcommand("strengths")]
    | Annotated[GridCompare, tyro.conf.subcommand("compare")]
    | Annotated[GridCurves, tyro.conf.subcommand("curves")]
)


@dataclass(frozen=True)
class Grid:
    """Look at many pictures in one: contact sheets, sweeps over strength, comparisons of texts or
    methods, and the curves of trainings."""

    action: GridAction

    def run(self) -> int:
        """Run the chosen action."""
        return self.action.run()
