"""`cfclip inspect`."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cfclip.apps.options import Images, Output
from cfclip.apps.tasks import summarise
from cfclip.errors import InputError, one_line

if TYPE_CHECKING:
    from cfclip.provenance import Credentials, Inspection, Provenance


@dataclass(frozen=True)
class Inspect(Output):
    """Show what pictures tell of how they were made: their provenance, and who signed them.

    Nothing there proves nothing: metadata is easily lost, and only a signature shows that a
    picture was not changed.
    """

    images: Images
    """Picture files of any program, folders, patterns such as 'in/*.png'."""

    def run(self) -> int:
        """Read each and tell; fails if one cannot be read or its signature does not fit it."""
        if not self.images:
            raise InputError("no pictures; give files")
        from cfclip.images import list_pictures

        failures: list[str] = []
        pictures: list[Path] = []
        for given in self.images:
            try:
                listing = list_pictures(given)
                pictures += listing.pictures
                failures += [] if listing.complaint is None else [f"{given}: {listing.complaint}"]
            except InputError as error:
                failures.append(self._failed(given, error))
        total = len(pictures) + len(failures)
        for place, image in enumerate(pictures):
            try:
                failures += self._inspect(image, place if total > 1 else None)
            except InputError as error:
                failures.append(self._failed(image, error))
        return summarise(self.console, failures, total)

    def _failed(self, image: str | Path, error: InputError) -> str:
        if self.console.as_json:
            self.console.result({"image": str(image), "error": str(error)})
        return str(error)

    def _inspect(self, image: Path, place: int | None) -> list[str]:
        """Tell of one picture, and at which place it stands if there are several; what is wrong
        with it."""
        from cfclip.provenance import inspect_picture

        inspection = inspect_picture(image)
        lines = [_line(name, value) for name, value in _of_picture(inspection)]
        if place is not None:
            lines = [*([""] if place else []), _line("picture", str(image)), *lines]
        self.console.result({"image": str(image), **asdict(inspection)}, *lines)
        if inspection.credentials is not None and not inspection.credentials.intact:
            return [f"{image} is not as it was signed"]
        return []


def _line(name: str, value: str) -> str:
    return f"{name:<13}{one_line(value)}"


def _of_picture(inspection: "Inspection") -> Iterator[tuple[str, str]]:
    yield from _of_provenance(inspection.provenance)
    yield from _of_signature(inspection)


def _of_provenance(provenance: "Provenance | None") -> Iterator[tuple[str, str]]:
    from cfclip.provenance import COMPOSED, GENERATED

    if provenance is None:
        yield "provenance", "none: the picture does not tell how it was made"
        return
    meanings = {
        GENERATED: " (made by a trained model)",
        COMPOSED: " (made from a picture by a trained model)",
    }
    uri = provenance.source_type
    yield "source type", f"{uri}{meanings.get(uri, '')}" if uri else "not stated"
    yield "made by", f"{provenance.tool} {provenance.version}".strip() or "not stated"
    for prompt in provenance.prompts:
        yield "prompt", prompt
    if provenance.pack:
        yield "pack", f"{provenance.pack} {provenance.pack_version}"
        yield "pack hash", provenance.pack_hash
    if provenance.seed is not None:
        yield "seed", str(provenance.seed)
    if provenance.sample_seed is not None:
        yield "sample", f"sample:{provenance.sample_seed}"


def _of_signature(inspection: "Inspection") -> Iterator[tuple[str, str]]:
    if not inspection.credentials_read:
        yield "signature", "not looked for: needs the c2pa extra (pip install 'cfclip[c2pa]')"
    elif inspection.credentials is None:
        yield "signature", "none"
    else:
        yield "signature", _signature(inspection.credentials)
        for problem in inspection.credentials.problems:
            yield "problem", problem


def _signature(credentials: "Credentials") -> str:
    state = "the file is as it was signed" if credentials.intact else "the file was changed since"
    trust = "a trusted certificate" if credentials.trusted else "a certificate known to no list"
    return f"by {credentials.name} ({credentials.issuer}) with {trust}; {state}"
