"""Latent optimisation: descend on the latent of each image until CLIP sees the prompt.

The objectives are those of `cfclip.losses`; with `global` this is StyleCLIP's optimisation
(Patashnik et al., ICCV 2021), with `clip_nce` it minimises CF-CLIP's objective directly. It starts
at the source, or at the source fused with the text (see `cfclip.editors.linear_text_map`); the
latent penalty counts from the source either way.
"""

import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from cfclip.editors.confinement import Confinement
from cfclip.editors.editor import (
    BatchEdit,
    EditCallback,
    Editor,
    EditProgress,
    EditRequest,
    EditTexts,
)
from cfclip.editors.linear_text_map import LinearTextMap, fused_offset
from cfclip.editors.optimisation_config import LatentOptimisationConfig, parse_layers
from cfclip.editors.spaces import SPACES, LatentSpace
from cfclip.embedders import Embedder, chosen_templates
from cfclip.errors import InputError
from cfclip.generators import Generator
from cfclip.losses import (
    EditTensors,
    Objective,
    ObjectiveConfig,
    RandomPerspective,
    aspect_targets,
    spoken_aspects,
)
from cfclip.optim import DescentStep, descend
from cfclip.settings import ComputationSettings
from cfclip.tensors import mixed_precision

__all__ = ["LatentOptimisation", "LatentOptimisationConfig"]


class LatentOptimisation(Editor):
    """Edits by optimisation in W, W+ or StyleSpace.

    Texts and source images are embedded once per edit. Each step renders, draws random perspectives
    and embeds only the images that still run.

    Args:
        generator, embedder: on one device, in eval mode; never changed.
        config: the settings, the defaults if not given.
        text_map: what `config.start` "text-map" takes, on the same device.
        networks: of the terms that compare images by one, see `Objective`; likewise.
    """

    config: LatentOptimisationConfig

    def __init__(
        self,
        generator: Generator,
        embedder: Embedder,
        config: LatentOptimisationConfig | None = None,
        text_map: LinearTextMap | None = None,
        networks: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
    ) -> None:
        self.generator = generator
        self.embedder = embedder
        self.config = config or LatentOptimisationConfig()
        self.text_map = text_map
        self.networks = networks

    def read(self, texts: EditTexts) -> dict[str, Tensor]:
        """The text embeddings of `EditTensors`, in their templates; the embedder keeps them."""
        return text_tensors(self.embedder, self.config, texts)

    def edit(self, request: EditRequest, callback: EditCallback | None = None) -> BatchEdit:
        """Optimise the offset of every image of the request.

        `KeyboardInterrupt` during the optimisation, a numerical failure and a callback that returns
        False all end in a result with the last good offsets, told in `stop_reasons`. Other
        exceptions of the callback pass through.

        Raises:
            InputError: a prompt, mask, layer, latent or text map that does not fit, or a missing
                `unrealistic_text` for the logit objective, text map for its start, or network.
        """
        objective = Objective(self.config, len(request.prompts), self.networks)
        layers = parse_layers(self.config.layers, self.generator.num_ws)
        space = SPACES[self.config.space](self.generator, request.latents, layers)
        confinement = self.confinement(space, request)
        run = _Run(confinement, self.embedder, self.config, objective, request, callback)
        start = self._start(space, request)
        found = descend(start, run.evaluate, self.config.descent(), run.report)
        return BatchEdit(
            confinement=confinement,
            offset=found.values,
            strength=self.config.strength,
            images=run.render(found.values),
            history=found.history,
            steps=found.steps,
            stop_reasons=found.stop_reasons,
            seconds=run.seconds(),
        )

    @torch.no_grad()
    def _start(self, space: LatentSpace, request: EditRequest) -> Tensor:
        """The offset that the descent starts from."""
        if self.config.start == "source":
            return space.zero_offset()
        if self.text_map is None:
            raise InputError(
                "start is 'text-map', but there is no text map; give one, or start from 'source'"
            )
        moved = fused_offset(
            self.text_map, self.config.fusion, self.generator, self.embedder, request
        )
        return space.offset_of(self.config.fusion_strength * moved)


