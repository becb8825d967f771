"""The row layout of augmented embeddings, the checks on it, and the reduction all losses share.

An edited batch of B images is augmented A times before it is embedded, which gives
`(A * B, dim)` embeddings whose row `a * B + b` belongs to image `b`. Every loss first has a value
per row, averages it over the A augmentations of each image, and then either keeps the B values
(`reduction="none"`) or averages them too (`"mean"`).

With `"mean"`, the gradient of an image is its own divided by B. To optimise a batch of latents as
if each image were alone, take `"none"` and differentiate the sum.
"""

from typing import Literal, TypeAlias

from torch import Tensor

from cfclip.errors import InputError
from cfclip.tensors import unit

Reduction: TypeAlias = Literal["mean", "none"]
REDUCTIONS: tuple[Reduction, ...] = ("mean", "none")

DIRECTION_EPS = 5e-4
"""eps of `direction`: small enough that the reference values and gradient of CLIP-NCE are met to
1e-6 relative (at 1e-3 the gradient is off by 3e-6), large enough to bound the gradient at a zero
edit. The gradient of a direction is at most `1 / DIRECTION_EPS` times the incoming one, so that of
CLIP-NCE is at most `2 / (temperature * DIRECTION_EPS)` per row."""


def direction(difference: Tensor) -> Tensor:
    """`v / sqrt(|v|^2 + eps^2)` over the last dimension: unit length, but 0 at `v = 0`.

    At the first step of an edit the edited image equals the source; a plain normalisation would be
    0/0 there and have an exploding gradient beside it.
    """
    return unit(difference, DIRECTION_EPS)


def check_rows(name: str, rows: Tensor, dim: int | None = None) -> None:
    """Raise `InputError` unless `rows` is a non-empty `(rows, dim)`."""
    if rows.ndim != 2 or rows.shape[0] == 0 or (dim is not None and rows.shape[1] != dim):
        raise InputError(
            f"{name} has shape {tuple(rows.shape)}, expected (rows, {dim or 'dim'}), "
            "with at least one row"
        )


def copies_of(edited: Tensor, source: Tensor) -> int:
    """A, the augmented rows per image: `edited` is `(A * B, dim)`, `source` is `(B, dim)`."""
    check_rows("source", source)
    check_rows("edited", edited, source.shape[1])
    if edited.shape[0] % source.shape[0]:
        raise InputError(
            f"edited has shape {tuple(edited.shape)} and source {tuple(source.shape)}; the edited "
            "rows must be a multiple of the source rows (augmentations times images)"
        )
    return edited.shape[0] // source.shape[0]


def check_text_pair(target_texts: Tensor, source_texts: Tensor, dim: int) -> None:
    """Raise `InputError` unless both are `(K, dim)`: the same templates, filled with two texts."""
    check_rows("target_texts", target_texts, dim)
    check_rows("source_texts", source_texts, dim)
    if target_texts.shape != source_texts.shape:
        raise InputError(
            f"target_texts has shape {tuple(target_texts.shape)} and source_texts "
            f"{tuple(source_texts.shape)}; fill the same templates with both texts"
        )


def split_copies(edited: Tensor, copies: int) -> Tensor:
    """`(A * B, dim)` to `(A, B, dim)`, where `copies` is A."""
    check_rows("edited", edited)
    if copies < 1 or edited.shape[0] % copies:
        raise InputError(
            f"edited has shape {tuple(edited.shape)}, whose {edited.shape[0]} rows are not a "
            f"multiple of copies={copies}"
        )
    return edited.unflatten(0, (copies, -1))


def reduce_images(values: Tensor, reduction: Reduction) -> Tensor:
    """`(B,)` values to their mean (a scalar), or unchanged for `"none"`."""
    if reduction == "none":
        return values
    if reduction == "mean":
        return values.mean()
    raise InputError(f"reduction is {reduction!r}, expected one of {', '.join(REDUCTIONS)}")
