"""The pack's linear text map, fitted to captions of rendered avatars and the codes of their images.

On natural avatars, as generator and encoder were trained: what the map says of green hair it has to
take from how CLIP relates texts, like an edit.
"""

import logging
import random
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cfclip.editors import (
    NO_SOURCE,
    Solver,
    TextMapFitConfig,
    TextMapPairs,
    fit_text_map,
    save_text_map,
)
from cfclip.encoders import Encoder
from cfclip.packs import TEXT_MAP_FILE, Pack, assemble_pack
from cfclip.tensors import signed_from_uint8
from cfclip_benchmark.avatars import (
    ATTRIBUTES,
    LONG_REAR_HAIR,
    AttributeTable,
    AvatarRecord,
    render,
    say,
    visibility,
)
from recipes.avatars.avatar_captions import Language
from recipes.avatars.dataset import Dataset, load_dataset

_log = logging.getLogger(__name__)

_BATCH = 64


@dataclass(frozen=True)
class FitTextMap:
    """Fit the pack's linear text map, after `assemble`, and put it into the pack, whose edits then
    start from it."""

    pack: Path
    """Folder of the pack, with an encoder."""
    data: Path
    """Natural avatars, those of training."""
    out: Path | None = None
    """Where to write the map instead; the pack then stays as it is."""
    pictures: int = 20_000
    """Avatars to describe, the first of the dataset."""
    captions: int = 3
    """Captions of each."""
    edits: int = 5_000
    """Avatars with one attribute changed, for concatenation."""
    solver: Solver = "ridge"
    """ridge or adam."""
    penalty: float = 0.1
    """Weight of the squared weights, on whitened inputs."""
    seed: int = 0
    """Of captions, edits and what is held out."""
    threads: int = 2
    """Processor threads."""

    def run(self) -> None:
        """Fit."""
        torch.set_num_threads(self.threads)
        pack = Pack.open(self.pack)
        pairs = make_pairs(pack, load_dataset(self.data), self)
        config = TextMapFitConfig(self.solver, self.penalty, seed=self.seed)
        text_map, report = fit_text_map(pairs, config, pack.mapped_models)
        for name, value in asdict(report).items():
            _log.info("%s: %s", name, value)
        save_text_map(text_map, self.out or self.pack / TEXT_MAP_FILE, asdict(report))
        if self.out is None:
            defaults = pack.manifest.defaults
            defaults = replace(defaults, edit={**defaults.edit, "start": "text-map"})
            assemble_pack(self.pack, replace(pack.manifest, defaults=defaults))
        Pack.open(self.pack).text_map(file=self.out)


def make_pairs(pack: Pack, data: Dataset, config: FitTextMap) -> TextMapPairs:
    """Captions of avatars, and of what one of their attributes was changed to, with their codes."""
    rng = np.random.default_rng(config.seed)
    encoder, embedder = pack.encoder(), pack.embedder()
    rows = np.arange(min(config.pictures, len(data)))
    language = Language(
        data.table.take(rows), {name: seen[rows] for name, seen in data.visibility.items()}
    )
    texts: list[str] = []
    for _ in range(config.captions):
        texts += [caption.text for caption in language.sample(rows, rng)[0]]
    pictures = np.tile(rows, config.captions)
    latents = _encode(encoder, data.images[: len(rows)])
    _log.info("encoded %d avatars", len(rows))

    sources, edited, said = make_edits(data.table, len(rows), config.edits, rng)
    side = data.images.shape[1]
    images = [render(record, side) for record in edited]
    changed = _encode(encoder, np.stack(images)) if images else latents[:0]
    _log.info("encoded %d edited avatars", len(edited))
    return TextMapPairs(
        latents=torch.cat([latents, changed]),
        texts=embedder.embed_texts([*texts, *said]),
        pictures=torch.from_numpy(np.r_[pictures, len(rows) + np.arange(len(edited))]),
        sources=torch.from_numpy(np.r_[np.full(len(texts), NO_SOURCE), sources]),
    )


def make_edits(
    table: AttributeTable, count: int, wanted: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], list[AvatarRecord], list[str]]:
    """Avatars that differ from one of the first `count` in one attribute, taken from another.

    Kept are changes that a caption can name, and that give no avatar outside the distribution.

    Returns:
        the rows that they were made from, the changed avatars, and a text that names the change;
        at most `wanted` of each.
    """
    sources, others = rng.integers(count, size=(2, wanted))
    names = [ATTRIBUTES[i] for i in rng.integers(len(ATTRIBUTES), size=wanted)]
    records = [
        replace(table.record(int(row)), **{name: getattr(table.record(int(other)), name)})
        for row, other, name in zip(sources, others, names, strict=True)
    ]
    edited = AttributeTable.from_records(records)
    language = Language(edited, visibility(edited))
    kept: list[int] = []
    texts: list[str] = []
    for i, (record, name) in enumerate(zip(records, names, strict=True)):
        true = [
            claim
            for claim, truth in zip(language.claims, language.truth[i], strict=False)
            if claim.attribute == name and truth == 1
        ]
        seed = int(rng.integers(2**32))
        if true and _is_allowed(record) and record != table.record(int(sources[i])):
            kept.append(i)
            draw = random.Random(seed)
            texts.append(say([draw.choice(true)], draw))
    return sources[kept], [records[i] for i in kept], texts


def _is_allowed(record: AvatarRecord) -> bool:
    """Whether the shapes are of the natural distribution."""
    long = record.rear_hair in LONG_REAR_HAIR
    return record.beard == "none" or not (long or record.clothes == "dress")


def _encode(encoder: Encoder, images: NDArray[np.uint8]) -> Tensor:
    """Images `(N, side, side, 3)` to their mean codes `(N, w_dim)`."""
    batches = [
        encoder.encode(signed_from_uint8(torch.from_numpy(np.array(images[i : i + _BATCH]))))
        for i in range(0, len(images), _BATCH)
    ]
    return torch.cat(batches).mean(1)
