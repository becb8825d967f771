"""Train the pack's CLIP on open avatars and their captions.

Since the renderer knows which caption is true of which image, the loss is a sigmoid over the whole
truth matrix of a batch (as in SigLIP, Zhai et al. 2023, with true labels instead of the diagonal):
a caption that happens to be true of another image of the batch is never punished. Each image also
meets captions that are false of it by one named change. Linear heads shared by image and text
embeddings read every attribute (of a text, those it names) and are dropped after the training: they
teach the image tower densely, and both towers the same axes.
"""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from cfclip.embedders.bpe import load_tokenizer, trim_bpe
from cfclip.embedders.clip_files import MERGES_FILE, build_clip_model, save_clip
from cfclip.embedders.towers import NAME as TOWER
from cfclip.tensors import signed_from_uint8, unit, unit_range_from_signed
from recipes.avatars import augment, captions
from recipes.avatars.dataset import load_dataset
from recipes.avatars.labels import readable_targets
from recipes.avatars.renderer import RESOLUTION
from recipes.avatars.runs import Average, Run, cosine_lr, run_identity, set_lr, step_rng

_log = logging.getLogger(__name__)

IMAGE_MEAN = (0.5, 0.5, 0.5)
IMAGE_STD = (0.5, 0.5, 0.5)
_INITIAL_SCALE = 20.0
_INITIAL_BIAS = -7.0
_MOST_SCALE = 100.0
_GRADIENT_NORM = 1.0
_EPS = 1e-6
_DISTORTION = (0.1, 0.5)


@dataclass(frozen=True)
class TrainClip:
    """Train the joint image-text embedder of the pack."""

    data: Path
    """Folder of the open avatars that the `render` command made."""
    out: Path
    """Folder of the run; the model is written to its `clip/` subfolder."""
    steps: int = 4000
    """Optimizer steps."""
    batch: int = 96
    """Images per step."""
    lr: float = 1.5e-3
    """Peak learning rate of AdamW, after a warm-up, with cosine decay."""
    weight_decay: float = 0.05
    """Decoupled weight decay of matrices and filters."""
    text_width: int = 128
    """Width of the text transformer."""
    text_layers: int = 3
    """Layers of the text transformer."""
    context: int = 40
    """Longest text, in tokens."""
    embed_dim: int = 256
    """Width of the joint embedding."""
    head_weight: float = 1.0
    """Weight of the attribute heads on the image embedding."""
    text_head_weight: float = 0.5
    """Weight of the same heads on the text embedding, for the attributes that a text names."""
    hard_weight: float = 1.0
    """Weight of telling an image's caption from the same caption with one change."""
    seed: int = 0
    """Seed of initialisation, sampling and augmentation."""
    threads: int = 2
    """Processor threads."""
    model_cfg: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        config = {
            "embed_dim": self.embed_dim,
            "vision_cfg": {
                "image_size": RESOLUTION,
                "timm_model_name": TOWER,
                "timm_pool": "",
                "timm_proj": "",
            },
            "text_cfg": {
                "context_length": self.context,
                "vocab_size": 0,
                "width": self.text_width,
                "heads": self.text_width // 32,
                "layers": self.text_layers,
            },
        }
        object.__setattr__(self, "model_cfg", config)

    def run(self) -> None:
        """Train; the images set the side that the image tower reads."""
        train_clip(self)


class _Heads(nn.Module):
    """Linear readout of each attribute from the unit embedding."""

    def __init__(self, classes: dict[str, int], dim: int) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({name: nn.Linear(dim, n) for name, n in classes.items()})
        self.scale = nn.Parameter(torch.tensor(_INITIAL_SCALE).log())

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy over the attributes of `labels` (rows, attributes); -1 is left out."""
        scaled = embeddings * self.scale.exp()
        losses = []
        for column, head in enumerate(self.heads.values()):
            known = labels[:, column] >= 0
            if known.any():
                losses.append(functional.cross_entropy(head(scaled[known]), labels[known, column]))
        return torch.stack(losses).mean() if losses else embeddings.sum() * 0.0


def truth_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Sigmoid cross-entropy over a truth matrix, true and false entries weighing the same.

    Args:
        logits: (images, captions).
        truth: same shape, int8: 1 true, 0 false, -1 unknown and left out.
    """
    positive, negative = truth == 1, truth == 0
    loss = functional.binary_cross_entropy_with_logits(
        logits, positive.to(logits.dtype), reduction="none"
    )
    # Per image, so that sums over more captions do not change the balance.
    true_part = (loss * positive).sum() / positive.sum().clamp_min(1)
    false_part = (loss * negative).sum() / negative.sum().clamp_min(1)
    return true_part + _FALSE_WEIGHT * false_part


