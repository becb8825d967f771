"""`cfclip inspect`."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from cfclip.apps.console import one_line
from cfclip.apps.options import FAILED, OK, Output

if TYPE_CHECKING:
    from cfclip.credentials import Credentials
    from cfclip.marking import Inspection
    from cfclip.provenance import Provenance


@dataclass(frozen=True)
class Inspect(Output):
    """Show what a picture tells of how it was made: its provenance, and who signed it.

    Nothing there proves nothing: metadata is easily lost, and only a signature shows that it was
    not changed.
    """

    image: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="IMAGE")]
    """Picture file, of any program."""

    def run(self) -> int:
        """Read it and tell; fails if a signature does not fit the file."""
        from cfclip.marking import inspect_picture

        found = inspect_picture(self.image)
        console = self.console
        console.result({"image": str(self.image), **asdict(found)}, "\n".join(_lines(found)))
        if found.credentials is not None and not found.credentials.intact:
            console.error(f"{self.image} is not as it was signed")
            return FAILED
        return OK


def _lines(found: "Inspection") -> Iterator[str]:
    # What is in the file may be anybody's: no character of it acts on the terminal.
    for name, value in (*_of_provenance(found.provenance), *_of_signature(found)):
        yield f"{name:<13}{one_line(value)}"


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


def _of_signature(found: "Inspection") -> Iterator[tuple[str, str]]:
    if not found.credentials_read:
        yield "signature", "not looked for: needs the c2pa extra (pip install 'cfclip[c2pa]')"
    elif found.credentials is None:
        yield "signature", "none"
    else:
        yield "signature", _signature(found.credentials)
        for problem in found.credentials.problems:
            yield "problem", problem


def _signature(credentials: "Credentials") -> str:
    state = "the file is as it was signed" if credentials.intact else "the file was changed since"
    trust = "a trusted certificate" if credentials.trusted else "a certificate known to no list"
    return f"by {credentials.name} ({credentials.issuer}) with {trust}; {state}"
