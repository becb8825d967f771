"""What the training of a text mapper minimises.

CF-CLIP (Yu et al., ACM MM 2022): 0.3 CLIP-NCE + 0.8 latent L2, and a term of identity or of
perceptual distance, which need a network.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cfclip.editors import EditTexts, rendered_until, text_tensors
from cfclip.embedders import Embedder
from cfclip.errors import InputError, shown
from cfclip.generators import Generator
from cfclip.losses import (
    EditTensors,
    Objective,
    RandomPerspective,
    aspect_targets,
    spoken_aspects_of_each,
)
from cfclip.tensors import mixed_precision
from cfclip.training.training_config import TrainingConfig

TOTAL = "total"


@dataclass(frozen=True)
class Look:
    """Images `(B, 3, R, R)` before an edit and their unit embeddings `(B, dim)`, no gradient."""

    images: Tensor
    embeddings: Tensor

    def of(self, rows: Tensor) -> "Look":
        """Some of them."""
        return Look(self.images[rows], self.embeddings[rows])


class MapperObjective:
    """The loss of edited latents: rendered, seen by CLIP, compared with sources and prompts.

    All texts are embedded once, at construction.

    Args:
        generator, embedder: on one device, in eval mode, without gradients.
        task: the prompts, an edit each, of which each latent of a step gets one.
        config: objective, weights and perspectives.
        networks: of the terms that compare images by one, see `Objective`.

    Raises:
        InputError: a text that the embedder cannot read, a weight without its network or aspects,
            a prompt that is there twice, or several for a mapper that reads none.
    """

    def __init__(
        self,
        generator: Generator,
        embedder: Embedder,
        task: EditTexts,
        config: TrainingConfig,
        networks: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
    ) -> None:
        if len(set(task.prompts)) != len(task.prompts):
            raise InputError(f"prompts are {shown(task.prompts)}, expected each once")
        if config.mapper == "latent" and len(task.prompts) > 1:
            raise InputError(
                f"{len(task.prompts)} texts are given, but a latent mapper learns one; train one "
                "for each, or a text mapper (--mapper text)"
            )
        self._generator = generator
        self._embedder = embedder
        self._objective = Objective(config, networks=networks)
        self._stop_at = rendered_until(generator, embedder, config)
        self._precision = config.precision
        self._augment = RandomPerspective(config.augmentations, config.distortion)
        self._texts = text_tensors(embedder, config, task)
        named = embedder.embed_aspects(tuple(task.aspects.values()), config.aspects)
        self._aspects = spoken_aspects_of_each(
            self._texts["target_texts"], self._texts["source_texts"], named
        )

    @torch.no_grad()
    def look(self, latents: Tensor) -> Look:
        """Render and embed latents `(B, num_ws, w_dim)` before their edit, once for all uses."""
        with self._autocast(latents):
            images = self._generator.synthesis(latents, stop_at=self._stop_at).float()
            return Look(images, self._embedder.embed_images(images))

    def __call__(
        self,
        latents: Tensor,
        edited: Tensor,
        prompts: Tensor,
        seed: int,
        step: int,
        identities: Sequence[int],
        source: Look | None = None,
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """The loss per image, of which no image's depends on the others.

        Args:
            latents, edited: `(B, num_ws, w_dim)` before and after the edit.
            prompts: `(B,)` int64 on the CPU, the place of each image's prompt in the task.
            seed, step, identities: decide the perspectives, as in `RandomPerspective`.
            source: what the latents look like before the edit, see `look`;
                looked at here if not given.

        Returns:
            the terms by name, `(B,)` each, `TOTAL` among them and differentiable in `edited`; the
            edited and the source images, `(B, 3, side, side)`, as they were shown to CLIP.
        """
        source = source or self.look(latents)
        with self._autocast(edited):
            images = self._generator.synthesis(edited, stop_at=self._stop_at).float()
            views = self._embedder.embed_views(self._augment, images, seed, step, identities)
        views = views.unflatten(0, (-1, len(images)))
        offset = edited - latents
        order, parts = [], []
        for prompt in prompts.unique().tolist():
            rows = (prompts == prompt).nonzero()[:, 0]
            order.append(rows)
            rows = rows.to(images.device)
            seen, before = source.embeddings[rows], source.images[rows]
            aspects = self._aspects[prompt]
            tensors = EditTensors(
                edited=views[:, rows].flatten(0, 1),
                source=seen,
                offset=offset[rows],
                images=images[rows],
                source_images=before,
                aspects=tuple(each.values for each in aspects),
                aspect_targets=aspect_targets(seen, aspects),
                source_features=self._objective.source_features(before),
                **{**self._texts, "target_texts": self._texts["target_texts"][prompt]},
            )
            total, terms = self._objective(tensors, reduction="none")
            parts.append({**terms, TOTAL: total})
        back = torch.cat(order).argsort().to(images.device)
        values = {name: torch.cat([part[name] for part in parts])[back] for name in parts[0]}
        return values, images.detach(), source.images

    def _autocast(self, latents: Tensor) -> torch.autocast:
        return mixed_precision(latents.device, self._precision)
