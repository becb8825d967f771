"""`cfclip fit-global-directions`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from cfclip.apps.console import uninterrupted, watched_run
from cfclip.apps.options import INTERRUPTED, OK, OnPack, TensorFile
from cfclip.editors import ChannelFitConfig

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class FitGlobalDirections(OnPack, TensorFile):
    """Measure what each StyleSpace channel of a pack does, for StyleCLIP's global directions.

    Every channel of sampled pictures is moved to either side and looked at by CLIP. Ctrl-C keeps
    what is reached; the same command goes on.
    """

    out: Path
    """Where to write the statistics, a .safetensors file. FILE_partial beside it keeps the work
    until it is done."""

    settings: Annotated[ChannelFitConfig, tyro.conf.arg(name="")] = field(
        default_factory=ChannelFitConfig
    )

    def run(self) -> int:
        """Measure, write, remove what was kept on the way."""
        console = self.console
        self.check(self.out)
        partial = self.out.with_name(f"{self.out.stem}_partial")

        from cfclip.editors import save_channel_statistics
        from cfclip.fitting import fit_channels, remove_checkpoints
        from cfclip.training import writing

        session = self.open_session()
        with watched_run(console, "measuring channels") as watch:
            fitted = fit_channels(session, partial, self.settings, watch)
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
