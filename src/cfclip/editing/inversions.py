"""Inversions kept on disk, so that a rerun inverts only the pictures that are left.

One JSON file per picture, named by a hash of all that decides the result: the bytes of the picture,
the models, the settings of the projection, and how its face is found if that is cut from it.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from torch import Tensor

from cfclip.editing.latent_sources import latents_of, latents_origin
from cfclip.editing.session import Session
from cfclip.editing.sources import Picture, Source
from cfclip.encoders import ProjectionConfig
from cfclip.errors import InputError
from cfclip.images import check_outputs, open_image
from cfclip.io import field_of, read_json
from cfclip.optim import Progress
from cfclip.packs import ENCODER_FILE
from cfclip.photos import FaceConfig, Photo, check_landmarks, landmarks_file, open_photo
from cfclip.provenance import FORMAT, file_origin, write_json

INVERSION_KIND = "inversion"


@dataclass(frozen=True)
class Inverted:
    """What is kept of an inversion."""

    latents: Tensor
    """`(num_ws, w_dim)` float32 on the CPU."""
    psnr: float
    """Decibels of the reproduction."""
    known: bool
    """Whether it was found on disk."""
    warnings: tuple[str, ...] = ()
    """What was changed on the way in, and a poor reproduction; one line each."""
    faces: int = 1
    """How many faces its photo has, if one was cut from it."""


InversionCallback: TypeAlias = Callable[[Progress], bool | None]
"""Called after each picture; the terms are the "psnr" of it in decibels, or none if it could not be
used. Returning False ends the work as Ctrl-C does."""


class Inversions:
    """Inverts picture files with a session and keeps the results in a folder, which is made.

    Args:
        session: what inverts.
        folder: where inversions are kept.
        projection: settings of the inversions.
        face: how a face is cut from each picture; pictures are taken as they are if not given.

    Raises:
        InputError: nothing can be written to the folder.
    """

    def __init__(
        self,
        session: Session,
        folder: str | Path,
        projection: ProjectionConfig,
        face: FaceConfig | None = None,
    ) -> None:
        self._session = session
        self._projection = projection
        self._face = face if face is not None and face.chosen else None
        self._folder = Path(folder)
        check_outputs([self._folder / "inversion.json"])

    def invert(self, picture: Path) -> Inverted:
        """The inversion of a picture file.

        Raises `InputError` if it is no usable picture, or its face is to be cut and none is found.
        """

        def invert() -> Source:
            return self._invert(picture if self._face is None else open_photo(picture, self._face))

        digest = file_origin(picture)["sha256"]
        return self._once(self._key(digest, self._face_key(picture)), invert)

    def invert_data(self, data: bytes, name: str) -> Inverted:
        """The inversion of a picture from the bytes of its file, of which no face is cut.

        `name` stands for it in messages. Raises `InputError` if it is no usable picture.
        """

        def invert() -> Source:
            opened = open_image(data, self._session.pack.manifest.resolution, name)
            source = self._invert(opened.image)
            return replace(source, warnings=(*opened.warnings, *source.warnings))

        return self._once(self._key(hashlib.sha256(data).hexdigest()), invert)

    def _invert(self, picture: Picture | Photo) -> Source:
        return self._session.invert(picture, self._projection)

    def _once(self, key: str, invert: Callable[[], Source]) -> Inverted:
        """What is kept under a key, inverted now if nothing is."""
        file = self._folder / f"{key}.json"
        found = self._read(file)
        if found is not None:
            return found
        source = invert()
        content = inversion_content(source)
        write_json(content, file)
        psnr, faces = float(source.psnr or 0.0), content.get("faces", 1)
        return Inverted(source.latents, psnr, False, source.warnings, faces)

    def invert_all(
        self,
        pictures: Mapping[str, Path],
        callback: InversionCallback | None = None,
    ) -> tuple[dict[str, Inverted], list[str]]:
        """The inversions of pictures by name, and a line for each that cannot be used.

        `KeyboardInterrupt` passes through; finished inversions are kept. Raises `InputError` for
        landmarks of one photo with several pictures.
        """
        if self._face is not None:
            check_landmarks(self._face, len(pictures))
        found: dict[str, Inverted] = {}
        failures: list[str] = []
        worked, seconds = 0, 0.0
        for done, (name, path) in enumerate(pictures.items(), 1):
            began = time.perf_counter()
            terms: dict[str, float] = {}
            try:
                found[name] = self.invert(path)
                terms["psnr"] = found[name].psnr
                if not found[name].known:
                    worked, seconds = worked + 1, seconds + time.perf_counter() - began
            except InputError as error:
                failures.append(str(error))
            if callback is not None:
                left = len(pictures) - done
                estimate = left * seconds / worked if worked else None
                if callback(Progress(done, len(pictures), terms, estimate)) is False:
                    raise KeyboardInterrupt
        return found, failures

    def _key(self, digest: str, face: Mapping[str, Any] | None = None) -> str:
        pack = self._session.pack
        models = {**pack.mapped_models, ENCODER_FILE: pack.manifest.files.get(ENCODER_FILE)}
        decisive = [digest, models, asdict(self._projection)]
        if face is not None:
            decisive.append(face)
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    def _face_key(self, picture: Path) -> dict[str, Any] | None:
        """What decides how the face of a photo is cut; None if none is."""
        if self._face is None:
            return None
        points = None
        if self._face.landmarks is not None:
            points = file_origin(landmarks_file(self._face.landmarks, picture))["sha256"]
        return {"face": self._face.face, "landmarks": points}

    def _read(self, file: Path) -> Inverted | None:
        """What is in a file; None if there is none, or it is damaged and to be made again."""
        generator = self._session.generator
        try:
            content = read_json(file)
            latents = latents_of(field_of(content, "latents", Mapping[str, Any]))
            psnr = field_of(field_of(content, "inversion", Mapping[str, Any]), "psnr", float)
            warnings = field_of(content, "warnings", tuple[str, ...])
            faces = field_of(content, "faces", int, 1)
        except InputError:
            return None
        fits = tuple(latents.shape) == (generator.num_ws, generator.w_dim)
        return Inverted(latents, psnr, True, warnings, faces) if fits else None


def inversion_content(source: Source) -> Mapping[str, Any]:
    """The JSON form of an inverted source."""
    return {
        "format": FORMAT,
        "kind": INVERSION_KIND,
        "source": dict(source.origin),
        "inversion": source.inversion,
        "latents": latents_origin(source.latents),
        "warnings": list(source.warnings),
        **({} if source.photo is None else {"faces": source.photo.faces}),
    }


def face_warnings(found: Mapping[str, Inverted], face: FaceConfig | None) -> tuple[str, ...]:
    """A line if of several faces the largest was used; `found` is what `invert_all` gave."""
    names = [name for name, inverted in found.items() if inverted.faces > 1]
    if not names or (face is not None and face.face > 1):
        return ()
    return (
        f"{len(names)} photos have several faces, of which the largest is used, {names[0]!r} first",
    )
