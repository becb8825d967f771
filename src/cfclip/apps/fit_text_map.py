"""`cfclip fit-text-map`."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from cfclip.apps.console import uninterrupted
from cfclip.apps.options import INTERRUPTED, FaceOptions, OnPack, TensorFile
from cfclip.apps.tasks import summarise
from cfclip.editors import TextMapFitConfig
from cfclip.encoders import ProjectionConfig
from cfclip.photos import FaceConfig

if TYPE_CHECKING:
    from cfclip.fitting import FittedTextMap
    from cfclip.optim import Progress


@dataclass(frozen=True)
class FitTextMap(OnPack, TensorFile):
    """Fit a linear text map to pictures with captions, for edits that start from the text.

    FOLDER holds the pictures in images/ and captions.jsonl, a line each: {"image": "ada.png",
    "text": "a person with brown hair"}, and "source": NAME if it is the edit of another picture.
    Edits take the map by --start text-map --text-map MAP.safetensors.
    """

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """Folder with images/ and captions.jsonl."""

    out: Path
    """Where to write the map, a .safetensors file."""

    inversions: Path | None = None
    """Folder that keeps the inverted pictures, so that a rerun goes on; MAP_inversions beside the
    map if not given."""

    fit: Annotated[TextMapFitConfig, tyro.conf.arg(name="")] = field(
        default_factory=TextMapFitConfig
    )
    face: FaceOptions = field(default_factory=FaceConfig)
    projection: ProjectionConfig = field(default_factory=ProjectionConfig)

    def run(self) -> int:
        """Invert, fit, write; pictures that fail are left out and told at the end."""
        from cfclip.fitting import read_captioned_folder

        console = self.console
        self.check(self.out)
        folder = read_captioned_folder(self.folder)
        kept = self.inversions or self.out.with_name(f"{self.out.stem}_inversions")

        from cfclip.editors import save_text_map
        from cfclip.fitting import fit_captioned_folder

        session = self.open_session()
        done = 0
        try:
            with console.progress(f"inverting {len(folder.pictures)} pictures") as update:

                def watch(progress: "Progress") -> None:
                    nonlocal done
                    done = progress.step
                    update(progress)

                fitted = fit_captioned_folder(
                    session, folder, kept, self.fit, self.projection, watch, self.face
                )
        except KeyboardInterrupt:
            console.error(
                f"interrupted; {done} of {len(folder.pictures)} pictures are inverted and kept in "
                f"{kept}; the same command goes on from there"
            )
            return INTERRUPTED
        with uninterrupted():
            save_text_map(fitted.text_map, self.out, asdict(fitted.report))
        self._report(fitted)
        return summarise(console, fitted.failures, len(folder.pictures))

    def _report(self, fitted: "FittedTextMap") -> None:
        for warning in fitted.warnings:
            self.console.warning(warning)
        report = fitted.report
        content = {
            "text_map": str(self.out),
            **asdict(report),
            "failures": fitted.failures,
            "warnings": fitted.warnings,
        }
        self.console.result(content, str(self.out))
        shares = [f"{report.captions} captions of {report.pictures} pictures"]
        if report.explained is not None and report.explained > 0:
            shares.append(f"explain {report.explained:.1%} of those that were held out")
        if report.fusion_loss is not None:
            shares.append(f"concatenation fitted to {report.edits} edits")
        self.console.note("; ".join(shares))
