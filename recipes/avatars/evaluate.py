"""Measure the pack: probes, CLIP, inversion, edits, time. Writes figures and EVALUATION.md."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from cfclip.editors.base import EditRequest
from cfclip.editors.config import LatentOptimisationConfig
from cfclip.editors.latent_optimisation import LatentOptimisation
from cfclip.encoders.base import Inversion
from cfclip.encoders.config import ProjectionConfig
from cfclip.encoders.projection import project
from cfclip.evaluation.probes import Probe, load_probe
from cfclip.files import atomic_write
from cfclip.packs.pack import Pack
from cfclip.session import Session
from cfclip.tensors import pil_from_signed, psnr, signed_from_uint8
from recipes.avatars import captions
from recipes.avatars.attributes import ATTRIBUTES, COLOURS, classes
from recipes.avatars.dataset import Dataset, load_dataset
from recipes.avatars.labels import readable_targets
from recipes.avatars.measure_edits import (
    TEST_EDITS,
    VALIDATION_EDITS,
    EditScore,
    score_edits,
    summarise,
)
from recipes.avatars.render_grid import save_grid
from recipes.avatars.renderer import face_box_pixels
from recipes.avatars.report import write_report
from recipes.avatars.runs import evaluate_in_batches
from recipes.avatars.train_probes import ARCHITECTURES

_log = logging.getLogger(__name__)
Section = Literal["probes", "clip", "projection", "edits", "timing"]
SECTIONS: tuple[Section, ...] = ("probes", "clip", "projection", "edits", "timing")
_BATCH = 100
_GRID_AVATARS = 8


@dataclass(frozen=True)
class Evaluate:
    """Measure a pack and write the figures."""

    pack: str
    """Name or folder of the pack."""
    probes: Path
    """Folder of the two probes."""
    open: Path
    """Open avatars of the split, for probes and CLIP."""
    natural: Path
    """Natural avatars of the split, for inversion and edits."""
    out: Path
    """Folder for `figures.json`, `edits.jsonl` and grids; finished sections are kept."""
    report: Path | None = None
    """Where to write EVALUATION.md."""
    split: Literal["test", "validation"] = "test"
    """Which prompts are edited: settings are chosen on validation only."""
    sections: tuple[Section, ...] = SECTIONS
    """What to measure."""
    projections: int = 100
    """Avatars to invert."""
    avatars: int = 24
    """Avatars to edit with every prompt."""
    seed: int = 0
    """Seed of the edits."""
    threads: int = 2
    """Processor threads."""
    edit: LatentOptimisationConfig | None = None
    """Settings of the edits, the pack's own if not given."""
    projection: ProjectionConfig | None = None
    """Settings of the inversion, the pack's own if not given."""

    def run(self) -> None:
        """Measure."""
        evaluate(self)


@dataclass
class _Context:
    config: Evaluate
    session: Session
    pack: Pack
    probes: list[Probe]
    open: Dataset
    natural: Dataset
    inversions: dict[int, Inversion] = field(default_factory=dict)

    def inverted(self, count: int) -> Inversion:
        """The first `count` natural avatars, inverted as a session inverts."""
        if count not in self.inversions:
            images = pixels(self.natural, np.arange(count))
            self.inversions[count] = _project(self, images)
        return self.inversions[count]


def pixels(data: Dataset, rows: np.ndarray) -> Tensor:
    """Rows of a dataset as an image tensor."""
    return signed_from_uint8(torch.from_numpy(np.ascontiguousarray(data.images[rows])))


def _project(context: _Context, images: Tensor) -> Inversion:
    pack, config = context.pack, context.config.projection or context.session.projection
    return project(
        pack.generator(), pack.embedder(), images, pack.encoder().encode(images), config
    )


def evaluate(config: Evaluate) -> None:
    """Measure the sections that `config.out` has no figures of yet; see `Evaluate`."""
    torch.set_num_threads(config.threads)
    config.out.mkdir(parents=True, exist_ok=True)
    session = Session.open(config.pack)
    context = _Context(
        config,
        session,
        session.pack,
        [load_probe(config.probes / f"{name}.safetensors") for name in ARCHITECTURES],
        load_dataset(config.open),
        load_dataset(config.natural),
    )
    path = config.out / "figures.json"
    figures: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for section in config.sections:
        if section in figures:
            _log.info("%s: kept", section)
            continue
        began = time.monotonic()
        figures[section] = _SECTIONS[section](context)
        _log.info("%s: %.0f s", section, time.monotonic() - began)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(figures, indent=2) + "\n")
    if config.report is not None:
        write_report(figures, config.report)


def _measure_probes(context: _Context) -> dict[str, dict[str, float]]:
    targets = readable_targets(context.open.table, context.open.visibility)
    correct: dict[str, dict[str, list[np.ndarray]]] = {}
    for start in range(0, len(context.open), _BATCH):
        rows = np.arange(start, min(start + _BATCH, len(context.open)))
        images = pixels(context.open, rows)
        for name, probe in zip(ARCHITECTURES, context.probes, strict=True):
            for attribute, reading in probe.read(images).items():
                labels = targets[attribute][0][rows]
                known = labels >= 0
                hits = reading.numpy()[known] == labels[known]
                correct.setdefault(name, {}).setdefault(attribute, []).append(hits)
    return {
        name: {attribute: float(np.concatenate(hits).mean()) for attribute, hits in row.items()}
        for name, row in correct.items()
    }


