"""What goes into an edit and what comes out, whatever the method."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cfclip.editors.spaces import LatentSpace
from cfclip.errors import InputError
from cfclip.settings import check_seed


@dataclass(frozen=True)
class EditRequest:
    """One edit of a batch of images. Raises `InputError` for parts that do not fit together.

    Attributes:
        latents: `(batch, num_ws, w_dim)` of the images before the edit.
        prompts: what the edited images shall all show; several are optimised together.
        source_text: what the images show, such as "face".
        templates: prompt templates, each with one `{}`.
        unrealistic_text: a text of unrealistic images, for the logit objective.
        aspects: what a picture is told by, for the aspects term: for each aspect, the texts that
            name its values.
        seed: decides every random draw, with an image's index.
        indices: the identity of each image for the random draws, 0, 1, ... if not given. An image
            is edited the same way alone as in a batch, if it keeps its index.
        mask: `(batch, 1, R, R)` or `(1, 1, R, R)` in [0, 1]: 1 where the edit may change the image.
            The rest stays that of the source and gives no gradient.
    """

    latents: Tensor
    prompts: tuple[str, ...]
    source_text: str
    templates: tuple[str, ...]
    unrealistic_text: str | None = None
    aspects: tuple[tuple[str, ...], ...] = ()
    seed: int = 0
    indices: Sequence[int] | None = None
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        if isinstance(self.prompts, str) or not self.prompts:
            raise InputError(f"prompts is {self.prompts!r}, expected a tuple of one or more texts")
        if not self.templates:
            raise InputError("templates is empty, expected at least one such as '{}'")
        if self.latents.ndim != 3 or not len(self.latents):
            raise InputError(
                f"latents have shape {tuple(self.latents.shape)}, expected (batch, num_ws, w_dim)"
            )
        if not bool(torch.isfinite(self.latents).all()):
            raise InputError("the latents hold values that are not finite")
        check_seed(self.seed)
        if self.indices is not None and len(self.indices) != len(self.latents):
            raise InputError(
                f"{len(self.indices)} indices for {len(self.latents)} images, expected one for each"
            )
        if self.mask is not None:
            self._check_mask(self.mask)

    def _check_mask(self, mask: Tensor) -> None:
        batch = len(self.latents)
        if mask.ndim != 4 or mask.shape[0] not in (1, batch) or mask.shape[1] != 1:
            raise InputError(
                f"mask has shape {tuple(mask.shape)}, expected (1 or {batch}, 1, height, width)"
            )
        low, high = float(mask.min()), float(mask.max())
        if not (low >= 0.0 and high <= 1.0):
            raise InputError(f"mask has values from {low:g} to {high:g}, expected 0 to 1")

    @property
    def identities(self) -> tuple[int, ...]:
        """The index of each image for the random draws."""
        return tuple(range(len(self.latents)) if self.indices is None else self.indices)

    def full_mask(self, resolution: int) -> Tensor | None:
        """The mask `(batch, 1, R, R)` where the latents are; `InputError` if R is another."""
        if self.mask is None:
            return None
        if self.mask.shape[-2:] != (resolution, resolution):
            raise InputError(
                f"mask is {self.mask.shape[-1]}x{self.mask.shape[-2]}, "
                f"expected {resolution}x{resolution}"
            )
        return self.mask.to(self.latents).expand(len(self.latents), -1, -1, -1)


@dataclass(frozen=True)
class EditProgress:
    """What a callback sees after each step.

    Attributes:
        step: updates done so far, 0 before the first.
        steps: updates at most.
        terms: the objective's terms, unweighted, and "total", mean over the images still running.
        running: images still running, those that end with this step included.
        seconds: since the edit began.
        images: call it for the current images `(batch, 3, R, R)` at the result's strength; costs
            one rendering, so call it as often as a preview needs.
    """

    step: int
    steps: int
    terms: dict[str, float]
    running: int
    seconds: float
    images: Callable[[], Tensor]


EditCallback = Callable[[EditProgress], bool | None]
"""Called after each step; returning False ends the edit with what has been reached."""


@dataclass(frozen=True)
class EditResult:
    """The edit of a batch of images.

    Attributes:
        space: the latent space with the source latents; renders offsets.
        offset: `(batch, num_ws, w_dim)` in W+, `(batch, 1, w_dim)` in W, `(batch, channels)` in
            StyleSpace; at strength 1.
        strength: factor on the offset in `images`.
        source_images: image tensor of the source latents, which the edit is to be compared with.
        images: image tensor of the edited images.
        mask: as in the request.
        history: per image, the values of each term and of "total" at every evaluation whose
            objective was finite.
        steps: updates behind each image's offset.
        stop_reasons: per image why the optimisation ended: "completed", "converged", "stopped by
            the caller", "interrupted", or a sentence about what went wrong.
        seconds: wall time of the edit.
    """

    space: LatentSpace
    offset: Tensor
    strength: float
    source_images: Tensor
    images: Tensor
    mask: Tensor | None
    history: tuple[dict[str, list[float]], ...]
    steps: tuple[int, ...]
    stop_reasons: tuple[str, ...]
    seconds: float

    @property
    def source_latents(self) -> Tensor:
        """`(batch, num_ws, w_dim)` before the edit."""
        return self.space.latents

    @property
    def layer_offsets(self) -> tuple[Tensor, ...]:
        """The offset as one tensor `(batch, width)` per layer of its space."""
        return self.space.per_layer(self.offset)

    @torch.no_grad()
    def at_strength(self, strength: float) -> Tensor:
        """Image tensor of the same edit, weaker or stronger; 0 is the source. Optimises nothing."""
        return confine(self.space.render(strength * self.offset), self.source_images, self.mask)

    @torch.no_grad()
    def row_at_strength(self, row: int, strength: float) -> Tensor:
        """One image `(1, 3, R, R)` of it, rendered alone, so that the batch does not matter."""
        rows = torch.tensor([row], device=self.offset.device)
        made = self.space.render(strength * self.offset[rows], rows)
        if self.mask is None:
            return made
        return confine(made, self.source_images[rows], self.mask[rows])

    def without_images(self) -> "EditResult":
        """The same without those images that rendering it does not need, which are most of it."""
        none = self.images.new_empty(0)
        return replace(
            self, images=none, source_images=none if self.mask is None else self.source_images
        )


def confine(edited: Tensor, source: Tensor, mask: Tensor | None) -> Tensor:
    """`edited` where the mask is 1, `source` where it is 0; `edited` if there is no mask."""
    if mask is None:
        return edited
    return edited * mask + source * (1.0 - mask)


def one_pass_result(
    request: EditRequest,
    space: LatentSpace,
    offset: Tensor,
    strength: float,
    reason: str,
    began: float,
) -> EditResult:
    """The result of a method without steps: no history, all images end alike.

    `began` is `time.perf_counter()` at the start. Raises `InputError` for a mask of another size.
    """
    source_images = space.render(space.zero_offset())
    mask = request.full_mask(source_images.shape[-1])
    batch = len(request.latents)
    return EditResult(
        space=space,
        offset=offset,
        strength=strength,
        source_images=source_images,
        images=confine(space.render(strength * offset), source_images, mask),
        mask=mask,
        history=tuple({} for _ in range(batch)),
        steps=(0,) * batch,
        stop_reasons=(reason,) * batch,
        seconds=time.perf_counter() - began,
    )


class Editor(ABC):
    """A method of editing."""

    @abstractmethod
    def edit(self, request: EditRequest, callback: EditCallback | None = None) -> EditResult:
        """Edit a batch of images; what happens to one does not depend on the others."""
