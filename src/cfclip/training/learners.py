"""Who learns in a training, and from which texts: a mapper of given texts, or one of any text."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cfclip.editors import (
    EditTexts,
    LinearTextMap,
    OpenMapper,
    OpenMapperConfig,
    TextMapper,
    save_open_mapper,
    save_text_mapper,
)
from cfclip.embedders import Embedder
from cfclip.generators import Generator
from cfclip.training.claims import OpenText
from cfclip.training.initial import first_weights, mapper_shape, new_mapper
from cfclip.training.mapper_objective import Look
from cfclip.training.training_config import TrainingConfig


class Learner(ABC):
    """A mapper that learns, with the texts that it reads.

    Attributes:
        mapper: with its first weights.
    """

    mapper: nn.Module

    @abstractmethod
    def draw(self, step: int, size: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
        """The place of each latent's prompt in the task at a step, and of the text that is read for
        it, `(size,)` int64 each on the CPU."""

    @abstractmethod
    def texts_of(self, prompts: Tensor) -> Tensor:
        """The places of the texts that the prompts at these places are validated with."""

    @abstractmethod
    def edit(self, mapper: nn.Module, latents: Tensor, texts: Tensor, source: Look) -> Tensor:
        """What `mapper` makes of latents `(B, num_ws, w_dim)` by the texts at places `(B,)`, given
        what the pictures look like; differentiable."""

    @abstractmethod
    def save(self, mapper: nn.Module, path: Path, metadata: Mapping[str, Any]) -> None:
        """Write `mapper`. Raises `CheckpointError` for weights that are not finite."""


class TextLearner(Learner):
    """A text mapper, which reads the raw features of its prompts; they take turns.

    Args:
        generator, embedder: what it is for.
        task: the prompts.
        config: the settings.
        start: an earlier mapper to go on from, which is not changed; new weights if not given.

    Raises:
        InputError: a `start` of other sizes or groups.
    """

    def __init__(
        self,
        generator: Generator,
        embedder: Embedder,
        task: EditTexts,
        config: TrainingConfig,
        start: TextMapper | None = None,
    ) -> None:
        shape = mapper_shape(generator, embedder, config, start)
        self.mapper = new_mapper(shape, config.seed) if start is None else deepcopy(start)
        self.text_features = embedder.text_features(task.prompts)

    def draw(self, step: int, size: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
        prompts = torch.arange(step * size, (step + 1) * size) % len(self.text_features)
        return prompts, prompts

    def texts_of(self, prompts: Tensor) -> Tensor:
        return prompts

    def edit(self, mapper: nn.Module, latents: Tensor, texts: Tensor, source: Look) -> Tensor:
        assert isinstance(mapper, TextMapper)
        # A prompt that several latents share has its text codes computed once.
        distinct, places = texts.unique(return_inverse=True)
        codes = mapper.text_codes(self.text_features[distinct.to(latents.device)])
        return mapper.edit(latents, codes[places.to(latents.device)])

    def save(self, mapper: nn.Module, path: Path, metadata: Mapping[str, Any]) -> None:
        assert isinstance(mapper, TextMapper)
        save_text_mapper(mapper, path, metadata)


class OpenLearner(Learner):
    """An open mapper, which reads each text in any of its wordings, drawn at random.

    Claims alone and pairs of them come equally often, so that the many pairs do not crowd out what
    each of them is made of.

    Args:
        generator, embedder: what it is for.
        task: the prompts, those of `texts`.
        config: the settings.
        texts: with their wordings.
        latents: `(n, num_ws or 1, w_dim)` to train on.
        text_map: what it guesses with at first, if there is one.
        models: hashes of the generator and embedder, which its file names.
    """

    def __init__(
        self,
        generator: Generator,
        embedder: Embedder,
        task: EditTexts,
        config: TrainingConfig,
        texts: Sequence[OpenText],
        latents: Tensor,
        text_map: LinearTextMap | None = None,
        models: Mapping[str, str] | None = None,
    ) -> None:
        sizes = {"w_dim": generator.w_dim, "text_dim": embedder.dim}
        with first_weights(config.seed):
            mapper = OpenMapper(OpenMapperConfig(**sizes, models=models or {}))
        guess = None
        if text_map is not None:
            guess = text_map.weight.cpu(), (text_map.bias - generator.w_avg).cpu()
        self.mapper = mapper.begin_with(latents.mean(1), guess)
        wordings = [wording for text in texts for wording in text.wordings]
        self._embeddings = embedder.embed_texts(wordings)
        self._source = embedder.embed_texts([task.source_text])[0]
        self._counts = torch.tensor([len(text.wordings) for text in texts])
        self._first = self._counts.cumsum(0) - self._counts
        kinds = torch.tensor([len(text.claims) for text in texts])
        self._weights = 1.0 / kinds.bincount()[kinds]

    def draw(self, step: int, size: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
        prompts = torch.multinomial(self._weights, size, replacement=True, generator=draws)
        share = torch.rand(size, generator=draws)
        return prompts, self._first[prompts] + (share * self._counts[prompts]).long()

    def texts_of(self, prompts: Tensor) -> Tensor:
        return self._first[prompts]

    def edit(self, mapper: nn.Module, latents: Tensor, texts: Tensor, source: Look) -> Tensor:
        assert isinstance(mapper, OpenMapper)
        read = self._embeddings[texts.to(latents.device)]
        codes = mapper.codes(read[:, None], self._source)
        return latents + mapper(latents.mean(1), source.embeddings, codes)[:, None]

    def save(self, mapper: nn.Module, path: Path, metadata: Mapping[str, Any]) -> None:
        assert isinstance(mapper, OpenMapper)
        save_open_mapper(mapper, path, metadata)