_FALSE_WEIGHT = 4.0
"""False entries are several times more frequent than true ones; equal weight would leave near
misses unpunished."""


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay matrices and filters only, as is usual for CLIP."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def train_clip(config: TrainClip) -> None:
    """Run the stage; see `TrainClip`."""
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    data = load_dataset(config.data)
    language = captions.Language(data.table, data.visibility)
    folder = config.out / "clip"
    folder.mkdir(parents=True, exist_ok=True)
    model_cfg = config.model_cfg
    model_cfg["vision_cfg"]["image_size"] = data.images.shape[1]
    model_cfg["text_cfg"]["vocab_size"] = trim_bpe(captions.vocabulary(), folder / MERGES_FILE)
    tokenize = load_tokenizer(folder / MERGES_FILE, config.context)
    model: Any = build_clip_model(model_cfg)  # open_clip has no types
    with torch.no_grad():
        model.logit_scale.fill_(float(np.log(_INITIAL_SCALE)))
    model.visual.to(memory_format=torch.channels_last)
    targets = readable_targets(data.table, data.visibility)
    heads = _Heads({name: count for name, (_, count) in targets.items()}, config.embed_dim)
    bias = nn.ParameterDict({"logit_bias": nn.Parameter(torch.tensor(_INITIAL_BIAS))})
    trained = nn.ModuleDict({"clip": model, "heads": heads, "bias": bias})
    optimizer = torch.optim.AdamW(
        parameter_groups(trained, config.weight_decay), lr=config.lr, betas=(0.9, 0.98)
    )
    average = Average(model, 0.998)
    run = Run(
        config.out,
        {"model": trained, "optimizer": optimizer, "average": average},
        config.steps,
        run_identity(config),
    )
    trained.train()
    for step in run:
        rng = step_rng(config.seed, step)
        rows = rng.integers(len(data.images), size=config.batch)
        images = signed_from_uint8(torch.from_numpy(data.images[rows]))
        distortion = float(rng.uniform(*_DISTORTION))
        images = augment.perspective(images, distortion, 0.7, config.seed, step)
        images = augment.degrade(images, 0.2, rng)
        batch = language.batch(rows, rng)
        set_lr(optimizer, cosine_lr(step, config.steps, config.lr, warmup=100))
        # On short texts the fused attention of a CPU takes twice the time of plain products.
        with torch.autocast("cpu", dtype=torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            normalised = (unit_range_from_signed(images) - IMAGE_MEAN[0]) / IMAGE_STD[0]
            image_features = model.encode_image(
                normalised.contiguous(memory_format=torch.channels_last)
            )
            text_features = model.encode_text(tokenize(batch.texts))
        image_embeddings = unit(image_features.float(), _EPS)
        text_embeddings = unit(text_features.float(), _EPS)
        scale = model.logit_scale.exp()
        cosines = image_embeddings @ text_embeddings.T
        truth = truth_loss(scale * cosines + bias["logit_bias"], torch.from_numpy(batch.truth))
        # Each pair is (image, true caption, false caption): the change alone must tell them apart.
        image, good, bad = (torch.from_numpy(column) for column in batch.pairs)
        hard = functional.softplus(scale * (cosines[image, bad] - cosines[image, good])).mean()
        shown = np.stack([codes[rows] for codes, _ in targets.values()], 1)
        image_heads = heads(image_embeddings, torch.from_numpy(shown))
        text_heads = heads(text_embeddings, torch.from_numpy(batch.labels))
        loss = (
            truth
            + config.hard_weight * hard
            + config.head_weight * image_heads
            + config.text_head_weight * text_heads
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(trained.parameters(), _GRADIENT_NORM)
        run.report(
            loss=loss.item(), truth=truth.item(), hard=hard.item(), image=image_heads.item(),
            text=text_heads.item(), gradient=norm.item(), scale=scale.item(),
        )  # fmt: skip
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0.0, float(np.log(_MOST_SCALE)))
        average.update(model, step)
    if not run.finished:
        return
    model.load_state_dict(average.values)
    preprocess = {"mean": list(IMAGE_MEAN), "std": list(IMAGE_STD), "interpolation": "bicubic"}
    save_clip(model.eval(), model_cfg, preprocess, folder)
    _log.info("wrote %s", folder)
