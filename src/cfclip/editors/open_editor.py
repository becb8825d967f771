"""Editing with an open mapper: any text, one pass, no optimisation."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from cfclip.editors.editor import EditTexts, OnePassEditor
from cfclip.editors.mapper_config import MapperEditConfig
from cfclip.editors.open_mapper import OpenMapper
from cfclip.editors.spaces import WSpace
from cfclip.embedders import Embedder, check_prompt
from cfclip.generators import Generator


class OpenMapperEdit(OnePassEditor):
    """Edits in W by what an open mapper gives any texts; several make one edit together.

    Args:
        generator, embedder, mapper: of one pack, on one device, in eval mode; never changed.
        config: the settings, the defaults if not given.
        origin: its file and hash, as records tell them.
    """

    space = WSpace

    def __init__(
        self,
        generator: Generator,
        embedder: Embedder,
        mapper: OpenMapper,
        config: MapperEditConfig | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        self.generator = generator
        self.embedder = embedder
        self.mapper = mapper
        self.config = config or MapperEditConfig()
        self.origin = origin or {}

    @torch.no_grad()
    def read(self, texts: EditTexts) -> Tensor:
        """The codes of the bare prompts, `(1, text_dim + w_dim)`.

        Raises `InputError` for a prompt that the embedder cannot read.
        """
        prompts = [check_prompt(prompt) for prompt in texts.prompts]
        (source,) = self.embedder.embed_texts([check_prompt(texts.source_text)])
        return self.mapper.codes(self.embedder.embed_texts(prompts)[None], source)

    @torch.no_grad()
    def offset(self, latents: Tensor, codes: Tensor) -> Tensor:
        """`(batch, 1, w_dim)`; each picture is rendered and looked at once."""
        seen = self.embedder.embed_images(self.generator.synthesis(latents))
        return self.mapper(latents.mean(1), seen, codes)[:, None]
