"""What goes into an edit and what comes out, whatever the method."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from cfclip.editors.confinement import Confinement
from cfclip.editors.spaces import LatentSpace, WPlusSpace
from cfclip.embedders import Embedder, check_prompt
from cfclip.errors import InputError
from cfclip.generators import Generator
from cfclip.optim import COMPLETED, DescentStep
from cfclip.regions import EVERYWHERE, ChosenRegion, Parts, choose_region
from cfclip.settings import EditSettings, check_seed


@dataclass(frozen=True, kw_only=True)
class EditTexts:
    """What an edit is asked for in words. Raises `InputError` for texts that are none.

    Attributes:
        prompts: what the edited images shall all show; several make one edit together.
        source_text: what the images show, such as "face".
        templates: prompt templates, each with one `{}`.
        unrealistic_text: a text of unrealistic images, for the logit objective.
        aspects: what a picture is told by: the name of each aspect to the texts that name its
            values.
    """

    prompts: tuple[str, ...]
    source_text: str
    templates: tuple[str, ...]
    unrealistic_text: str | None = None
    aspects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.prompts, str) or not self.prompts:
            raise InputError(f"prompts is {self.prompts!r}, expected a tuple of one or more texts")
        if not self.templates:
            raise InputError("templates is empty, expected at least one such as '{}'")


@dataclass(frozen=True, kw_only=True)
class EditRequest(EditTexts):
    """One edit of a batch of images. Raises `InputError` for parts that do not fit together.

    Attributes:
        latents: `(batch, num_ws, w_dim)` of the images before the edit.
        seed: decides every random draw, with an image's index.
        indices: the identity of each image for the random draws, 0, 1, ... if not given. An image
            is edited the same way alone as in a batch, if it keeps its index.
        mask: `(batch, 1, R, R)` or `(1, 1, R, R)` in [0, 1]: 1 where the edit may change the image.
            The rest stays that of the source and gives no gradient.
    """

    latents: Tensor
    seed: int = 0
    indices: Sequence[int] | None = None
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
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


@dataclass(frozen=True, kw_only=True)
class EditProgress(DescentStep):
    """What a callback sees after each step."""

    seconds: float
    """Since the edit began."""
    images: Callable[[], Tensor]
    """Call it for the current images `(batch, 3, R, R)` at the result's strength; costs one
    rendering, so call it as often as a preview needs."""


EditCallback = Callable[[EditProgress], bool | None]
"""Called after each step; returning False ends the edit with what has been reached."""


def end_at_once(progress: EditProgress) -> bool:
    """An `EditCallback` that ends an edit where it begins."""
    del progress
    return False


@dataclass(frozen=True)
class BatchEdit:
    """The edit of a batch of images.

    Attributes:
        confinement: the latent space with the source latents, and where the images may change;
            renders offsets.
        offset: `(batch, num_ws, w_dim)` in W+, `(batch, 1, w_dim)` in W, `(batch, channels)` in
            StyleSpace; at strength 1.
        strength: factor on the offset in `images`.
        images: image tensor of the edited images.
        history: per image, the values of each term and of "total" at every evaluation whose
            objective was finite.
        steps: updates behind each image's offset.
        stop_reasons: per image why the optimisation ended: "completed", "converged", "stopped by
            the caller", "interrupted", or a sentence about what went wrong.
        seconds: wall time of the edit.
    """

    confinement: Confinement
    offset: Tensor
    strength: float
    images: Tensor
    history: tuple[dict[str, list[float]], ...]
    steps: tuple[int, ...]
    stop_reasons: tuple[str, ...]
    seconds: float

    @property
    def space(self) -> LatentSpace:
        """The latent space with the source latents."""
        return self.confinement.space

    @property
    def source_latents(self) -> Tensor:
        """`(batch, num_ws, w_dim)` before the edit."""
        return self.space.latents

    @property
    def source_images(self) -> Tensor:
        """Image tensor of the source latents, which the edit is to be compared with."""
        return self.confinement.source_images()

    @property
    def layer_offsets(self) -> tuple[Tensor, ...]:
        """The offset as one tensor `(batch, width)` per layer of its space."""
        return self.space.per_layer(self.offset)

    @torch.no_grad()
    def at_strength(self, strength: float) -> Tensor:
        """Image tensor of the same edit, weaker or stronger; 0 is the source. Optimises nothing."""
        return self.confinement.render(strength * self.offset)

    @torch.no_grad()
    def row_at_strength(self, row: int, strength: float) -> Tensor:
        """One image `(1, 3, R, R)` of it, rendered alone, so that the batch does not matter."""
        rows = torch.tensor([row], device=self.offset.device)
        return self.confinement.render(strength * self.offset[rows], rows)

    def without_images(self) -> "BatchEdit":
        """The same without those images that rendering it does not need, which are most of it."""
        none = self.images.new_empty(0)
        return replace(self, images=none, confinement=self.confinement.without_images())


class Editor(ABC):
    """A method of editing with its models: what `cfclip.editing.methods` opens for a pack.

    Attributes:
        generator: what renders.
        embedder: what reads texts and images; both on one device, in eval mode, never changed.
        config: the settings.
        prompts: what it was trained for; none if any text will do.
        origin: the file that it was opened from, as records tell it; empty without one.
        one_pass: whether it takes no steps, so that many images are best edited together.
        parts: the parts that it can tell in pictures, of the pack; None if there are none.
    """

    generator: Generator
    embedder: Embedder
    config: EditSettings
    prompts: tuple[str, ...] = ()
    origin: Mapping[str, Any] = MappingProxyType({})
    one_pass: ClassVar[bool] = False
    parts: Parts | None = None

    @abstractmethod
    def read(self, texts: EditTexts) -> Any:
        """What the texts are to the method, such as their embeddings; the same for every image.

        Raises `InputError` for texts that it cannot edit by.
        """

    @abstractmethod
    def edit(self, request: EditRequest, callback: EditCallback | None = None) -> BatchEdit:
        """Edit a batch of images; what happens to one does not depend on the others.

        Raises `InputError` for a prompt, mask or latent that does not fit.
        """

    def choose(self, texts: Sequence[str], every: bool = False) -> tuple[str, ...]:
        """The prompts that given texts mean, cleaned; with `every`, all that it was trained for.

        Raises `InputError` for an unusable text, or none.
        """
        if every:
            raise InputError("all_texts is for a mapper, which knows its texts; give --mapper")
        if not texts:
            raise InputError('no text; describe the edit, for example "green hair"')
        return tuple(map(check_prompt, texts))

    def warnings(self, prompts: Sequence[str]) -> tuple[str, ...]:
        """What a user should know of edits by these prompts, one line each."""
        return ()

    def confinement(self, space: LatentSpace, request: EditRequest) -> Confinement:
        """Where the edit of a request may change its images, by the settings and the texts.

        Raises `InputError` for a mask of another size, or parts that there are not.
        """
        mask = request.full_mask(self.generator.resolution)
        return Confinement(space, self.choose_region(request), self.parts, mask)

    def choose_region(self, texts: EditTexts) -> ChosenRegion:
        """Where an edit by these texts may change images, by the settings.

        Raises `InputError` for parts that there are not.
        """
        if self.config.confined_to == "off":
            return EVERYWHERE
        embedder, templates = self.embedder, texts.templates
        targets = [embedder.embed_prompt(templates, prompt) for prompt in texts.prompts]
        source = embedder.embed_prompt(templates, texts.source_text)
        aspects = {name: embedder.embed_texts(list(v)) for name, v in texts.aspects.items()}
        return choose_region(self.config, self.parts, torch.stack(targets), source, aspects)

    def varied(self, **attributes: Any) -> Self:
        """The same with another `generator` or `config`; the models are shared."""
        other = copy(self)
        vars(other).update(attributes)
        return other


class OnePassEditor(Editor):
    """An editor without steps: it says in which space it moves, and gives the offsets.

    Every image may have a text of its own: `offset` takes what `read` gave for one text, or the
    same for each image, concatenated.
    """

    one_pass = True
    space: ClassVar[type[LatentSpace]] = WPlusSpace

    def read(self, texts: EditTexts) -> Tensor:
        """What `offset` takes of the texts, `(1, ...)`; nothing of an editor that reads none."""
        return torch.zeros(1, 0, device=self.generator.w_avg.device)

    @abstractmethod
    def offset(self, latents: Tensor, codes: Tensor) -> Tensor:
        """What the edit adds at strength 1, `(batch, ...)` in its space.

        Args:
            latents: `(batch, num_ws, w_dim)` before the edit.
            codes: what `read` gave, `(1, ...)` for all images or `(batch, ...)`.
        """

    def stop_reason(self, codes: Tensor) -> str:
        """What an edit by these codes tells at its end."""
        return COMPLETED

    def space_of(self, latents: Tensor) -> LatentSpace:
        """The space with these latents; all layers may move."""
        return self.space(self.generator, latents, tuple(range(self.generator.num_ws)))

    @torch.no_grad()
    def edit(self, request: EditRequest, callback: EditCallback | None = None) -> BatchEdit:
        """Move every image of the request.

        There are no steps, so that the callback is never called and there is no history.
        """
        began = time.perf_counter()
        codes = self.read(request)
        space, batch = self.space_of(request.latents), len(request.latents)
        offset = self.offset(request.latents, codes)
        confinement = self.confinement(space, request)
        return BatchEdit(
            confinement=confinement,
            offset=offset,
            strength=self.config.strength,
            images=confinement.render(self.config.strength * offset),
            history=tuple({} for _ in range(batch)),
            steps=(0,) * batch,
            stop_reasons=(self.stop_reason(codes),) * batch,
            seconds=time.perf_counter() - began,
        )
