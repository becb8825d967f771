"""Align the texts of a trained CLIP with its images: the second stage of the pack's CLIP.

After `train-clip` the image tower reads every attribute, yet its embeddings are not where the texts
are: "green hair" lies half way to everything else that is green. Here the tower rests behind its
last linear layer, its features are computed once, and each step compares a thousand images with

- one text for every class of every attribute, by cross-entropy over the classes;
- the captions of a few images, by cross-entropy over the images, each caption for itself: what a
  caption must reach depends on how much it claims, so that one threshold for all (the sigmoid loss
  of `train-clip`) cannot fit;
- hard negatives of these captions, pair by pair.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from cfclip.embedders.bpe import load_tokenizer
from cfclip.embedders.clip_files import MERGES_FILE, read_clip, save_clip
from cfclip.errors import InputError
from cfclip.tensors import signed_from_uint8, unit, unit_range_from_signed
from recipes.avatars import augment, captions
from recipes.avatars.dataset import Dataset, load_dataset
from recipes.avatars.labels import readable_targets
from recipes.avatars.runs import Average, Run, Stateful, cosine_lr, run_identity, set_lr, step_rng
from recipes.avatars.train_clip import IMAGE_MEAN, IMAGE_STD

_log = logging.getLogger(__name__)
_SCALE, _MOST_SCALE = 30.0, 100.0
_SCALE_LR = 5.0
"""The scale is one number that everything waits for, so it moves this much faster."""
_CHUNK = 100
_EPS = 1e-6
_GRADIENT_NORM = 1.0
_DISTORTION = 0.5


@dataclass(frozen=True)
class AlignClip:
    """Align the texts of a trained CLIP with its images."""

    data: Path
    """Folder of the open avatars that the `render` command made."""
    clip: Path
    """Folder of the CLIP that `train-clip` wrote."""
    out: Path
    """Folder of the run; the model is written to its `clip/` subfolder."""
    steps: int = 1500
    """Optimizer steps."""
    images: int = 24_000
    """Images whose features are used, each as it is and once augmented."""
    batch: int = 1024
    """Images per step."""
    captions: int = 64
    """Images of each step that give a caption and a hard negative."""
    lr: float = 1e-3
    """Peak learning rate of AdamW."""
    caption_weight: float = 0.3
    """Weight of finding the images that a caption is true of."""
    hard_weight: float = 1.0
    """Weight of telling a caption from the same caption with one change."""
    seed: int = 4
    """Seed of sampling and augmentation."""
    threads: int = 2
    """Processor threads."""

    def run(self) -> None:
        """Train."""
        align_clip(self)


def _normalised(images: Tensor) -> Tensor:
    scaled = (unit_range_from_signed(images) - IMAGE_MEAN[0]) / IMAGE_STD[0]
    return scaled.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def tower_features(trunk: Any, data: Dataset, count: int, seed: int) -> Tensor:
    """What the last layer of the tower reads, float16 `(2, count, width)`: plain and augmented."""
    views: tuple[list[Tensor], list[Tensor]] = ([], [])
    for start in track(range(0, count, _CHUNK), description="features"):
        plain = signed_from_uint8(torch.from_numpy(np.array(data.images[start : start + _CHUNK])))
        rng = step_rng(seed, start)
        changed = augment.perspective(plain, _DISTORTION, 1.0, seed, start)
        changed = augment.degrade(changed, 0.2, rng)
        for view, images in zip(views, (plain, changed), strict=True):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                view.append(trunk.features(_normalised(images)).half())
    return torch.stack([torch.cat(view)[:count] for view in views])


def retrieval_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy of each true image of a caption against all images it is false of.

    Args:
        logits: (images, captions).
        truth: same shape, int8: 1 true, 0 false, -1 unknown and left out.

    >>> retrieval_loss(torch.zeros(3, 1), torch.tensor([[1], [0], [-1]], dtype=torch.int8))
    tensor(0.6931)
    """
    false = logits.masked_fill(truth != 0, -torch.inf).logsumexp(0)
    return functional.softplus((false - logits)[truth == 1]).mean()


