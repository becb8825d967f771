"""What the training of a text mapper minimises.

CF-CLIP (Yu et al., ACM MM 2022): 0.3 CLIP-NCE + 0.8 latent L2, and a term of identity or of
perceptual distance with a network of its own, which is plugged in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cfclip.editors.clip_views import embed_aspects, embed_prompt, embed_views
from cfclip.embedders.embedder import Embedder
from cfclip.embedders.prompts import chosen_templates
from cfclip.errors import InputError, shown
from cfclip.generators.generator import Generator
from cfclip.losses.aspects import spoken_aspects
from cfclip.losses.augmentation import RandomPerspective
from cfclip.losses.objective import (
    OBJECTIVES,
    EditTensors,
    Objective,
    Term,
    build_objective,
    clip_nce_term,
)
from cfclip.training.training_config import KEEPING, PLUG_INS, TrainingConfig

TOTAL = "total"


@dataclass(frozen=True)
class MapperTask:
    """What a mapper shall learn. Raises `InputError` without prompts or with repeated ones.

    Attributes:
        prompts: one edit each; a latent of a step is edited by one of them.
        source_text: what the images show, such as "face".
        templates: prompt templates, each with one `{}`.
        unrealistic_text: a text of unrealistic images, for the logit objective.
        aspects: for each aspect of an image, the texts that name its values; for the aspects term.
    """

    prompts: tuple[str, ...]
    source_text: str
    templates: tuple[str, ...]
    unrealistic_text: str | None = None
    aspects: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        if not self.prompts or len(set(self.prompts)) != len(self.prompts):
            raise InputError(f"prompts are {shown(self.prompts)}, expected one or more, each once")


@dataclass(frozen=True)
class Look:
    """Images `(B, 3, R, R)` before an edit and their unit embeddings `(B, dim)`, no gradient."""

    images: Tensor
    embeddings: Tensor


class MapperObjective:
    """The loss of edited latents: rendered, seen by CLIP, compared with sources and prompts.

    All texts are embedded once, at construction.

    Args:
        generator, embedder: on one device, in eval mode, without gradients.
        task: the prompts and what goes with them.
        config: objective, weights and perspectives.
        plug_ins: terms with a network of their own, by name (`PLUG_INS`); they see the images.

    Attributes:
        text_features: `(P, text_dim)`, raw features of the bare prompts, which mappers take.

    Raises:
        InputError: a text that the embedder cannot read, a weight without its plug-in or aspects,
            or several prompts for a mapper that reads none.
    """

    def __init__(
        self,
        generator: Generator,
        embedder: Embedder,
        task: MapperTask,
        config: TrainingConfig,
        plug_ins: Mapping[str, Term] | None = None,
    ) -> None:
        if config.mapper == "latent" and len(task.prompts) > 1:
            raise InputError(
                f"{len(task.prompts)} texts are given, but a latent mapper learns one; train one "
                "for each, or a text mapper (--mapper text)"
            )
        self._generator = generator
        self._embedder = embedder
        self._objective = _weighted(config, plug_ins or {})
        self._augment = RandomPerspective(config.augmentations, config.distortion)
        self.text_features = embedder.text_features(task.prompts)

        templates = chosen_templates(task.templates, config.bare_prompt)

        def embed(text: str) -> Tensor:
            return embed_prompt(embedder, templates, text)

        self._targets = [embed(prompt) for prompt in task.prompts]
        self._source_texts = embed(task.source_text)
        self._unrealistic = embed(task.unrealistic_text) if task.unrealistic_text else None
        named = embed_aspects(embedder, task.aspects, config.aspects)
        self._aspects = [
            spoken_aspects(target, self._source_texts, named) for target in self._targets
        ]

    @torch.no_grad()
    def look(self, latents: Tensor) -> Look:
        """Render and embed latents `(B, num_ws, w_dim)` before their edit, once for all uses."""
        images = self._generator.synthesis(latents)
        return Look(images, self._embedder.embed_images(images))

    def __call__(
        self,
        latents: Tensor,
        edited: Tensor,
        prompts: Tensor,
        seed: int,
        step: int,
        identities: Sequence[int],
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """The loss per image, of which no image's depends on the others.

        Args:
            latents, edited: `(B, num_ws, w_dim)` before and after the edit.
            prompts: `(B,)` int64 on the CPU, the place of each image's prompt in the task.
            seed, step, identities: decide the perspectives, as in `RandomPerspective`.

        Returns:
            the terms by name, `(B,)` each, `TOTAL` among them and differentiable in `edited`; the
            edited and the source images, `(B, 3, R, R)`.
        """
        source = self.look(latents)
        images = self._generator.synthesis(edited)
        views = embed_views(self._embedder, self._augment, images, seed, step, identities)
        views = views.unflatten(0, (-1, len(images)))
        offset = edited - latents
        order, found = [], []
        for prompt in prompts.unique().tolist():
            rows = (prompts == prompt).nonzero()[:, 0]
            order.append(rows)
            rows = rows.to(images.device)
            tensors = EditTensors(
                edited=views[:, rows].flatten(0, 1),
                source=source.embeddings[rows],
                target_texts=self._targets[prompt],
                source_texts=self._source_texts,
                offset=offset[rows],
                unrealistic_texts=self._unrealistic,
                images=images[rows],
                source_images=source.images[rows],
                aspects=self._aspects[prompt],
            )
            total, terms = self._objective(tensors, reduction="none")
            found.append({**terms, TOTAL: total})
        back = torch.cat(order).argsort().to(images.device)
        values = {name: torch.cat([part[name] for part in found])[back] for name in found[0]}
        return values, images.detach(), source.images


def _weighted(config: TrainingConfig, plug_ins: Mapping[str, Term]) -> Objective:
    """The configured terms; those of CLIP in the proportions of their objective."""
    clip = {n: w for n, w in OBJECTIVES[config.objective].items() if n not in KEEPING}
    weights = {name: config.clip_weight * weight for name, weight in clip.items()}
    keeping = {name: getattr(config, name) for name in KEEPING}
    terms = build_objective(config.objective, {**weights, **keeping}).terms
    if "clip_nce" in terms:
        weight, _ = terms["clip_nce"]
        own = clip_nce_term(negatives=config.negatives, positives=config.positives)
        terms = {**terms, "clip_nce": (weight, own)}
    wanted = [name for name in PLUG_INS if getattr(config, name)]
    if missing := [name for name in wanted if name not in plug_ins]:
        raise InputError(
            f"{missing[0]} is {getattr(config, missing[0])}, but there is no network for it; give "
            f"its file (--{missing[0]}-network), or set it to 0"
        )
    extra = {name: (float(getattr(config, name)), plug_ins[name]) for name in wanted}
    return Objective({**terms, **extra})
