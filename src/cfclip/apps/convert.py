"""`cfclip convert`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from cfclip.apps.options import OK, TensorFile


@dataclass(frozen=True)
class Convert(TensorFile):
    """Write a generator of another program as safetensors, with its origin, hash and licence.

    IN is a .pt of rosinality, a checkpoint of pSp, e4e, StyleCLIP or CF-CLIP with a generator in
    it, a .pkl of NVIDIA's StyleGAN2 in PyTorch form or a state dict of it, a generator that PTI
    saved, or a file of cfclip. Nothing in it is run.
    """

    source: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="IN")]
    """The file to read; what it is follows from its content."""

    out: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT")]
    """Where to write the generator, a .safetensors file."""

    licence: str | None = None
    """Licence of the weights, as whoever published them says; needed unless IN is a file of cfclip
    that tells."""

    origin: str | None = None
    """Who made the weights, from what; the name of IN if not given."""

    def run(self) -> int:
        """Read, write, tell what it is."""
        self.check(self.out)

        from cfclip.generators import convert_generator

        converted = convert_generator(self.source, self.out, self.licence, self.origin)
        config, console = converted.generator.config, self.console
        content = {
            "generator": str(self.out),
            "resolution": config.resolution,
            "channels": config.channels,
            **converted.metadata,
        }
        console.result(content, str(self.out))
        for note in converted.notes:
            console.note(f"{self.source}: {note}")
        console.note(
            f"a generator of {config.resolution} px with codes of {config.num_ws} x "
            f"{config.w_dim}; {converted.metadata['origin']}"
        )
        return OK
