"""Weighted sums of terms: what an edit or a training minimises, and each of its parts by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module

import torch
from torch import Tensor

from cfclip.errors import InputError
from cfclip.losses.clip_losses import Reduction, copies_of, reduce_images
from cfclip.losses.terms import NETWORK_TERMS, TERMS, ObjectiveConfig, Term


@dataclass(frozen=True)
class EditTensors:
    """All that an objective may look at. Embeddings are unit length, `dim` wide.

    Attributes:
        edited: `(A * B, dim)`, row `a * B + b` from image `b` under augmentation `a`.
        source: `(B, dim)`, the images before the edit.
        target_texts: `(K, dim)`, the target text in K templates; or `(P, K, dim)` for P texts that
            the edit shall all show: terms that read it are averaged over them.
        source_texts: `(K, dim)`, the text of the original image in the same templates.
        offset: `(B, ...)`, the edited latent minus the source's.
        unrealistic_texts: `(K, dim)`, a text of unrealistic images, for the realism term.
        images, source_images: `(B, C, H, W)`, before augmentation.
        aspects: `(values, dim)` of the texts of each aspect of a picture, for the aspects term.
        aspect_targets: what shall be read of each, `(B, values)`, see
            `cfclip.losses.aspects.aspect_targets`.
        source_features: of `source_images`, see `Objective.source_features`.
    """

    edited: Tensor
    source: Tensor
    target_texts: Tensor
    source_texts: Tensor
    offset: Tensor
    unrealistic_texts: Tensor | None = None
    images: Tensor | None = None
    source_images: Tensor | None = None
    aspects: tuple[Tensor, ...] = ()
    aspect_targets: tuple[Tensor, ...] = ()
    source_features: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def copies(self) -> int:
        """A, the augmented rows per image."""
        return copies_of(self.edited, self.source)


class Objective:
    """A weighted sum of terms.

    Args:
        config: which terms, their weights and choices. A term of weight 0 is not evaluated.
        prompts: how many texts the edit shall show, see `ObjectiveConfig.weights`.
        networks: what the terms of `NETWORK_TERMS` compare images by: `(B, C, H, W)` to features.

    Attributes:
        weights: of every term, those of 0 left out.

    Raises:
        InputError: a weight without its network.

    >>> objective = Objective(ObjectiveConfig(objective="global", latent_l2=2.0))
    >>> x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> objective(EditTensors(x, x, target_texts=y, source_texts=x, offset=torch.full((1, 2), 3.0)))
    (tensor(19.), {'global': tensor(1.), 'latent_l2': tensor(9.)})
    """

    def __init__(
        self,
        config: ObjectiveConfig,
        prompts: int = 1,
        networks: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
    ) -> None:
        self.weights = config.weights(prompts)
        self._networks = networks or {}
        for name in NETWORK_TERMS:
            if name in self.weights and name not in self._networks:
                raise InputError(
                    f"{name} is {self.weights[name]}, but there is no network for it; give its "
                    f"file (--{name}-network), or set it to 0"
                )
        self._losses = {name: _loss(TERMS[name], config) for name in self.weights}

    @torch.no_grad()
    def source_features(self, images: Tensor) -> dict[str, Tensor]:
        """What the networks of the terms make of the images before the edit."""
        return {
            name: self._networks[name](images) for name in NETWORK_TERMS if name in self.weights
        }

    def __call__(
        self, tensors: EditTensors, reduction: Reduction = "mean"
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted total and every unweighted term: scalars, or `(B,)` each for `"none"`.

        To optimise a batch of latents so that no image depends on the others, take `"none"` and
        differentiate `total.sum()`.

        Raises:
            InputError: tensors whose shapes do not fit together, or that a term misses.
        """
        values = {name: self._value(name, tensors) for name in self.weights}
        total = sum(
            (weight * values[name] for name, weight in self.weights.items()),
            start=tensors.source.new_zeros(()),
        )
        return (
            reduce_images(total, reduction),
            {name: reduce_images(value, reduction) for name, value in values.items()},
        )

    def _value(self, name: str, tensors: EditTensors) -> Tensor:
        """An unweighted term, `(B,)`."""
        row, loss = TERMS[name], self._losses[name]
        seen = {each: getattr(tensors, each) for each in row.tensors}
        for each, value in seen.items():
            if value is None or (isinstance(value, tuple) and not value):
                raise InputError(f"the {name} term needs {each}; give them, or set its weight to 0")
        if row.network:
            return loss(self._networks[name](seen["images"]), tensors.source_features[name])
        if not row.sees_prompts or tensors.target_texts.ndim == 2:
            return loss(*seen.values())
        if tensors.target_texts.ndim != 3 or tensors.target_texts.shape[0] == 0:
            raise InputError(
                f"target_texts has shape {tuple(tensors.target_texts.shape)}, expected "
                "(templates, dim) or (prompts, templates, dim)"
            )
        each_prompt = [{**seen, "target_texts": texts} for texts in tensors.target_texts]
        return torch.stack([loss(*one.values()) for one in each_prompt]).mean(0)


def _loss(row: Term, config: ObjectiveConfig) -> Callable[..., Tensor]:
    """The loss of a term with its options, `(B,)` for the term's tensors."""
    module, _, function = row.loss.partition(".")
    options = {name: getattr(config, name) for name in row.options}
    loss = getattr(import_module(f"cfclip.losses.{module}"), function)
    return partial(loss, reduction="none", **options)
