"""Train the pack's CLIP on open avatars and their captions.

The renderer knows which caption is true of which image, so no loss here takes a true caption for a
false one. Each step compares its images with

- one text for every class of every attribute, by cross-entropy over the classes: what keeps the
  texts aligned with the images. A colour is shared out over the words by its distances, which gives
  an edit a slope to follow from every colour to every other;
- one linear head for every attribute, dropped after the training: the same comparison without a
  language to learn first, from which the image tower starts;
- captions, by cross-entropy over the images, each caption for itself: what a caption must reach
  depends on how much it claims, so that one threshold for all (a sigmoid over the truth matrix)
  does not fit;
- the same captions with one named change that makes them false, pair by pair: what binds a colour
  to its part.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from cfclip.embedders import (
    MERGES_FILE,
    TOWERS,
    build_clip_model,
    load_tokenizer,
    read_clip,
    save_clip,
    trim_bpe,
)
from cfclip.tensors import signed_from_uint8, unit, unit_range_from_signed
from cfclip.training import Average
from cfclip_benchmark.avatars import CaptionSplit
from recipes.avatars import augment, avatar_captions
from recipes.avatars.dataset import load_dataset
from recipes.avatars.labels import SMALL_PARTS, class_loss, soft_targets
from recipes.avatars.stage_runs import Run, cosine_lr, run_identity, set_lr, step_rng

_log = logging.getLogger(__name__)

Role = Literal["pack", "judge"]
TOWER_NAMES: dict[Role, str] = dict(zip(("pack", "judge"), TOWERS, strict=True))
_SPLITS: dict[Role, CaptionSplit] = {"pack": "train", "judge": "judge"}

IMAGE_MEAN = (0.5, 0.5, 0.5)
IMAGE_STD = (0.5, 0.5, 0.5)
_INITIAL_SCALE, _MOST_SCALE = 30.0, 100.0
_SCALE_LR = 5.0
"""The scale is one number that everything waits for, so it moves this much faster."""
_GRADIENT_NORM = 1.0
_EPS = 1e-6
_DISTORTION = (0.0, 0.5)
_WARPED_SHARE = 0.7
_DEGRADED_SHARE = 0.2


@dataclass(frozen=True)
class TrainClip:
    """Train the joint image-text embedder of the pack."""

    data: Path
    """Folder of the open avatars that the `render` command made."""
    out: Path
    """Folder of the run; the model is written to its `clip/` subfolder."""
    start: Path | None = None
    """Folder of a CLIP to go on from; its sizes hold. Trained from nothing otherwise."""
    role: Role = "pack"
    """The pack's, which edits follow, or the judge, which no edit sees: another image tower and
    other caption templates."""
    steps: int = 5000
    """Optimizer steps."""
    batch: int = 192
    """Images per step."""
    captions: int = 96
    """Images of each step that give a caption and a hard negative."""
    lr: float = 2e-3
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
    head_weight: float = 0.5
    """Weight of the attribute heads on the image embedding."""
    caption_weight: float = 0.3
    """Weight of finding the images that a caption is true of."""
    hard_weight: float = 1.0
    """Weight of telling a caption from the same caption with one change."""
    seed: int = 0
    """Seed of initialisation, sampling and augmentation."""
    threads: int = 2
    """Processor threads."""

    def run(self) -> None:
        """Train; the images set the side that the image tower reads."""
        train_clip(self)

    def files(self, image_size: int, vocabulary: int) -> dict[str, Any]:
        """The open_clip config file of a model of these sizes."""
        model = {
            "embed_dim": self.embed_dim,
            "vision_cfg": {
                "image_size": image_size,
                "timm_model_name": TOWER_NAMES[self.role],
                "timm_pool": "",
                "timm_proj": "",
            },
            "text_cfg": {
                "context_length": self.context,
                "vocab_size": vocabulary,
                "width": self.text_width,
                "heads": self.text_width // 32,
                "layers": self.text_layers,
            },
        }
        preprocess = {"mean": list(IMAGE_MEAN), "std": list(IMAGE_STD), "interpolation": "bicubic"}
        return {"model_cfg": model, "preprocess_cfg": preprocess}


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


def _parameter_groups(trained: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay matrices and filters only, as is usual for CLIP; scales have a rate of their own."""
    scales = [p for p in trained.parameters() if p.ndim == 0]
    vectors = [p for p in trained.parameters() if p.ndim == 1]
    matrices = [p for p in trained.parameters() if p.ndim >= 2]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
        {"params": scales, "weight_decay": 0.0, "lr_scale": _SCALE_LR},
    ]


