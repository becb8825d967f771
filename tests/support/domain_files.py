"""Files of one tiny domain as they are handed around: a generator, a CLIP, an encoder."""

from pathlib import Path

import torch
from clip_origins import openai_tensors, write_archive
from tiny_models import tiny_generator

from cfclip.encoders import LatentEncoder, LatentEncoderConfig, save_encoder
from cfclip.features import IdentityNetwork
from cfclip.generators import StyleGAN2, save_generator


def centred_generator() -> StyleGAN2:
    """The tiny generator with the mean of its own latents, as a trained one has it."""
    generator = tiny_generator()
    z = torch.randn(4096, generator.z_dim, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        generator.w_avg.copy_(generator.mapping(z).mean((0, 1)))
    return generator


def write_domain(folder: Path) -> None:
    """`generator.safetensors`, `clip.pt` (OpenAI's), `encoder.safetensors` and `identity.pth`."""
    generator = centred_generator()
    save_generator(generator, folder / "generator.safetensors")
    write_archive(folder / "clip.pt", openai_tensors())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        write_encoder(folder / "encoder.safetensors", generator, generator.num_ws)
        torch.save(IdentityNetwork(16, 8).state_dict(), folder / "identity.pth")


def write_encoder(path: Path, generator: StyleGAN2, num_ws: int) -> None:
    """An untrained encoder of `num_ws` codes."""
    config = LatentEncoderConfig(
        image_size=generator.resolution,
        num_ws=num_ws,
        w_dim=generator.w_dim,
        channels=(8, 8),
        blocks=1,
        neck_channels=8,
        hidden=16,
    )
    save_encoder(LatentEncoder(config, generator.w_avg), path)
