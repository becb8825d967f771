"""The networks that judge edits of avatars, which no editor sees."""

from pathlib import Path

from cfclip.embedders import Embedder, load_clip
from cfclip_benchmark import ARCHITECTURES, Architecture, Probe, load_probe

PROBES_FOLDER = Path(__file__).with_name("probes")
"""The probes that come with the package."""
CLIP_FOLDER = Path(__file__).with_name("clip")
"""The CLIP that no edit follows: it has another seed, image tower and templates than the pack's."""


def load_probes(folder: Path = PROBES_FOLDER) -> dict[Architecture, Probe]:
    """The two probes of a folder, in evaluation mode, in the order of `ARCHITECTURES`.

    Raises:
        CheckpointError: one is missing, damaged, or of another architecture.
    """
    return {name: load_probe(folder / f"{name}.safetensors") for name in ARCHITECTURES}


def load_clip_judge(folder: Path = CLIP_FOLDER) -> Embedder:
    """The CLIP that judges, in evaluation mode.

    Raises:
        CheckpointError: a file is missing, damaged, or does not fit the others.
    """
    return load_clip(folder).eval().requires_grad_(False)
