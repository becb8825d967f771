"""Random unit embeddings for the tests of losses, and the logit loss as its formula."""

import torch
from torch import Tensor

from cfclip.losses import EditTensors
from cfclip.losses.clip_losses import Reduction, text_log_odds
from cfclip.tensors import unit

COPIES, BATCH, TEMPLATES, DIM = 3, 2, 5, 8


def embeddings(*shape: int, seed: int = 0) -> Tensor:
    """Unit vectors over the last axis, float64."""
    generator = torch.Generator().manual_seed(seed)
    return unit(torch.randn(*shape, generator=generator, dtype=torch.float64))


def edit_tensors() -> EditTensors:
    return EditTensors(
        edited=embeddings(COPIES * BATCH, DIM, seed=1),
        source=embeddings(BATCH, DIM, seed=2),
        target_texts=embeddings(TEMPLATES, DIM, seed=3),
        source_texts=embeddings(TEMPLATES, DIM, seed=4),
        offset=embeddings(BATCH, 4, 6, seed=5),
        unrealistic_texts=embeddings(TEMPLATES, DIM, seed=6),
        images=embeddings(BATCH, 3, 4, 4, seed=7),
        source_images=embeddings(BATCH, 3, 4, 4, seed=8),
        aspects=(
            embeddings(3, DIM, seed=9),
            embeddings(2, DIM, seed=10),
        ),
        aspect_targets=(
            embeddings(BATCH, 3, seed=11).log_softmax(1),
            torch.tensor([[0.9, 0.1]] * BATCH).double().log(),
        ),
        source_features={
            "identity": embeddings(BATCH, DIM, seed=12),
            "perceptual": embeddings(BATCH, DIM, seed=13),
        },
    )


def only_image(t: EditTensors, index: int) -> EditTensors:
    """The same, with one image of the batch."""
    return EditTensors(
        edited=t.edited.unflatten(0, (-1, len(t.source)))[:, index],
        source=t.source[index : index + 1],
        target_texts=t.target_texts,
        source_texts=t.source_texts,
        offset=t.offset[index : index + 1],
        unrealistic_texts=t.unrealistic_texts,
        images=None if t.images is None else t.images[index : index + 1],
        source_images=None if t.source_images is None else t.source_images[index : index + 1],
        aspects=t.aspects,
        aspect_targets=tuple(each[index : index + 1] for each in t.aspect_targets),
        source_features={name: each[index : index + 1] for name, each in t.source_features.items()},
    )


def logit_loss(
    edited: Tensor,
    target_texts: Tensor,
    source_texts: Tensor,
    unrealistic_texts: Tensor,
    alpha: float,
    beta: float,
    gamma: float,
    copies: int = 1,
    reduction: Reduction = "mean",
) -> Tensor:
    """`-alpha * logit S_t + beta * logit S_t0 + gamma * logit S_tn`, as docs/METHOD.md has it."""
    texts = (target_texts, source_texts, unrealistic_texts)
    similarity, diversity, realism = (
        text_log_odds(edited, each, copies, reduction) for each in texts
    )
    return -alpha * similarity + beta * diversity + gamma * realism
