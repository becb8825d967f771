"""`cfclip grid strengths` and `cfclip grid compare`: grids of edits, a row for each picture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from cfclip.apps.grid_file import GridFile
from cfclip.apps.options import INTERRUPTED, Images, Strengths, Texts, chosen_strengths
from cfclip.apps.tasks import Task, check_texts, find_tasks, interruption, recovering, summarise
from cfclip.editing import METHODS
from cfclip.encoders import ProjectionConfig
from cfclip.errors import InputError
from cfclip.settings import check_seed

if TYPE_CHECKING:
    from cfclip.editing import EditResult, OpenedMethod, Session
    from cfclip.provenance import Provenance
    from cfclip.viewing import Tile

_STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0)
_OWN_METHOD = "cfclip-optimisation"


@dataclass(frozen=True)
class EditColumn:
    """What a column of a grid shows."""

    head: str
    """What is written above it."""
    method: "OpenedMethod"
    text: str
    strength: float = 1.0
    """Factor on the edit; 1 is the method's own."""

    @property
    def edit(self) -> tuple[str, str]:
        """Which edit it shows; columns of other strengths show the same."""
        return self.method.name, self.text


GridRow: TypeAlias = tuple[Task, tuple[EditColumn, ...]]
"""What is edited, and what of it is shown."""


@dataclass(frozen=True, kw_only=True)
class EditGrid(GridFile):
    """Options of a grid of edits."""

    images: Images
    """Picture files, folders, patterns such as 'in/*.png', sample:SEED or sample:FIRST-LAST, files
    of latents such as codes.pt or codes.pt:0-9."""

    text: Texts
    """What the pictures shall show; may be given several times."""

    files: Texts = ()
    """METHOD=PATH: what a method takes, such as cfclip-mapper=runs/green-hair; of a folder of
    trainings, all that have a mapper. May be repeated."""

    steps: int | None = None
    """Steps of each edit; each method's own if not given."""

    seed: int = 0
    """Decides every random draw."""

    projection: ProjectionConfig = field(default_factory=ProjectionConfig)

    def _open_methods(self, session: "Session", names: Sequence[str]) -> "list[OpenedMethod]":
        """Those of these names. Raises `InputError` for what they cannot be opened with."""
        from cfclip.editing import open_method
        from cfclip_benchmark import choose_variants, parse_files

        steps = {} if self.steps is None else {"steps": self.steps}
        return [
            open_method(
                each.method,
                session.pack,
                steps if METHODS[each.method].optimises else {},
                each.files,
                session.device,
            )
            for each in choose_variants(session.pack, names, parse_files(self.files))
        ]

    def _prompts(self, session: "Session") -> tuple[str, ...]:
        from cfclip.embedders import check_prompt

        prompts = tuple(dict.fromkeys(check_prompt(text) for text in self.text))
        session.embedder.text_features(prompts)  # which refuses what it cannot read
        for warning in session.pack.text_warnings(prompts):
            self.console.warning(warning)
        return prompts

    def _tasks(self) -> tuple[list[Task], list[str]]:
        if not self.text:
            raise InputError('no text; describe the edit, for example --text "green hair"')
        check_texts(self.text)
        check_seed(self.seed)
        return find_tasks(self.images, self.pack)

    def _draw(self, rows: Sequence[GridRow], failures: list[str], session: "Session") -> int:
        """Make the edits row by row and write the grid; Ctrl-C leaves that of the finished rows."""
        from cfclip.optim import Progress
        from cfclip.provenance import joint_provenance
        from cfclip.viewing import sheet

        marking = self.marking()
        total = len(rows) + len(failures)
        finished: list[list[Tile]] = []
        provenances: list[Provenance] = []
        labels: list[str] = []
        edits = Progress(0, sum(len({each.edit for each in columns}) for _, columns in rows))
        interrupted = False
        with self.console.progress(self.out.name) as update:

            def done() -> None:
                nonlocal edits
                edits = Progress(edits.step + 1, edits.steps)
                update(edits)

            for task, columns in rows:
                try:
                    with recovering(self.console, task, failures):
                        tiles, provenance = self._row(session, task, columns, done)
                        finished.append(tiles)
                        provenances.append(provenance)
                        labels.append(_label(task, columns))
                except KeyboardInterrupt:
                    interrupted = True
                    break
        if finished:
            heads = ("source", *(column.head for column in rows[0][1]))
            picture = sheet(finished, heads, labels, self.size)
            self.finish(picture, joint_provenance(provenances), marking)
        if interrupted:
            saved = f"; {len(finished)} of {len(rows)} rows are in {self.out}" if finished else ""
            self.console.error(interruption(len(finished), 1, saved))
            return INTERRUPTED
        return summarise(self.console, failures, total)

    def _row(
        self,
        session: "Session",
        task: Task,
        columns: Sequence[EditColumn],
        done: Callable[[], None],
    ) -> "tuple[list[Tile], Provenance]":
        """The tiles of a row, the source first, and what they tell of how they were made."""
        source = session.invert(task.picture, self.projection)
        for warning in source.warnings:
            self.console.warning(warning, task.name)
        tiles: list[Tile] = [(source.image, "")]
        results: dict[tuple[str, str], EditResult] = {}
        for column in columns:
            if column.edit not in results:
                edit = session.edit(source, column.text, self.seed, method=column.method)
                if edit.interrupted:
                    raise KeyboardInterrupt
                results[column.edit] = edit
                done()
            result = results[column.edit]
            tiles.append((result.render(column.strength * result.strength), ""))
        prompts = list(dict.fromkeys(column.text for column in columns))
        return tiles, session.provenance(source, prompts=prompts, seed=self.seed)


