"""The mean of two CLIPs of one run, which edits follow as well as the first and which reads lips as
well as the second.

Source: Wortsman et al., "Model soups" (2022): weights of one origin may be averaged.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from cfclip.embedders import MERGES_FILE, read_clip, save_clip
from cfclip.errors import InputError


@dataclass(frozen=True)
class AverageClips:
    """Average the weights of two CLIPs, of which one was trained on from the other."""

    first: Path
    """Folder of a CLIP."""
    second: Path
    """Folder of another one of the same sizes and words."""
    out: Path
    """Folder to write the mean to."""

    def run(self) -> None:
        """Average."""
        average_clips(self.first, self.second, self.out)


@torch.no_grad()
def average_clips(first: Path, second: Path, out: Path) -> None:
    """Write the CLIP whose every weight is the mean of those of two; see `AverageClips`.

    Raises:
        InputError: CLIPs of different sizes or words.
        CheckpointError: a folder that cannot be read.
    """
    model, file = read_clip(first)
    other, other_file = read_clip(second)
    merges = (first / MERGES_FILE).read_bytes()
    if file != other_file or merges != (second / MERGES_FILE).read_bytes():
        raise InputError(f"{first} and {second} are CLIPs of different sizes or words")
    weights = model.state_dict()
    for name, weight in other.state_dict().items():
        if weight.is_floating_point():
            weights[name].add_(weight).div_(2)
    save_clip(model.eval(), file["model_cfg"], file["preprocess_cfg"], out)
    (out / MERGES_FILE).write_bytes(merges)
