"""Train the pack's CLIP on open avatars and their captions.

Since the renderer knows which caption is true of which image, the loss is a sigmoid over the whole
truth matrix of a batch (as in SigLIP, Zhai et al. 2023, with true labels instead of the diagonal):
a caption that happens to be true of another image of the batch is never punished. Each image also
meets captions that are false of it by one named change. Linear heads on the image embedding read
every attribute during training and are dropped afterwards.
"""

import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from cfclip.embedders.bpe import load_tokenizer, trim_bpe
from cfclip.embedders.clip_files import MERGES_FILE, build_clip_model, save_clip
from cfclip.tensors import signed_from_uint8, unit, unit_range_from_signed
from recipes.avatars import augment, captions
from recipes.avatars.dataset import load_dataset
from recipes.avatars.labels import readable_targets
from recipes.avatars.runs import Average, Run, cosine_lr, set_lr, step_rng

_log = logging.getLogger(__name__)

IMAGE_MEAN = (0.5, 0.5, 0.5)
IMAGE_STD = (0.5, 0.5, 0.5)
_INITIAL_SCALE = 10.0
_INITIAL_BIAS = -5.0
_GRADIENT_NORM = 1.0


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
    width: int = 16
    """Width of the image tower (an open_clip ModifiedResNet)."""
    layers: tuple[int, ...] = (1, 1, 2, 2)
    """Blocks per stage of the image tower."""
    text_width: int = 128
    """Width of the text transformer."""
    text_layers: int = 3
    """Layers of the text transformer."""
    context: int = 40
    """Longest text, in tokens."""
    embed_dim: int = 256
    """Width of the joint embedding."""
    head_weight: float = 0.5
    """Weight of the attribute heads on the image embedding."""
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
                "image_size": 128,
                "layers": list(self.layers),
                "width": self.width,
                "head_width": 64,
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
        """Train."""
        train_clip(self)


class _Heads(nn.Module):
    """Linear readout of each attribute from the unit embedding."""

    def __init__(self, classes: dict[str, int], dim: int) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({name: nn.Linear(dim, n) for name, n in classes.items()})
        self.scale = nn.Parameter(torch.tensor(_INITIAL_SCALE).log())

    def forward(self, embeddings: Tensor) -> dict[str, Tensor]:
        scaled = embeddings * self.scale.exp()
        return {name: head(scaled) for name, head in self.heads.items()}


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
    model_cfg["text_cfg"]["vocab_size"] = trim_bpe(
        captions.vocabulary(), folder / MERGES_FILE
    )
    tokenize = load_tokenizer(folder / MERGES_FILE, config.context)
    model = build_clip_model(model_cfg)
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
    identity = {k: v for k, v in asdict(config).items() if k not in {"out", "data", "threads"}}
    run = Run(
        config.out,
        {"model": trained, "optimizer": optimizer, "average": average},
        config.steps,
        identity,
    )
    trained.train()
    for step in run:
        rng = step_rng(config.seed, step)
        rows = np.sort(rng.choice(len(data.images), config.batch, replace=False))
        order = rng.permutation(config.batch)
        rows = rows[order]
        images = signed_from_uint8(torch.from_numpy(np.ascontiguousarray(data.images[rows])))
        distortion = float(rng.uniform(0.1, 0.6))
        images = augment.perspective(images, distortion, 0.7, config.seed, step)
        images = augment.degrade(images, 0.25, rng)
        texts, truth, pairs = language.batch(rows, rng)
        tokens = tokenize(texts)
        set_lr(optimizer, cosine_lr(step, config.steps, config.lr, warmup=100))
        # On short texts the fused attention of a CPU takes twice the time of plain products.
        with torch.autocast("cpu", dtype=torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            normalised = (unit_range_from_signed(images) - IMAGE_MEAN[0]) / IMAGE_STD[0]
            image_features = model.encode_image(
                normalised.contiguous(memory_format=torch.channels_last)
            )
            text_features = model.encode_text(tokens)
        image_embeddings = unit(image_features.float(), 1e-6)
        text_embeddings = unit(text_features.float(), 1e-6)
        scale = model.logit_scale.exp()
        cosines = image_embeddings @ text_embeddings.T
        logits = scale * cosines + bias["logit_bias"]
        known = truth_loss(logits, torch.from_numpy(truth))
        # Each pair is (image row, true caption, false caption): the change alone must tell them.
        i, good, bad = (torch.from_numpy(column) for column in pairs)
        hard = functional.softplus(scale * (cosines[i, bad] - cosines[i, good])).mean()
        readings = heads(image_embeddings)
        attribute = torch.stack(
            [
                functional.cross_entropy(
                    readings[name], torch.from_numpy(codes[rows]).long(), ignore_index=-1
                )
                for name, (codes, _) in targets.items()
            ]
        ).mean()
        loss = known + config.hard_weight * hard + config.head_weight * attribute
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(trained.parameters(), _GRADIENT_NORM)
        run.report(
            loss=loss.item(), truth=known.item(), hard=hard.item(), heads=attribute.item(),
            gradient=norm.item(), scale=scale.item(),
        )  # fmt: skip
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0.0, float(np.log(100.0)))
        average.update(model, step)
    model.load_state_dict(average.values)
    preprocess = {"mean": list(IMAGE_MEAN), "std": list(IMAGE_STD), "interpolation": "bicubic"}
    save_clip(model.eval(), model_cfg, preprocess, folder)
    _log.info("wrote %s", folder)
