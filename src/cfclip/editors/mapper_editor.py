"""Editing with a trained mapper: one pass, no optimisation."""

import time

import torch
from torch import Tensor

from cfclip.editors.editor import EditCallback, Editor, EditRequest, EditResult, one_pass_result
from cfclip.editors.latent_mapper import LatentMapper
from cfclip.editors.mapper_config import MapperEditConfig
from cfclip.editors.spaces import WPlusSpace
from cfclip.editors.text_mapper import TextMapper
from cfclip.embedders.embedder import Embedder
from cfclip.embedders.prompts import check_prompt
from cfclip.errors import InputError
from cfclip.generators.generator import Generator
from cfclip.optim.descent import COMPLETED

__all__ = ["MapperEdit", "MapperEditConfig"]


class MapperEdit(Editor):
    """Edits in W+ by what a mapper adds to the codes.

    Args:
        generator, embedder, mapper: of one pack, on one device, in eval mode; never changed.
        config: the settings, the defaults if not given.
    """

    def __init__(
        self,
        generator: Generator,
        embedder: Embedder,
        mapper: TextMapper | LatentMapper,
        config: MapperEditConfig | None = None,
    ) -> None:
        self.generator = generator
        self.embedder = embedder
        self.mapper = mapper
        self.config = config or MapperEditConfig()

    @torch.no_grad()
    def edit(self, request: EditRequest, callback: EditCallback | None = None) -> EditResult:
        """Edit every image of the request by its one prompt, bare.

        There are no steps, so that the callback is never called and there is no history.

        Raises:
            InputError: several prompts, or a prompt, mask or latent that does not fit.
        """
        began = time.perf_counter()
        if len(request.prompts) != 1:
            raise InputError(
                f"{len(request.prompts)} prompts are given, a mapper edits by one; give one"
            )
        generator = self.generator
        space = WPlusSpace(generator, request.latents, tuple(range(generator.num_ws)))
        offset = self._offset(request.latents, check_prompt(request.prompts[0]))
        strength = self.config.strength
        return one_pass_result(request, space, offset, strength, COMPLETED, began)

    def _offset(self, latents: Tensor, prompt: str) -> Tensor:
        if isinstance(self.mapper, LatentMapper):  # which takes no text
            return self.mapper.offset(latents)
        return self.mapper.offset(latents, self.embedder.text_features([prompt])[0])
