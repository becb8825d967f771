"""`cfclip sample` and `cfclip invert`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cfclip.apps.console import Console, uninterrupted
from cfclip.apps.options import OK, FaceOptions, FastOption, Images, PackWork
from cfclip.apps.tasks import (
    Task,
    check_photos,
    check_plan,
    check_written,
    find_tasks,
    picture_of,
    work_through,
)
from cfclip.editing import SAMPLE_TRUNCATION
from cfclip.encoders import ProjectionConfig
from cfclip.photos import FaceConfig

if TYPE_CHECKING:
    from cfclip.editing import Source
    from cfclip.provenance import Marking, Provenance
    from cfclip.viewing import Tile

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
        from cfclip.editing import check_count

        check_count("count", self.count)
        seeds = range(self.seed, self.seed + self.count)
        paths = [self.out / f"sample-{seed}.png" for seed in seeds]
        sheets = [self.out / f"samples-{seeds[0]}-{seeds[-1]}.png"] if self.count > 1 else []
        writing, marking, console = self.writing(), self.marking(), self.console
        check_written([*paths, *sheets], writing)
        from cfclip.provenance import joint_provenance, write_picture
        from cfclip.viewing import in_rows, sheet

        tiles: list[Tile] = []
        provenances: list[Provenance] = []
        with writing:
            session = self.open_session()
            for seed, path in zip(seeds, paths, strict=True):
                source = session.sample(1, seed, self.truncation)[0]
                tiles.append((source.image, source.name))
                provenances.append(session.provenance(source))
                with writing.together([path]) as folder:
                    write_picture(source.image, folder / path.name, provenances[-1], marking)
                content = {"seed": seed, "truncation": self.truncation, "image": str(path)}
                if self.truncation == SAMPLE_TRUNCATION:  # else the name is of another picture
                    content["source"] = f"sample:{seed}"
                console.result(content, str(path))
            for path in sheets:
                picture, place = sheet(in_rows(tiles, _SHEET_COLUMNS)), path.name
                with writing.together([path]) as folder:
                    write_picture(picture, folder / place, joint_provenance(provenances), marking)
                console.result({"sheet": str(path)}, str(path))
        return OK


@dataclass(frozen=True)
class Invert(PackWork, FastOption):
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
        ends = ("_inverted.png", "_inverted_strip.png", "_inverted.json")
        planned = {task: [self.out / f"{task.name}{end}" for end in ends] for task in tasks}
        writing, marking, console = self.writing(), self.marking(), self.console
        check_plan(tasks, [*planned.values()], writing)
        with writing:
            session = self.open_session()

            def invert(task: Task) -> None:
                with console.progress(f"{task.name}: inverting") as update:
                    picture = picture_of(task, self.face)
                    source = session.invert(picture, self.projection, update)
                for warning in source.warnings:
                    console.warning(warning, task.name)
                files = planned[task]
                with uninterrupted(), writing.together(files) as folder:
                    beside = [folder / path.name for path in files]
                    _save(source, beside, session.provenance(source), marking)
                _report(console, source, str(task.picture), files)

            return work_through(console, tasks, failures, invert)


def _save(
    source: "Source",
    files: Sequence[Path],
    provenance: "Provenance",
    marking: "Marking",
) -> None:
    from cfclip.editing import inversion_content
    from cfclip.provenance import write_json, write_picture
    from cfclip.viewing import strip

    image, beside, record = files
    write_picture(source.reconstruction, image, provenance, marking)
    tiles = [(source.image, "source"), (source.reconstruction, "reconstruction")]
    write_picture(strip(tiles), beside, provenance, marking)
    write_json(inversion_content(source), record)


def _report(console: Console, source: "Source", picture: str, files: Sequence[Path]) -> None:
    image, beside, record = map(str, files)
    content = {
        "source": picture,
        "image": image,
        "strip": beside,
        "record": record,
        "psnr": source.psnr,
        "perceptual": source.perceptual,
        "warnings": source.warnings,
    }
    likeness = "exact" if source.psnr is None else f"{source.psnr:.1f} dB"
    console.result(content, image, beside, record)
    console.note(f"{picture}: reproduced at {likeness}")
