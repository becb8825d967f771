"""Real models made tiny, for tests of what uses them."""

from collections.abc import Mapping

import torch
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor

from cfclip.editors.linear_text_map import LinearTextMap, LinearTextMapConfig
from cfclip.embedders import build_clip_model
from cfclip.embedders.clip import ClipEmbedder
from cfclip.generators import StyleGAN2, StyleGAN2Config

TEMPLATES = ("a photo of a {}.", "a drawing of a {}.", "the {}.")
_CONTEXT = 16


def tiny_generator(seed: int = 0) -> StyleGAN2:
    """A random StyleGAN2 at 16 px: 6 style inputs 16 wide."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = StyleGAN2(
            StyleGAN2Config(
                resolution=16, z_dim=16, w_dim=16, mapping_layers=2, channels=(16, 16, 8)
            )
        )
    return generator.eval().requires_grad_(False)


def tiny_embedder(seed: int = 0) -> ClipEmbedder:
    """A random residual CLIP that reads 32 px."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_clip_model(
            {
                "embed_dim": 16,
                "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8},
                "text_cfg": {
                    "context_length": _CONTEXT,
                    "vocab_size": 49408,
                    "width": 16,
                    "heads": 2,
                    "layers": 1,
                },
            }
        )
        # A fresh CLIP ends each block at zero, which leaves the blocks out; a trained one does not.
        for name, parameter in model.visual.named_parameters():
            if name.endswith("bn3.weight"):
                torch.nn.init.ones_(parameter)
    return ClipEmbedder(
        model, SimpleTokenizer(context_length=_CONTEXT), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    )


def sample_latents(generator: StyleGAN2, count: int, seed: int = 1) -> Tensor:
    """`(count, num_ws, w_dim)` of random avatars."""
    z = torch.randn(count, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return generator.mapping(z)


def tiny_text_map(
    text_dim: int = 16, w_dim: int = 16, models: Mapping[str, str] | None = None, seed: int = 0
) -> LinearTextMap:
    """A random linear text map with a projection; latents are about of unit variance."""
    text_map = LinearTextMap(LinearTextMapConfig(text_dim, w_dim, fuses=True, models=models or {}))
    draws = torch.Generator().manual_seed(seed)
    for _, tensor in sorted(text_map.named_buffers()):
        spread = tensor.shape[-1] ** -0.5 if tensor.ndim > 1 else 0.1
        tensor.copy_(spread * torch.randn(tensor.shape, generator=draws))
    return text_map
