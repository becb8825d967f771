"""Measures of the pack's models one by one: the probes, the CLIP, the inversion."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cfclip.embedders import Embedder
from cfclip.tensors import psnr, unit
from cfclip_benchmark import Probe, evaluate_in_batches
from cfclip_benchmark.avatars import ATTRIBUTES, face_box_pixels
from recipes.avatars import avatar_captions
from recipes.avatars.dataset import Dataset
from recipes.avatars.evaluation import Bench, pixels
from recipes.avatars.grids import save_grid
from recipes.avatars.labels import readable_targets

_BATCH = 100
_GRID_AVATARS = 24


def measure_probes(bench: Bench) -> dict[str, dict[str, float]]:
    """By probe and attribute: share of readable attributes of the open avatars read right."""
    data = bench.open
    targets = readable_targets(data.table, data.visibility)
    figures: dict[str, dict[str, float]] = {}
    for name, probe in bench.probes.items():
        readings = _read(probe, data)
        figures[name] = {
            attribute: _share_right(readings[attribute], targets[attribute][0])
            for attribute in ATTRIBUTES
        }
    return figures


def measure_clip(bench: Bench, embedder: Embedder) -> dict[str, Any]:
    """Zero-shot accuracy by attribute and binding by kind of change, on the open avatars.

    All texts use templates that no training used. A class stands for the mean direction of its
    texts (Radford et al. 2021).
    """
    data = bench.open
    images = torch.cat(
        [evaluate_in_batches(embedder.embed_images, pixels(data, r), _BATCH) for r in _rows(data)]
    )
    targets = readable_targets(data.table, data.visibility)
    zero_shot: dict[str, float] = {}
    for attribute in ATTRIBUTES:
        prompts = avatar_captions.class_prompts(attribute, avatar_captions.TEST_TEMPLATES).values()
        texts = unit(torch.stack([embedder.embed_texts(p).mean(0) for p in prompts]))
        predicted = (images @ texts.T).argmax(1).numpy()
        zero_shot[attribute] = _share_right(predicted, targets[attribute][0])
    language = avatar_captions.Language(data.table, data.visibility)
    tests = language.binding(np.random.default_rng(bench.seed))
    wins: dict[str, list[bool]] = {}
    for row, true, false, kind in tests:
        right, wrong = (embedder.embed_texts([true, false]) @ images[row]).tolist()
        wins.setdefault(kind, []).append(right > wrong)
    return {
        "zero_shot": zero_shot,
        "binding": {kind: float(np.mean(won)) for kind, won in sorted(wins.items())},
    }


def measure_projection(bench: Bench, count: int) -> dict[str, float]:
    """How well the first `count` natural avatars come back, by the encoder and projected.

    Writes `inversions.png`: avatars, what the encoder makes of them, their projection.
    """
    truth = pixels(bench.natural, np.arange(count))
    inversion, seconds = bench.inverted(count)
    made = inversion.reconstruction
    generator, encoder = bench.pack.generator(), bench.pack.encoder()
    encoded = evaluate_in_batches(lambda x: generator.synthesis(encoder.encode(x)), truth, _BATCH)
    x0, y0, x1, y1 = face_box_pixels(truth.shape[-1])

    def face_psnr(images: Tensor) -> float:
        return psnr(images[..., y0:y1, x0:x1], truth[..., y0:y1, x0:x1]).mean().item()

    def read_the_same(images: Tensor) -> float:
        pairs = [(probe.read(truth), probe.read(images)) for probe in bench.probes.values()]
        same = []
        for attribute in ATTRIBUTES:
            both = torch.stack([a[attribute] == b[attribute] for a, b in pairs]).all(0)
            readable = torch.from_numpy(bench.natural.visibility[attribute][:count])
            same.append(both[readable])
        return torch.cat(same).float().mean().item()

    shown = slice(_GRID_AVATARS)
    save_grid([truth[shown], encoded[shown], made[shown]], bench.out / "inversions.png")
    return {
        "avatars": float(count),
        "psnr": inversion.psnr.mean().item(),
        "psnr_worst": inversion.psnr.min().item(),
        "psnr_face": face_psnr(made),
        "encoder_psnr": psnr(encoded, truth).mean().item(),
        "encoder_psnr_face": face_psnr(encoded),
        "attributes_read_the_same": read_the_same(made),
        "encoder_attributes_read_the_same": read_the_same(encoded),
        "seconds_per_image_in_batch": seconds,
    }


def _rows(data: Dataset) -> list[NDArray[np.intp]]:
    """The rows of a dataset, a batch at a time."""
    return [
        np.arange(start, min(start + _BATCH, len(data))) for start in range(0, len(data), _BATCH)
    ]


def _read(probe: Probe, data: Dataset) -> dict[str, NDArray[np.int64]]:
    """What a probe reads of each avatar, by attribute."""
    parts = [probe.read(pixels(data, rows)) for rows in _rows(data)]
    return {name: torch.cat([part[name] for part in parts]).numpy() for name in ATTRIBUTES}


def _share_right(found: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Share of the labels that were found; those of -1 cannot be read and do not count."""
    known = labels >= 0
    return float((found[known] == labels[known]).mean())
