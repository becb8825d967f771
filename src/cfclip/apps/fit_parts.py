"""`cfclip fit-parts`."""

from dataclasses import dataclass, field
from typing import Annotated

import tyro

from cfclip.apps.console import uninterrupted
from cfclip.apps.options import OK, Output
from cfclip.errors import InputError
from cfclip.regions import PartsFitConfig


@dataclass(frozen=True)
class FitParts(Output):
    """Find the parts of a pack's pictures, such as hair, to which edits can be confined.

    They are written into the pack, whose fingerprint changes with them. No labels are needed: the
    generator's own features tell parts apart, CLIP names them by the pack's aspects.
    """

    pack: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="PACK")]
    """Name or folder of a pack."""

    device: str = "cpu"
    """Where to compute: cpu, cuda, cuda:1, mps."""

    overwrite: bool = False
    """Replace the parts that the pack has."""

    settings: Annotated[PartsFitConfig, tyro.conf.arg(name="")] = field(
        default_factory=PartsFitConfig
    )

    def run(self) -> int:
        """Find them, write them, tell them."""
        from cfclip.editing import Session
        from cfclip.fitting import fit_parts, keep_parts
        from cfclip.packs import PARTS_FILE

        session = Session.open(self.pack, self.device)
        pack = session.pack
        if PARTS_FILE in pack.manifest.files and not self.overwrite:
            raise InputError(
                f"{pack.folder / PARTS_FILE} exists; give --overwrite to find the parts anew"
            )
        with self.console.progress("finding parts") as update:
            fitted = fit_parts(session, self.settings, update)
        with uninterrupted():
            keep_parts(pack, fitted)
        config = fitted.parts.config
        about = {
            name: [aspect for aspect, own in config.aspects.items() if name in own]
            for name in config.names
        }
        content = {"parts": str(pack.folder / PARTS_FILE), "about": about, **fitted.report}
        self.console.result(
            content, *(f"{name:<16}{', '.join(own) or '-'}" for name, own in about.items())
        )
        self.console.note(
            f"{len(about)} parts, of which {fitted.report['agreement']:.1f} were found again in "
            "the other half of the samples"
        )
        return OK