class _Run:
    """One edit: what is computed once, and the objective of each step.

    Attributes:
        source: embeddings of the images before the edit.
        offset: as last evaluated, for previews.
    """

    def __init__(
        self,
        confinement: Confinement,
        embedder: Embedder,
        config: LatentOptimisationConfig,
        objective: Objective,
        request: EditRequest,
        callback: EditCallback | None,
    ) -> None:
        self._began = time.perf_counter()
        self._embedder = embedder
        self._config = config
        self._callback = callback
        self._seed = request.seed
        self._identities = request.identities
        self._confinement = confinement
        generator = confinement.space.generator
        self._stop_at = rendered_until(generator, embedder, config)
        self._texts = text_tensors(embedder, config, request)
        aspects = spoken_aspects(
            self._texts["target_texts"],
            self._texts["source_texts"],
            embedder.embed_aspects(tuple(request.aspects.values()), config.aspects),
        )
        self._aspects = tuple(each.values for each in aspects)
        self._objective = objective
        self._augment = RandomPerspective(config.augmentations, config.distortion)
        self.offset = confinement.space.zero_offset()
        with torch.no_grad():
            self._before = confinement.source_images(self._stop_at)
            # In the precision of the edited images: the rounding of the weights cancels.
            with self._autocast():
                self.source = embedder.embed_images(self._before)
        self._aspect_targets = aspect_targets(self.source, aspects)
        self._source_features = objective.source_features(self._before)
        # All images step together, so that this is the step of each that still runs.
        self._evaluations = 0

    def evaluate(self, offset: Tensor, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Objective `(n,)` and its terms for the images `rows` moved by `offset` `(n, ...)`."""
        identities = [self._identities[row] for row in rows.tolist()]
        with self._autocast():
            images = self._confinement.masked(offset, rows, self._stop_at).float()
            edited = self._embedder.embed_views(
                self._augment, images, self._seed, self._evaluations, identities
            )
        self._evaluations += 1
        self.offset = self.offset.index_copy(0, rows, offset.detach())
        tensors = EditTensors(
            edited=edited,
            source=self.source[rows],
            offset=offset,
            images=images,
            source_images=self._before[rows],
            aspects=self._aspects,
            aspect_targets=tuple(each[rows] for each in self._aspect_targets),
            source_features={name: each[rows] for name, each in self._source_features.items()},
            **self._texts,
        )
        return self._objective(tensors, reduction="none")

    @torch.no_grad()
    def render(self, offset: Tensor) -> Tensor:
        """Image tensor of an offset of all images at the configured strength."""
        return self._confinement.render(self._config.strength * offset)

    def _autocast(self) -> torch.autocast:
        return mixed_precision(self.offset.device, self._config.precision)

    def seconds(self) -> float:
        """Since the edit began."""
        return time.perf_counter() - self._began

    def report(self, step: DescentStep) -> bool | None:
        """Tell the callback of a step."""
        if self._callback is None:
            return None
        offset = self.offset
        return self._callback(
            EditProgress(**vars(step), seconds=self.seconds(), images=lambda: self.render(offset))
        )


def rendered_until(
    generator: Generator, embedder: Embedder, settings: ComputationSettings
) -> int | None:
    """What `Generator.synthesis` takes as `stop_at` for pictures that the embedder is shown."""
    if settings.rendering == "whole":
        return None
    return generator.resolution_for(embedder.image_size)


def text_tensors(
    embedder: Embedder, config: ObjectiveConfig, texts: EditTexts
) -> dict[str, Tensor]:
    """The text embeddings of `EditTensors`, each prompt's in a row of `target_texts`.

    Raises `InputError` for a bad text, or a text of unrealistic images that is needed and missing.
    """
    templates = chosen_templates(texts.templates, config.bare_prompt)

    def embed(text: str) -> Tensor:
        return embedder.embed_prompt(templates, text)

    tensors = {
        "target_texts": torch.stack([embed(prompt) for prompt in texts.prompts]),
        "source_texts": embed(texts.source_text),
    }
    if config.objective == "logit" and config.gamma:
        if not texts.unrealistic_text:
            raise InputError(
                "the logit objective needs unrealistic_text; give it, or set gamma to 0"
            )
        tensors["unrealistic_texts"] = embed(texts.unrealistic_text)
    return tensors