def _begin(config: TrainClip, side: int, folder: Path) -> tuple[Any, dict[str, Any]]:
    """The model to train (open_clip has no types) and its config file; writes the merges."""
    folder.mkdir(parents=True, exist_ok=True)
    if config.start is not None:
        started, file = read_clip(config.start)
        (folder / MERGES_FILE).write_bytes((config.start / MERGES_FILE).read_bytes())
        return started.float(), file
    file = config.files(side, trim_bpe(avatar_captions.vocabulary(), folder / MERGES_FILE))
    model: Any = build_clip_model(file["model_cfg"])
    with torch.no_grad():
        model.logit_scale.fill_(float(np.log(_INITIAL_SCALE)))
    return model, file


def train_clip(config: TrainClip) -> None:
    """Run the stage; see `TrainClip`."""
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    data = load_dataset(config.data)
    language, split = avatar_captions.Language(data.table, data.visibility), _SPLITS[config.role]
    folder = config.out / "clip"
    model, file = _begin(config, data.images.shape[1], folder)
    tokenize = load_tokenizer(folder / MERGES_FILE, file["model_cfg"]["text_cfg"]["context_length"])
    model.visual.to(memory_format=torch.channels_last)
    targets = soft_targets(data.table, data.visibility)
    sizes = [shares.shape[1] for shares in targets.values()]
    weights = [SMALL_PARTS.get(name, 1.0) for name in targets]
    shares = torch.from_numpy(np.concatenate(list(targets.values()), 1))
    heads = nn.Linear(file["model_cfg"]["embed_dim"], sum(sizes))
    trained = nn.ModuleDict({"clip": model, "heads": heads})
    optimizer = torch.optim.AdamW(
        _parameter_groups(trained, config.weight_decay), lr=config.lr, betas=(0.9, 0.98)
    )
    average = Average(model, 0.998)
    run = Run(
        config.out,
        {"model": trained, "optimizer": optimizer, "average": average},
        config.steps,
        run_identity(config),
    )
    model.train()
    for step in run:
        rng = step_rng(config.seed, step)
        rows = rng.integers(len(data.images), size=config.batch)
        images = signed_from_uint8(torch.from_numpy(data.images[rows]))
        distortion = float(rng.uniform(*_DISTORTION))
        images = augment.perspective(images, distortion, _WARPED_SHARE, config.seed, step)
        images = augment.degrade(images, _DEGRADED_SHARE, rng)
        batch = language.batch(rows[: config.captions], rng, split)
        truth = torch.from_numpy(language.truth_matrix(rows, batch.claims))
        named = [text for texts in language.class_texts(rng, split) for text in texts]
        set_lr(optimizer, cosine_lr(step, config.steps, config.lr, warmup=100))
        # On short texts the fused attention of a CPU takes twice the time of plain products.
        with torch.autocast("cpu", dtype=torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            normalised = (unit_range_from_signed(images) - IMAGE_MEAN[0]) / IMAGE_STD[0]
            image_features = model.encode_image(
                normalised.contiguous(memory_format=torch.channels_last)
            )
            text_features = model.encode_text(tokenize(named + batch.texts))
        scaled = model.logit_scale.exp() * unit(image_features.float(), _EPS)
        logits = scaled @ unit(text_features.float(), _EPS).T
        by_class, by_caption = logits.split([len(named), len(batch.texts)], 1)
        shown = shares[torch.from_numpy(rows)]
        classes = class_loss(by_class, shown, sizes, weights)
        read = class_loss(heads(scaled), shown, sizes, weights)
        found = retrieval_loss(by_caption, truth)
        # Each pair is (image, true caption, false caption): the change alone must tell them apart.
        image, good, bad = (torch.from_numpy(column) for column in batch.pairs)
        hard = functional.softplus(by_caption[image, bad] - by_caption[image, good]).mean()
        loss = (
            classes
            + config.head_weight * read
            + config.caption_weight * found
            + config.hard_weight * hard
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(trained.parameters(), _GRADIENT_NORM)
        run.report(
            classes=classes.item(), heads=read.item(), captions=found.item(), hard=hard.item(),
            gradient=norm.item(), scale=model.logit_scale.exp().item(),
        )  # fmt: skip
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0.0, float(np.log(_MOST_SCALE)))
        average.update(model, step)
    if not run.finished:
        return
    model.load_state_dict(average.values)
    save_clip(model.eval(), file["model_cfg"], file["preprocess_cfg"], folder)
    _log.info("wrote %s", folder)
