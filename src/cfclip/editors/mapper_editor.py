"""Editing with a trained mapper: one pass, no optimisation."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from cfclip.editors.editor import EditTexts, OnePassEditor
from cfclip.editors.latent_mapper import LatentMapper
from cfclip.editors.mapper_config import MapperEditConfig
from cfclip.editors.text_mapper import TextMapper
from cfclip.embedders import Embedder, check_prompt
from cfclip.errors import InputError
from cfclip.generators import Generator

__all__ = ["MapperEdit", "MapperEditConfig", "choose_prompts"]

_PROMPTS_SHOWN = 10
_KEPT_TEXTS = 1024


class MapperEdit(OnePassEditor):
    """Edits in W+ by what a mapper adds to the codes.

    Args:
        generator, embedder, mapper: of one pack, on one device, in eval mode; never changed. A
            `LatentMapper` knows one edit, whatever it is called.
        config: the settings, the defaults if not given.
        prompts: what it was trained for; none if a released checkpoint does not tell.
        origin: its file, hash and step, as records tell them.
        released: whether it is a released checkpoint, which cannot tell whether it is for these
            models.
    """

    def __init__(
        self,
        generator: Generator,
        embedder: Embedder,
        mapper: TextMapper | LatentMapper,
        config: MapperEditConfig | None = None,
        prompts: tuple[str, ...] = (),
        origin: Mapping[str, Any] | None = None,
        released: bool = False,
    ) -> None:
        self.generator = generator
        self.embedder = embedder
        self.mapper = mapper
        self.config = config or MapperEditConfig()
        self.prompts = prompts
        self.origin = origin or {}
        self.released = released
        self._codes_of = lru_cache(_KEPT_TEXTS)(self._text_codes)

    @property
    def reads_text(self) -> bool:
        """Whether the text makes a difference; otherwise it knows one edit."""
        return isinstance(self.mapper, TextMapper) and self.mapper.config.reads_text

    def read(self, texts: EditTexts) -> Tensor:
        """What the text networks make of the one prompt, bare: `(1, num_ws, w_dim)`.

        Raises `InputError` for several prompts, or one that the embedder cannot read.
        """
        if len(texts.prompts) != 1:
            raise InputError(
                f"{len(texts.prompts)} prompts are given, a mapper edits by one; give one"
            )
        return self._codes_of(check_prompt(texts.prompts[0]))

    @torch.no_grad()
    def _text_codes(self, text: str) -> Tensor:
        features = self.embedder.text_features([text])
        if isinstance(self.mapper, LatentMapper):
            return features.new_zeros(1, 0)
        return self.mapper.text_codes(features[0])

    def offset(self, latents: Tensor, codes: Tensor) -> Tensor:
        if isinstance(self.mapper, LatentMapper):
            return self.mapper.offset(latents)
        return self.mapper.offset(latents, codes)

    def choose(self, texts: Sequence[str], every: bool = False) -> tuple[str, ...]:
        """The given prompts, all that it was trained for, or the only one; see `choose_prompts`.

        Raises `InputError` for another text than its own where it reads none.
        """
        chosen = choose_prompts(texts, every, self.prompts)
        if texts and not self.reads_text and (len(chosen) > 1 or self.prompts not in ((), chosen)):
            own = ", ".join(map(repr, self.prompts)) or "whatever it is called"
            raise InputError(
                f"this mapper knows one edit, {own}, not {', '.join(map(repr, chosen))}; train "
                "one for that, or a text mapper"
            )
        return chosen

    def warnings(self, prompts: Sequence[str]) -> tuple[str, ...]:
        """A line for each prompt that it was not trained for, and for models it does not name."""
        unknown = (
            ("the mapper does not tell for which models it was made; they fit by their sizes only",)
            if self.released
            else ()
        )
        known = set(self.prompts or prompts)
        return unknown + tuple(
            f"the mapper was not trained for {prompt!r}; the edit may have no effect or another one"
            for prompt in prompts
            if prompt not in known
        )


def choose_prompts(texts: Sequence[str], every: bool, known: tuple[str, ...]) -> tuple[str, ...]:
    """The prompts of edits with mappers: the given ones, all that are `known`, or the only one.

    Raises `InputError` for an unusable text, for both, or for neither where several are known.
    """
    if texts and every:
        raise InputError("give texts or ask for all of them, not both (--text, --all-texts)")
    if texts:
        return tuple(dict.fromkeys(map(check_prompt, texts)))
    if not known:
        raise InputError("this mapper does not tell its texts; give one (--text)")
    if every or len(known) == 1:
        return known
    shown = ", ".join(repr(prompt) for prompt in known[:_PROMPTS_SHOWN])
    rest = len(known) - _PROMPTS_SHOWN
    more = f" and {rest} more" if rest > 0 else ""
    raise InputError(
        f"this mapper was trained for {len(known)} texts, give one of them (--text) or ask for all "
        f"(--all-texts): {shown}{more}"
    )
