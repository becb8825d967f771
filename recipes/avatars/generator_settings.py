"""The options that the stages of the generator's training share."""

from dataclasses import dataclass
from pathlib import Path

from cfclip.errors import InputError
from cfclip.generators import StyleGAN2Config
from recipes.avatars.latent_prior import COORDINATES
from recipes.avatars.warm_start import Stage


@dataclass(frozen=True)
class GeneratorSettings:
    """How one stage is trained."""

    data: Path
    """Folder of the natural avatars that the `render` command made."""
    out: Path
    """Folder of the whole training; each stage has its own subfolder."""
    stage: Stage = "regress64"
    """Stage to train; it starts from the finished stage before it."""
    start: tuple[Path, Path] | None = None
    """generator.safetensors and attribute_latents.safetensors of an earlier training to start from
    instead, such as those of the shipped pack and of the recipe's folder."""
    steps: int = 5000
    """Optimizer steps of this stage."""
    batch: int = 8
    """Images per step."""
    lr: float = 6e-2
    """Peak learning rate of Adam."""
    resolution: int = 128
    """Side of the generated images."""
    channels: tuple[int, ...] = (128, 128, 96, 64, 32, 16)
    """Feature channels at 4, 8, ... pixels."""
    z_dim: int = 128
    """Width of z."""
    w_dim: int = 256
    """Width of W."""
    mapping_layers: int = 6
    """Layers of the mapping network."""
    seed: int = 2
    """Seed of initialisation and sampling."""
    threads: int = 2
    """Processor threads."""

    def __post_init__(self) -> None:
        if self.z_dim < COORDINATES:
            raise InputError(f"z_dim is {self.z_dim}, the attributes need at least {COORDINATES}")

    @property
    def sizes(self) -> StyleGAN2Config:
        """Sizes of the generator."""
        return StyleGAN2Config(
            resolution=self.resolution,
            z_dim=self.z_dim,
            w_dim=self.w_dim,
            mapping_layers=self.mapping_layers,
            # Steps of the mapping are steep: in the usual units, a hundred times larger, their
            # weights would be beyond float16. It is put together and never trained.
            mapping_lr_multiplier=1.0,
            channels=self.channels,
        )
