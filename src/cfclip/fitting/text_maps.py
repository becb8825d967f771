"""A linear text map from a folder of pictures with captions: inverted, embedded, fitted."""

from dataclasses import dataclass
from pathlib import Path

import torch

from cfclip.editing import (
    InversionCallback,
    Inversions,
    Session,
    face_warnings,
    projection_settings,
)
from cfclip.editors import (
    FEWEST,
    NO_SOURCE,
    LinearTextMap,
    TextMapFitConfig,
    TextMapPairs,
    TextMapReport,
    fit_text_map,
)
from cfclip.encoders import ProjectionConfig
from cfclip.errors import InputError
from cfclip.fitting.captioned_pictures import CaptionedFolder
from cfclip.photos import FaceConfig


@dataclass(frozen=True)
class FittedTextMap:
    """A text map, and what became of the pictures."""

    text_map: LinearTextMap
    report: TextMapReport
    failures: tuple[str, ...]
    """One line for each picture that could not be used."""
    warnings: tuple[str, ...]


def fit_captioned_folder(
    session: Session,
    folder: CaptionedFolder,
    inversions: str | Path,
    config: TextMapFitConfig | None = None,
    projection: ProjectionConfig | None = None,
    callback: InversionCallback | None = None,
    face: FaceConfig | None = None,
) -> FittedTextMap:
    """Fit a text map for the pack of a session to captioned pictures.

    A picture that cannot be opened is left out with its captions, and told in `failures`.

    Args:
        session: what inverts and embeds.
        folder: as `cfclip.fitting.captioned_pictures.read_captioned_folder` gives it.
        inversions: folder where inversions are kept; what is there already is not done again.
        config: how to fit; the defaults if not given.
        projection: settings of the inversions; what it was made with goes over the pack's.
        callback: called after each picture.
        face: how a face is cut from each picture; pictures are taken as they are if not given.

    Raises:
        InputError: a caption that the embedder cannot read, or too few usable pictures.
        KeyboardInterrupt: Ctrl-C; finished inversions are kept.
    """
    projection = projection_settings(session.pack.manifest, projection)
    # First, since it takes seconds and may refuse a caption.
    embedded = session.embedder.embed_texts([caption.text for caption in folder.captions]).cpu()
    store = Inversions(session, inversions, projection, face)
    inverted, failures = store.invert_all(folder.pictures, callback)
    failures += filter(None, [folder.skipped])

    used = [i for i, caption in enumerate(folder.captions) if caption.image in inverted]
    rows = {name: row for row, name in enumerate(inverted)}
    # A picture of W+ enters with its mean code: M leads to W.
    codes = [each.latents.mean(0) for each in inverted.values()]
    pairs = TextMapPairs(
        latents=torch.stack(codes) if codes else torch.zeros(0, session.generator.w_dim),
        texts=embedded[used],
        pictures=torch.tensor([rows[folder.captions[i].image] for i in used], dtype=torch.int64),
        sources=torch.tensor(
            [rows.get(folder.captions[i].source or "", NO_SOURCE) for i in used], dtype=torch.int64
        ),
    )
    try:
        text_map, report = fit_text_map(
            pairs, config or TextMapFitConfig(), session.pack.mapped_models
        )
    except InputError as error:
        if not failures:
            raise
        more = f"{len(failures)} could not be used, the first because {failures[0]}"
        raise InputError(f"{error} ({more})") from error
    poor = sum(each.psnr < projection.warn_below_psnr for each in inverted.values())
    warnings = (*face_warnings(inverted, face), *_warnings(folder, report, poor))
    return FittedTextMap(text_map, report, tuple(failures), warnings)


def _warnings(folder: CaptionedFolder, report: TextMapReport, poor: int) -> tuple[str, ...]:
    lines = []
    if folder.uncaptioned:
        count = len(folder.uncaptioned)
        lines.append(
            f"{count} pictures without a caption were left out, {folder.uncaptioned[0]!r} first"
        )
    if poor:
        lines.append(
            f"{poor} pictures could not be reproduced well; they are probably not of the kind this "
            "model makes, and their captions teach little"
        )
    if report.explained is not None and report.explained <= 0:
        lines.append(
            "of pictures that it was not fitted to, the map explains nothing: it takes more "
            f"pictures than {report.pictures}, or a higher penalty than {report.penalty:g}"
        )
    if report.edits and report.fusion_loss is None:
        lines.append(
            f"{report.edits} captions with a source are too few for fusion 'concatenate', which "
            f"takes {FEWEST}"
        )
    return tuple(lines)
