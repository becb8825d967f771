"""`cfclip sample` and `cfclip invert`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cfclip.apps.console import Console, uninterrupted
from cfclip.apps.options import INTERRUPTED, OK, Images, PackWork
from cfclip.apps.photos import FaceOptions, check_photos, picture_of
from cfclip.apps.tasks import (
    Task,
    check_plan,
    check_written,
    find_tasks,
    interruption,
    report_failure,
    summarise,
)
from cfclip.apps.writing import Writing
from cfclip.editing.defaults import SAMPLE_TRUNCATION
from cfclip.encoders.projection_config import ProjectionConfig
from cfclip.errors import CfclipError
from cfclip.photos.face_config import FaceConfig

if TYPE_CHECKING:
    from cfclip.editing.session import Session
    from cfclip.editing.sources import Source
    from cfclip.provenance.metadata import Provenance
    from cfclip.provenance.stamping import Marking

_SHEET_COLUMNS = 6


@dataclass(frozen=True)
class Sample(PackWork):
    """Make pictures of the generator's own; each can be edited as sample:SEED, or by its file if
    it has another truncation.

    Writes sample-SEED.png for each, and one sheet of all if they are several.
    """

    count: int = 1
    """How many."""

    seed: int = 0
    """Seed of the first; the next ones count up."""

    truncation: float = SAMPLE_TRUNCATION
    """0 to 1: lower keeps nearer to the mean picture. `cfclip edit` samples with the default."""

    def run(self) -> int:
        """Sample, write, tell where."""
        from cfclip.editing.sources import check_count

        check_count("count", self.count)
        paths = [self.out / f"sample-{self.seed + i}.png" for i in range(self.count)]
        last = self.seed + self.count - 1
        sheet_path = self.out / f"samples-{self.seed}-{last}.png" if self.count > 1 else None
        writing, marking = self.writing(), self.marking()
        check_written([*paths, *([sheet_path] if sheet_path else [])], writing)
        with writing:
            self._make(paths, sheet_path, writing, marking)
        return OK

    def _make(
        self, paths: Sequence[Path], sheet_path: Path | None, writing: Writing, marking: "Marking"
    ) -> None:
        from cfclip.editing.session import Session
        from cfclip.provenance.metadata import joint_provenance
        from cfclip.provenance.stamping import write_picture
        from cfclip.viewing.sheets import in_rows, sheet

        console = self.console
        session = Session.open(self.pack, self.device)
        sources: list[Source] = []
        stated: list[Provenance] = []
        for index, path in enumerate(paths):
            source = session.sample(1, self.seed + index, self.truncation)[0]
            provenance = _provenance(session, source)
            with writing.together([path]) as folder:
                write_picture(source.image, folder / path.name, provenance, marking)
            told: dict[str, Any] = {
                "seed": self.seed + index,
                "truncation": self.truncation,
                "image": str(path),
            }
            if self.truncation == SAMPLE_TRUNCATION:  # else the name stands for another picture
                told["source"] = f"sample:{self.seed + index}"
            console.result(told, str(path))
            sources.append(source)
            stated.append(provenance)
        if sheet_path is not None:
            tiles = [(source.image, source.name) for source in sources]
            picture = sheet(in_rows(tiles, _SHEET_COLUMNS))
            with writing.together([sheet_path]) as folder:
                write_picture(picture, folder / sheet_path.name, joint_provenance(stated), marking)
            console.result({"sheet": str(sheet_path)}, str(sheet_path))


@dataclass(frozen=True)
class Invert(PackWork):
    """Find the latents that reproduce pictures, and show how well they do.

    Writes per picture the reproduction, a strip beside the picture, and a JSON file with the
    latents and the measures of likeness.
    """

    images: Images
    """Picture files, folders, patterns such as 'in/*.png', sample:SEED or sample:FIRST-LAST, files
    of latents such as codes.pt or codes.pt:0-9."""

    face: FaceOptions = field(default_factory=FaceConfig)
    projection: ProjectionConfig = field(default_factory=ProjectionConfig)

    def run(self) -> int:
        """Invert each picture; one that fails does not lose the others."""
        tasks, failures = find_tasks(self.images, self.pack)
        check_photos(tasks, self.face)
        planned = [_inversion_files(self.out, task.name) for task in tasks]
        writing, marking = self.writing(), self.marking()
        check_plan(tasks, planned, writing)
        with writing:
            return self._invert_all(tasks, failures, planned, writing, marking)

    def _invert_all(
        self,
        tasks: Sequence[Task],
        failures: list[str],
        planned: Sequence[Sequence[Path]],
        writing: Writing,
        marking: "Marking",
    ) -> int:
        from cfclip.editing.session import Session

        console = self.console
        session = Session.open(self.pack, self.device)
        finished, total = 0, len(tasks) + len(failures)
        for task, files in zip(tasks, planned, strict=True):
            try:
                with console.progress(f"{task.name}: inverting") as update:
                    picture = picture_of(task, self.face)
                    source = session.invert(picture, self.projection, update)
                for warning in source.warnings:
                    console.warning(warning, task.name)
                with uninterrupted(), writing.together(files) as folder:
                    beside = [folder / path.name for path in files]
                    _save(source, beside, _provenance(session, source), marking)
                _tell(console, source, str(task.picture), files)
                finished += 1
            except (CfclipError, MemoryError, RuntimeError) as error:
                failures.append(report_failure(console, task, error))
            except KeyboardInterrupt:
                console.error(interruption(finished, total, ""))
                return INTERRUPTED
        return summarise(console, failures, total)


def _inversion_files(out: Path, name: str) -> tuple[Path, Path, Path]:
    """The reproduction, the strip and the JSON file."""
    return (
        out / f"{name}_inverted.png",
        out / f"{name}_inverted_strip.png",
        out / f"{name}_inverted.json",
    )


def _provenance(session: "Session", source: "Source") -> "Provenance":
    from cfclip.editing.results import circumstances
    from cfclip.provenance.metadata import provenance_of

    return provenance_of(
        {**circumstances(session.pack, session.device), "source": dict(source.origin)}
    )


def _save(
    source: "Source",
    files: Sequence[Path],
    provenance: "Provenance",
    marking: "Marking",
) -> None:
    from cfclip.editing.inversions import inversion_content
    from cfclip.provenance.record import write_json
    from cfclip.provenance.stamping import write_picture
    from cfclip.viewing.sheets import strip

    image, beside, facts = files
    write_picture(source.reconstruction, image, provenance, marking)
    tiles = [(source.image, "source"), (source.reconstruction, "reconstruction")]
    write_picture(strip(tiles), beside, provenance, marking)
    write_json(inversion_content(source), facts)


def _tell(console: Console, source: "Source", picture: str, files: Sequence[Path]) -> None:
    image, beside, facts = map(str, files)
    content = {
        "source": picture,
        "image": image,
        "strip": beside,
        "record": facts,
        "psnr": source.psnr,
        "perceptual": source.perceptual,
        "warnings": source.warnings,
    }
    likeness = "exact" if source.psnr is None else f"{source.psnr:.1f} dB"
    console.result(content, str(image), str(beside), str(facts))
    console.note(f"{picture}: reproduced at {likeness}")
