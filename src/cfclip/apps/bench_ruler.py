"""`cfclip bench-ruler`."""

from dataclasses import dataclass, field
from pathlib import Path

from cfclip.apps.bench_work import check_extra
from cfclip.apps.console import watched_run
from cfclip.apps.options import INTERRUPTED, OK, OnPack
from cfclip.encoders import ProjectionConfig
from cfclip.settings import check_seed


@dataclass(frozen=True, kw_only=True)
class BenchRuler(OnPack):
    """Measure how often the ruler of cfclip bench is right, on edits whose verdict is known.

    Perfect edits have to be exact, forged ones are to be found, failed ones are no success; all of
    validation avatars and prompts. See docs/RULER.md. Ctrl-C ends after the avatar at hand; the
    same command with --resume goes on.
    """

    out: Path
    """Folder for the verdicts; made if needed."""

    images: int = 24
    """Avatars to edit with every prompt."""

    inverted: int = 30
    """Forged edits of each attribute that are put through inversion."""

    seed: int = 0
    """Of every random draw."""

    resume: bool = False
    """Go on in --out, which has to be of the same ruler, pack, settings and versions."""

    page: Path | None = None
    """Page whose tables between `<!-- measured: ruler -->` and `<!-- end -->` are replaced by the
    measured ones."""

    projection: ProjectionConfig = field(default_factory=ProjectionConfig)

    def run(self) -> int:
        """Make and read every edit that is not read yet, then tell the tables."""
        check_extra()

        from cfclip_benchmark import (
            RULER_MARK,
            BenchmarkFolder,
            RulerCheck,
            check_measured_page,
            missed_limits,
            put_measured,
            ruler_tables,
        )

        check_seed(self.seed)
        if self.page is not None:
            check_measured_page(self.page, RULER_MARK)
        console, session = self.console, self.open_session()
        check = RulerCheck(session, self.images, self.inverted, self.projection, self.seed)
        folder = BenchmarkFolder(self.out)
        folder.claim(check.description(), self.resume)
        goes_on = f"kept in {self.out}; the same command with --resume goes on from there"
        try:
            with watched_run(console, self.out.name or "ruler") as watch:
                rows = check.run(folder, watch)
        except KeyboardInterrupt:
            console.error(f"interrupted; what is finished is {goes_on}")
            return INTERRUPTED
        if len(rows) < self.images:
            console.error(f"stopped with {len(rows)} of {self.images} avatars, which are {goes_on}")
            return INTERRUPTED
        tables, missed = ruler_tables(rows), missed_limits(rows)
        console.result({"out": str(self.out), "missed": missed}, *tables.splitlines())
        for line in missed:
            console.warning(line)
        if self.page is not None:
            put_measured(self.page, RULER_MARK, tables)
        return OK
