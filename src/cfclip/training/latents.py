"""The latents that a mapper is trained and validated on: sampled, or read from a file.

Training and validation never share a latent: samples of the two come from different seeds, and of
given latents some are held out.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from cfclip.errors import InputError
from cfclip.foreign import read_latents_file
from cfclip.generators import Generator
from cfclip.io import LATENT_SUFFIXES, sha256_of, split_latents_spec
from cfclip.tensors import seeded
from cfclip.training.draws import Purpose
from cfclip.training.processes import Processes
from cfclip.training.training_config import TrainingConfig

SAMPLED = "sampled"

_HASH_CHARACTERS = 16
_SAMPLING_BATCH = 1000
_MOST_HELD_OUT = 5  # a fifth
_PROBES = 256
_FARTHEST_MEAN = 3.0
"""Distance of the mean of given codes from the mean of the generator's own, in typical distances of
one of these, beyond which they are of another generator. Codes of its own, however alike, have a
mean at a distance of about 1 at most."""


@dataclass(frozen=True)
class LatentSets:
    """Latents to train and to validate on.

    Attributes:
        training, validation: `(N, num_ws, w_dim)` float32 on the CPU, or `(N, 1, w_dim)` where all
            layers of a latent share their code.
        origin: where they came from, in a few words; the same words mean the same latents.
    """

    training: Tensor
    validation: Tensor
    origin: str


def sampled_latents(generator: Generator, config: TrainingConfig) -> LatentSets:
    """`config.samples` latents to train on and `config.validation` others, at `config.truncation`.

    Those of a seed are the same on every device, but for the last bits.
    """
    training = _sample(generator, config, Purpose.TRAINING_LATENTS, config.samples)
    validation = _sample(generator, config, Purpose.VALIDATION_LATENTS, config.validation)
    return LatentSets(training, validation, SAMPLED)


def latents_from_file(path: str | Path, generator: Generator, config: TrainingConfig) -> LatentSets:
    """The latents of a file, some of them held out.

    Raises `InputError` as `read_latents` does, or for a single latent.
    """
    latents = read_latents(path, generator)
    file, which = split_latents_spec(path) or (Path(path), None)
    taken = file.name if which is None else f"{file.name}:{which}"
    origin = f"{taken} ({sha256_of(file)[:_HASH_CHARACTERS]})"
    return split_latents(latents, origin, config)


def shared_latents(sets: LatentSets | None, processes: Processes) -> LatentSets:
    """Those of the first process, the only one that has to have them, for all.

    Raises `TrainingError` where another process has failed.
    """
    if processes.count == 1 and sets is not None:
        return sets
    data, origin = b"", b""
    if sets is not None:
        parts = {"training": sets.training, "validation": sets.validation}
        data = save({name: part.contiguous() for name, part in parts.items()})
        origin = sets.origin.encode()
    tensors = load(bytes(processes.hand_out(data)))
    return LatentSets(**tensors, origin=bytes(processes.hand_out(origin)).decode())


def split_latents(latents: Tensor, origin: str, config: TrainingConfig) -> LatentSets:
    """Hold out `config.validation` of `(N, num_ws or 1, w_dim)` latents, a fifth of them at most.

    Which ones, the seed decides. Raises `InputError` unless there are two or more.
    """
    if len(latents) < 2:
        raise InputError(
            f"{len(latents)} latents are too few: at least 2 are needed, to train and to validate "
            "on different ones; of a file, (N, 1, w_dim) is always N codes of W"
        )
    count = min(config.validation, max(1, len(latents) // _MOST_HELD_OUT))
    order = torch.randperm(len(latents), generator=seeded(config.seed, Purpose.SPLIT))
    return LatentSets(latents[order[count:]], latents[order[:count]], origin)


def read_latents(path: str | Path, generator: Generator) -> Tensor:
    """The latents of a file, `(N, num_ws, w_dim)` or `(N, 1, w_dim)` float32.

    What a file may hold is told in `cfclip.foreign.latent_files`; "FILE:FIRST-LAST" takes some.

    Raises `InputError` when it is missing, damaged, holds something else, or latents that cannot
    be of `generator`.
    """
    file, which = split_latents_spec(path) or (Path(path), None)
    if file.suffix.lower() not in LATENT_SUFFIXES:
        raise InputError(f"{path} is no latents file; give {', '.join(LATENT_SUFFIXES)}")
    content = read_latents_file(file, generator.num_ws, generator.w_dim)
    indices = content.indices(which)
    latents = content.codes[indices.start : indices.stop]
    _check_place(file, latents, generator)
    return latents


def _sample(generator: Generator, config: TrainingConfig, purpose: Purpose, count: int) -> Tensor:
    z = torch.randn(count, generator.z_dim, generator=seeded(config.seed, purpose))
    with torch.no_grad():
        parts = [
            _compact(generator.mapping(part.to(generator.w_avg.device), config.truncation).cpu())
            for part in z.split(_SAMPLING_BATCH)
        ]
    return torch.cat(parts)


def _compact(ws: Tensor) -> Tensor:
    """`(batch, 1, w_dim)` if all layers share their code: it saves most of the memory."""
    first = ws[:, :1]
    return first.clone() if torch.equal(first.expand_as(ws), ws) else ws


def _check_place(path: Path, latents: Tensor, generator: Generator) -> None:
    """Refuse latents of the right shape that lie where this generator has none."""
    z = torch.randn(_PROBES, generator.z_dim, generator=seeded(0, Purpose.VALIDATION_LATENTS))
    with torch.no_grad():
        own = generator.mapping(z.to(generator.w_avg.device)).cpu().mean(1)
    center = own.mean(0)
    typical = float((own - center).norm(dim=-1).mean())
    distance = float((latents.mean((0, 1)) - center).norm())
    if distance > _FARTHEST_MEAN * typical:
        raise InputError(
            f"{path} holds latents of another generator: their mean is {distance / typical:.1f} "
            f"times as far from the mean of this one as its own latents are, expected at most "
            f"{_FARTHEST_MEAN:g}"
        )