@dataclass(frozen=True, kw_only=True)
class GridStrengths(EditGrid):
    """Show edits at several strengths: a row for each picture and text, a column for each strength.

    The edits are made by cfclip's own optimisation, or by a trained mapper if --files gives one.
    """

    strength: Strengths = ()
    """Factors on the edit; 0 is the source as the generator makes it. 0, 0.5, 1, 1.5 and 2 if none
    is given."""

    def run(self) -> int:
        """Edit each picture for each text, and render it at all strengths."""
        tasks, failures = self._tasks()
        self.start(tasks)
        from cfclip_benchmark import parse_files

        strengths = chosen_strengths(self.strength or (_STRENGTHS,))
        names = tuple(parse_files(self.files)) or (_OWN_METHOD,)
        if len(names) > 1:
            raise InputError(f"files are given for {', '.join(names)}; a sweep shows one method")
        session = self.open_session()
        (method,) = self._open_methods(session, names)
        prompts = self._prompts(session)
        rows = [
            (
                task,
                tuple(EditColumn(f"strength {s:g}", method, text, s) for s in strengths),
            )
            for task in tasks
            for text in prompts
        ]
        return self._draw(rows, failures, session)


@dataclass(frozen=True, kw_only=True)
class GridCompare(EditGrid):
    """Show edits beside each other: a row for each picture, a column for each text; or, with
    --methods, a row for each picture and text, and a column for each method."""

    methods: tuple[str, ...] = ()
    """Methods to compare, by the names that `cfclip edit --help` has."""

    def run(self) -> int:
        """Make each edit once."""
        tasks, failures = self._tasks()
        self.start(tasks)
        from cfclip_benchmark import parse_files

        session = self.open_session()
        names = self.methods or tuple(parse_files(self.files)) or (_OWN_METHOD,)
        methods = self._open_methods(session, names)
        prompts = self._prompts(session)
        if len(methods) > 1:
            rows = [
                (task, tuple(EditColumn(method.name, method, text) for method in methods))
                for task in tasks
                for text in prompts
            ]
        else:
            columns = tuple(EditColumn(text, methods[0], text) for text in prompts)
            rows = [(task, columns) for task in tasks]
        return self._draw(rows, failures, session)


def _label(task: Task, columns: tuple[EditColumn, ...]) -> str:
    """What is written beside a row: its picture, and its text if the columns do not tell it."""
    texts = {column.text for column in columns}
    if len(texts) > 1 or columns[0].head == columns[0].text:
        return task.name
    return f"{task.name}: {columns[0].text}"