def _measure_clip(context: _Context) -> dict[str, Any]:
    embedder = context.pack.embedder()
    data = context.open
    images = torch.cat(
        [
            evaluate_in_batches(embedder.embed_images, pixels(data, rows), _BATCH)
            for rows in np.array_split(np.arange(len(data)), max(1, len(data) // _BATCH))
        ]
    )
    targets = readable_targets(data.table, data.visibility)
    zero_shot = {}
    for attribute in ATTRIBUTES:
        prompts = captions.class_prompts(attribute)
        texts = torch.stack([embedder.embed_texts(list(p)).mean(0) for p in prompts])
        labels = targets[attribute][0]
        known = labels >= 0
        predicted = (images @ texts.T).argmax(1).numpy()
        zero_shot[attribute] = float((predicted[known] == labels[known]).mean())
    rng = np.random.default_rng(context.config.seed)
    rows, good, bad, kinds = captions.Language(data.table, data.visibility).binding(rng)
    first = (images[rows] * embedder.embed_texts(good)).sum(1)
    second = (images[rows] * embedder.embed_texts(bad)).sum(1)
    wins = (first > second).numpy()
    binding = {kind: float(wins[np.array(kinds) == kind].mean()) for kind in sorted(set(kinds))}
    return {"zero_shot": zero_shot, "binding": binding, "binding_all": float(wins.mean())}


def _measure_projection(context: _Context) -> dict[str, float]:
    count = min(context.config.projections, len(context.natural))
    truth = pixels(context.natural, np.arange(count))
    began = time.monotonic()
    inversion = context.inverted(count)
    seconds = time.monotonic() - began
    x0, y0, x1, y1 = face_box_pixels(truth.shape[-1])
    generator, encoder = context.pack.generator(), context.pack.encoder()
    encoded = evaluate_in_batches(lambda x: generator.synthesis(encoder.encode(x)), truth, _BATCH)

    def face(images: Tensor) -> Tensor:
        return images[..., y0:y1, x0:x1]

    same = [
        (a == b).float().mean().item()
        for probe in context.probes
        for a, b in zip(
            probe.read(truth).values(), probe.read(inversion.reconstruction).values(), strict=True
        )
    ]
    n = min(context.config.avatars, count)
    save_grid(
        [truth[:n], encoded[:n], inversion.reconstruction[:n]],
        context.config.out / "inversions.png",
    )
    return {
        "psnr": inversion.psnr.mean().item(),
        "psnr_worst": inversion.psnr.min().item(),
        "psnr_face": psnr(face(inversion.reconstruction), face(truth)).mean().item(),
        "encoder_psnr": psnr(encoded, truth).mean().item(),
        "encoder_psnr_face": psnr(face(encoded), face(truth)).mean().item(),
        "attributes_read_the_same": float(np.mean(same)),
        "seconds_per_image_in_batch": seconds / count,
    }


def _measure_edits(context: _Context) -> dict[str, Any]:
    config = context.config
    settings = config.edit or context.session.defaults
    manifest = context.pack.manifest
    inversion = context.inverted(config.avatars)
    source = inversion.reconstruction
    records = [context.natural.table.record(i) for i in range(config.avatars)]
    editor = LatentOptimisation(context.pack.generator(), context.pack.embedder(), settings)
    scores: list[EditScore] = []
    rows = [source[:_GRID_AVATARS]]
    seconds = 0.0
    for edit in TEST_EDITS if config.split == "test" else VALIDATION_EDITS:
        result = editor.edit(
            EditRequest(
                latents=inversion.latents,
                prompts=(edit.prompt,),
                source_text=manifest.source_text,
                templates=manifest.templates,
                unrealistic_text=manifest.unrealistic_text,
                seed=config.seed,
            )
        )
        seconds += result.seconds
        found = score_edits(edit, records, source, result.images, context.probes)
        _log.info("%s: %s", edit.prompt, summarise(found))
        scores += found
        rows.append(result.images[:_GRID_AVATARS])
    save_grid(rows, config.out / "edits.png")
    with atomic_write(config.out / "edits.jsonl") as temporary:
        temporary.write_text("".join(json.dumps(asdict(score)) + "\n" for score in scores))
    prompts = {score.prompt for score in scores}
    groups = {
        "hair": [s for s in scores if s.prompt.endswith("hair")],
        "skin": [s for s in scores if s.prompt.endswith("skin")],
        **{p: [s for s in scores if s.prompt == p] for p in sorted(prompts)},
        "all": scores,
    }
    return {
        "settings": asdict(settings),
        "seconds_per_edit_in_batch": seconds / len(scores),
        "groups": {name: summarise(found) for name, found in groups.items() if found},
    }


def _measure_timing(context: _Context) -> dict[str, float]:
    image = pil_from_signed(pixels(context.natural, np.array([0])))[0]
    session = context.session
    prompt = TEST_EDITS[0].prompt
    session.edit(image, prompt, seed=0, steps=2)
    began = time.monotonic()
    session.edit(image, prompt, seed=0)
    return {"one_edit_seconds": time.monotonic() - began}


_SECTIONS: dict[str, Callable[[_Context], Any]] = {
    "probes": _measure_probes,
    "clip": _measure_clip,
    "projection": _measure_projection,
    "edits": _measure_edits,
    "timing": _measure_timing,
}
