"""`cfclip parts`."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cfclip.apps.console import uninterrupted
from cfclip.apps.options import FaceOptions, FastOption, Images, PackWork
from cfclip.apps.tasks import Task, check_photos, check_plan, find_tasks, picture_of, work_through
from cfclip.encoders import ProjectionConfig
from cfclip.photos import FaceConfig

if TYPE_CHECKING:
    from PIL import Image

    from cfclip.editing import SourceParts

_COLUMNS = 4
_LEAST = 0.001
"""Share of the picture that a part takes at least, to be shown."""


@dataclass(frozen=True)
class ShowParts(PackWork, FastOption):
    """Show the parts of pictures, to which edits can be confined (cfclip edit --parts NAME).

    Writes a sheet for each picture, which is inverted first if it is no sample.
    """

    images: Images
    """Picture files, folders, patterns such as 'in/*.png', sample:SEED or sample:FIRST-LAST, files
    of latents such as codes.pt or codes.pt:0-9."""

    face: FaceOptions = field(default_factory=FaceConfig)
    projection: ProjectionConfig = field(default_factory=ProjectionConfig)

    def run(self) -> int:
        """Draw the parts of each picture; one that fails does not lose the others."""
        tasks, failures = find_tasks(self.images, self.pack)
        check_photos(tasks, self.face)
        planned = {task: [self.out / f"{task.name}_parts.png"] for task in tasks}
        writing, marking, console = self.writing(), self.marking(), self.console
        check_plan(tasks, [*planned.values()], writing)
        from cfclip.provenance import write_picture

        session = self.open_session()
        session.pack.parts(session.device)  # or there is nothing to draw
        with writing:

            def draw(task: Task) -> None:
                with console.progress(f"{task.name}: inverting") as update:
                    source = session.invert(picture_of(task, self.face), self.projection, update)
                for warning in source.warnings:
                    console.warning(warning, task.name)
                parts = session.parts(source)
                drawn = _drawn(source.reconstruction, parts)
                with uninterrupted(), writing.together(planned[task]) as folder:
                    (file,) = planned[task]
                    write_picture(drawn, folder / file.name, session.provenance(source), marking)
                shares = {name: round(parts.share(name), 4) for name in parts.names}
                content = {"source": str(task.picture), "sheet": str(file), "parts": shares}
                console.result(content, str(file))

            return work_through(console, tasks, failures, draw)


def _drawn(picture: "Image.Image", parts: "SourceParts") -> "Image.Image":
    """A picture and each of its parts, the rest of it faded."""
    from PIL import Image

    from cfclip.viewing import in_rows, sheet

    faded = Image.blend(picture, Image.new("RGB", picture.size, "white"), 0.8)
    tiles = [(picture, "picture")]
    for name in parts.names:
        if (share := parts.share(name)) >= _LEAST:
            shown = Image.composite(picture, faded, parts.mask(name))
            tiles.append((shown, f"{name}, {share:.1%}"))
    return sheet(in_rows(tiles, _COLUMNS))
