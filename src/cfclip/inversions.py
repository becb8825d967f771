"""Inversions kept on disk, so that a rerun inverts only the pictures that are left.

One JSON file per picture, named by a hash of all that decides the result: the bytes of the picture,
the models, the settings of the projection.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from cfclip.encoders.config import ProjectionConfig
from cfclip.errors import InputError
from cfclip.images import check_outputs, decode_image
from cfclip.packs.pack import ENCODER_FILE
from cfclip.record import FORMAT, file_origin, write_json
from cfclip.session import Session
from cfclip.sources import Picture, Source, latents_of, latents_origin

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


@dataclass(frozen=True)
class InversionProgress:
    """What a callback sees after each picture."""

    step: int
    """Pictures done."""
    steps: int
    """Pictures in all."""
    terms: dict[str, float]
    """"psnr" of the picture, in decibels; empty if it could not be used."""
    seconds_left: float | None
    """Estimate from the pictures that were inverted so far; None if none was."""


class Inversions:
    """Inverts picture files with a session and keeps the results in a folder, which is made.

    Raises `InputError` if nothing can be written there.
    """

    def __init__(self, session: Session, folder: str | Path, projection: ProjectionConfig) -> None:
        self._session = session
        self._projection = projection
        self._folder = Path(folder)
        check_outputs([self._folder / "inversion.json"])

    def invert(self, picture: Path) -> Inverted:
        """The inversion of a picture file. Raises `InputError` if it is no usable picture."""
        return self._once(file_origin(picture)["sha256"], lambda: self._invert(picture))

    def invert_data(self, data: bytes, name: str) -> Inverted:
        """The inversion of a picture from the bytes of its file, as `invert` of the file.

        `name` stands for it in messages.
        """

        def invert() -> Source:
            opened = decode_image(data, self._session.pack.manifest.resolution, name)
            source = self._invert(opened.image)
            return replace(source, warnings=(*opened.warnings, *source.warnings))

        return self._once(hashlib.sha256(data).hexdigest(), invert)

    def _invert(self, picture: Picture) -> Source:
        return self._session.invert(picture, self._projection)

    def _once(self, digest: str, invert: Callable[[], Source]) -> Inverted:
        """What is kept of a file of that hash, inverted now if nothing is."""
        file = self._folder / f"{self._key(digest)}.json"
        found = self._read(file)
        if found is not None:
            return found
        source = invert()
        write_json(inversion_content(source), file)
        return Inverted(source.latents, float(source.psnr or 0.0), False, source.warnings)

    def invert_all(
        self,
        pictures: Mapping[str, Path],
        callback: Callable[[InversionProgress], None] | None = None,
    ) -> tuple[dict[str, Inverted], list[str]]:
        """The inversions of pictures by name, and a line for each that cannot be used.

        `KeyboardInterrupt` passes through; finished inversions are kept.
        """
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
                callback(InversionProgress(done, len(pictures), terms, estimate))
        return found, failures

    def _key(self, digest: str) -> str:
        pack = self._session.pack
        models = {**pack.mapped_models, ENCODER_FILE: pack.manifest.files.get(ENCODER_FILE)}
        decisive = [digest, models, asdict(self._projection)]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    def _read(self, file: Path) -> Inverted | None:
        """What is in a file; None if there is none, or it is damaged and to be made again."""
        generator = self._session.generator
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            latents = latents_of(content["latents"])
            psnr = float(content["inversion"]["psnr"])
            warnings = tuple(map(str, content["warnings"]))
        except (OSError, ValueError, KeyError, TypeError, InputError):
            return None
        fits = tuple(latents.shape) == (generator.num_ws, generator.w_dim)
        return Inverted(latents, psnr, True, warnings) if fits else None


def inversion_content(source: Source) -> Mapping[str, Any]:
    """The JSON form of an inverted source."""
    return {
        "format": FORMAT,
        "kind": INVERSION_KIND,
        "source": dict(source.origin),
        "inversion": source.inversion,
        "latents": latents_origin(source.latents),
        "warnings": list(source.warnings),
    }
