"""`cfclip fit-global-directions`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from cfclip.apps.console import Console, uninterrupted, watched_run
from cfclip.apps.options import DEFAULT_PACK, INTERRUPTED, OK, SAFETENSORS, Output
from cfclip.editors.global_config import ChannelFitConfig
from cfclip.errors import InputError

if TYPE_CHECKING:
    from cfclip.fitting.channels import FittedChannels


@dataclass(frozen=True)
class FitGlobalDirections(Output):
    """Measure what each StyleSpace channel of a pack does, for StyleCLIP's global directions.

    Every channel of sampled pictures is moved to either side and looked at by CLIP. Ctrl-C keeps
    what is reached; the same command goes on.
    """

    out: Path
    """Where to write the statistics, a .safetensors file. FILE_partial beside it keeps the work
    until it is done."""

    overwrite: bool = False
    """Replace the file if it exists."""

    pack: str = DEFAULT_PACK
    """Model pack to measure, by name or folder."""

    device: str = "cpu"
    """Where to compute: cpu, cuda, cuda:1, mps."""

    settings: Annotated[ChannelFitConfig, tyro.conf.arg(name="")] = field(
        default_factory=ChannelFitConfig
    )

    def run(self) -> int:
        """Measure, write, remove what was kept on the way."""
        from cfclip.images.image_files import check_outputs

        console = self.console
        if self.out.suffix != SAFETENSORS:
            raise InputError(f"out is {self.out}, expected the name of a {SAFETENSORS} file")
        check_outputs([self.out], self.overwrite)
        partial = self.out.with_name(f"{self.out.stem}_partial")

        from cfclip.editors.channel_statistics import save_channel_statistics
        from cfclip.fitting.channels import remove_checkpoints
        from cfclip.training.saved_state import writing

        fitted = self._fit(console, partial)
        if fitted.statistics is None:
            console.error(
                f"stopped at step {fitted.step} of {fitted.steps}, which is kept in {partial}; the "
                "same command goes on from there"
            )
            return INTERRUPTED
        with uninterrupted():
            with writing(self.out) as temporary:
                save_channel_statistics(fitted.statistics, temporary, fitted.report)
            remove_checkpoints(partial)
        content = {"statistics": str(self.out), **fitted.report}
        console.result(content, str(self.out))
        channels = fitted.statistics.config.channels
        console.note(f"{channels} channels, measured on {self.settings.images} pictures")
        return OK

    def _fit(self, console: Console, partial: Path) -> "FittedChannels":
        from cfclip.editing.session import Session
        from cfclip.fitting.channels import fit_channels

        session = Session.open(self.pack, self.device)
        with watched_run(console, "measuring channels") as watch:
            return fit_channels(session, partial, self.settings, watch)