def align_clip(config: AlignClip) -> None:
    """Run the stage; see `AlignClip`.

    Raises:
        InputError: fewer images in `data` than asked for.
    """
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    data = load_dataset(config.data)
    if len(data) < config.images:
        raise InputError(f"--images is {config.images}, but {config.data} holds {len(data)}")
    language = captions.Language(data.table, data.visibility)
    loaded, file = read_clip(config.clip)
    model: Any = loaded.float()
    trunk = model.visual.trunk
    trunk.eval().to(memory_format=torch.channels_last)
    tokenize = load_tokenizer(
        config.clip / MERGES_FILE, file["model_cfg"]["text_cfg"]["context_length"]
    )
    features = tower_features(trunk, data, config.images, config.seed)
    model.visual.requires_grad_(False)
    trunk.head.requires_grad_(True)
    model.logit_scale.requires_grad_(True)
    with torch.no_grad():
        model.logit_scale.fill_(float(np.log(_SCALE)))
    slow = [p for n, p in model.named_parameters() if p.requires_grad and n != "logit_scale"]
    groups: list[dict[str, Any]] = [
        {"params": slow},
        {"params": [model.logit_scale], "lr_scale": _SCALE_LR, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.98), weight_decay=0.01)
    average = Average(model, 0.995)
    targets = readable_targets(data.table, data.visibility)
    sizes = [count for _, count in targets.values()]
    labels = torch.from_numpy(np.stack([codes for codes, _ in targets.values()], 1))
    parts: dict[str, Stateful] = {"model": model, "optimizer": optimizer, "average": average}
    run = Run(config.out, parts, config.steps, run_identity(config))
    for step in run:
        rng = step_rng(config.seed, step)
        rows = rng.integers(config.images, size=config.batch)
        views = torch.from_numpy(rng.integers(len(features), size=config.batch))
        batch = language.batch(rows[: config.captions], rng)
        truth = torch.from_numpy(language.truth_matrix(rows, batch.claims))
        named = [text for texts in language.class_texts(rng) for text in texts]
        set_lr(optimizer, cosine_lr(step, config.steps, config.lr, warmup=50))
        with torch.autocast("cpu", dtype=torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            texts = unit(model.encode_text(tokenize(named + batch.texts)).float(), _EPS)
        images = unit(trunk.head(features[views, torch.from_numpy(rows)].float()), _EPS)
        logits = model.logit_scale.exp() * images @ texts.T
        by_class, by_caption = logits.split([len(named), len(batch.texts)], 1)
        shown = labels[torch.from_numpy(rows)]
        class_loss = torch.stack(
            [
                functional.cross_entropy(own, shown[:, column], ignore_index=-1)
                for column, own in enumerate(by_class.split(sizes, 1))
            ]
        ).mean()
        caption_loss = retrieval_loss(by_caption, truth)
        image, good, bad = (torch.from_numpy(column) for column in batch.pairs)
        hard = functional.softplus(by_caption[image, bad] - by_caption[image, good]).mean()
        loss = class_loss + config.caption_weight * caption_loss + config.hard_weight * hard
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), _GRADIENT_NORM)
        run.report(
            classes=class_loss.item(), captions=caption_loss.item(), hard=hard.item(),
            gradient=norm.item(), scale=model.logit_scale.exp().item(),
        )  # fmt: skip
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0.0, float(np.log(_MOST_SCALE)))
        average.update(model, step)
    if not run.finished:
        return
    model.load_state_dict(average.values)
    folder = config.out / "clip"
    save_clip(model.eval(), file["model_cfg"], file["preprocess_cfg"], folder)
    (folder / MERGES_FILE).write_bytes((config.clip / MERGES_FILE).read_bytes())
    _log.info("wrote %s", folder)
