"""CLIP models of open_clip as embedders, opened from any known origin.

The activation is decided by where the weights are from, never by a default: the same weights with
the other one give features that look right and are wrong.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from cfclip.embedders.attention import with_own_attention
from cfclip.embedders.clip_config import (
    CONFIG_FILE,
    MERGES_FILE,
    checked_statistics,
    file_in,
    is_of_transformers,
)
from cfclip.embedders.clip_files import clip_with_weights, load_tokenizer, read_clip
from cfclip.embedders.embedder import Embedder
from cfclip.errors import CheckpointError, InputError
from cfclip.tensors import unit_range_from_signed

_LOG = logging.getLogger(__name__)

_USUAL_VOCABULARY = 49408
_USUAL_LENGTH = 77
"""Of the tokens that there are, and of those of a text, where a configuration does not say."""

# open_clip shows intermediate maps of its transformers per block; this many, evenly spaced.
_TRANSFORMER_MAPS = 4


class ClipEmbedder(Embedder):
    """A CLIP model of open_clip, frozen.

    Takes the model over: it is put in eval mode, its parameters stop taking gradients, and its
    convolutions change their memory format. Give a copy of a model that is still being trained.

    Args:
        model: a model with open_clip's interface (`encode_image`, `encode_text`, `visual`).
        tokenizer: one of open_clip's tokenizers; its vocabulary must be the model's.
        image_mean: the three channel means of the images in [0, 1] that the model was trained on.
        image_std: the three channel standard deviations.
        image_size: side of the images that the model reads; the model's own if not given.

    Raises:
        InputError: a model whose image size is not square, or statistics of another length.
    """

    image_mean: Tensor
    image_std: Tensor

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any,
        image_mean: Sequence[float],
        image_std: Sequence[float],
        image_size: int | None = None,
    ) -> None:
        vision: Any = model.visual
        side = _square_side(vision.image_size if image_size is None else image_size)
        super().__init__(dim=_embedding_dim(model), image_size=side)
        if len(image_mean) != 3 or len(image_std) != 3 or min(image_std) <= 0:
            raise InputError(
                f"image mean {tuple(image_mean)} and deviation {tuple(image_std)} must have 3 "
                "numbers each, the deviations positive"
            )
        # On a CPU the convolutions of a small residual CLIP are 1.4 times as fast channels last.
        self.model = model.requires_grad_(False).to(memory_format=torch.channels_last)
        with_own_attention(vision)  # texts are read once
        self.tokenizer = tokenizer
        shape = (1, 3, 1, 1)
        self.register_buffer("image_mean", torch.tensor(list(image_mean)).view(shape), False)
        self.register_buffer("image_std", torch.tensor(list(image_std)).view(shape), False)
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Stays in eval mode: batch statistics would make embeddings depend on their batch."""
        del mode
        return super().train(False)

    def encode_images(self, images: Tensor) -> Tensor:
        return self._model.encode_image(self._normalised(images))

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return self._model.encode_text(self.tokenize(texts).to(self.image_mean.device))

    def encode_image_maps(self, images: Tensor) -> list[Tensor]:
        vision = self._model.visual
        indices = _map_indices(vision)
        output = vision.forward_intermediates(
            self._normalised(images),
            indices=indices,
            stop_early=True,
            intermediates_only=True,
        )
        return list(output["image_intermediates"])

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """int64 tokens `(N, context_length)`.

        Raises:
            InputError: a text that has more tokens than the text encoder reads (open_clip would
                silently cut it), or that contains one of the tokenizer's own marks.
        """
        # CLIP's own tokenizer; open_clip's wrappers of other libraries' have no `encode`.
        encode = getattr(self.tokenizer, "encode", None)
        if encode is not None:
            marks = set(self.tokenizer.all_special_ids)
            limit = self.tokenizer.context_length
            for text in texts:
                tokens = encode(text)
                if marks.intersection(tokens):
                    raise InputError(
                        f"the text {_shortened(text)} contains a mark that CLIP reserves, such as "
                        "<end_of_text>; remove it"
                    )
                count = len(tokens) + 2
                if count > limit:
                    raise InputError(
                        f"the text {_shortened(text)} has {count} tokens with its start and end, "
                        f"CLIP reads at most {limit}; shorten it"
                    )
        return self.tokenizer(list(texts))

    @property
    def _model(self) -> Any:
        # open_clip has no types; nn.Module's attributes would be Tensor | Module.
        return self.model

    def _normalised(self, images: Tensor) -> Tensor:
        normalised = (unit_range_from_signed(images) - self.image_mean) / self.image_std
        return normalised.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class OpenedClip:
    """A CLIP as it was opened: float32, on the CPU."""

    model: nn.Module
    config: dict[str, Any]
    """`model_cfg` and `preprocess_cfg` (with `mean` and `std`), which build it again."""
    tokenizer: Any
    """One of open_clip's tokenizers."""
    origin: str
    """Where it came from, in a few words that are the same on other machines."""
    activation: str
    """Which activation it has, and who says so."""
    merges: Path | None = None
    """The file of a vocabulary of its own; None for the tokenizer of its kind."""


def load_clip(source: str | Path, device: str | torch.device = "cpu") -> ClipEmbedder:
    """A CLIP embedder in float32 from any source that `open_clip_model` knows.

    Where it came from and which activation it has are logged at level INFO.

    Args:
        source: a folder, a file, or a name of open_clip's; see `open_clip_model`.
        device: where the model shall be.

    Raises:
        InputError: a source of no known form.
        CheckpointError: files that are missing or damaged, weights that do not fit the config.
    """
    opened = open_clip_model(source)
    _LOG.info("%s: %s", opened.origin, opened.activation)
    preprocess = opened.config["preprocess_cfg"]
    embedder = ClipEmbedder(opened.model, opened.tokenizer, preprocess["mean"], preprocess["std"])
    return embedder.to(device)


def open_clip_model(source: str | Path) -> OpenedClip:
    """The CLIP of a source, its weights loaded strictly. Nothing in a file is executed.

    Args:
        source: one of

            - a folder as open_clip keeps them (`cfclip.embedders.clip_files`), or of
              transformers with a `CLIPModel` in it;
            - a `.pt` file that OpenAI published (a TorchScript archive);
            - a name of OpenAI's, such as `"ViT-B/32"`;
            - `"MODEL:TAG"` of open_clip's collection;
            - `"MODEL:FILE"`, weights for a configuration of open_clip;
            - `"hf-hub:OWNER/NAME"`.

            What names stand for is downloaded once, by huggingface_hub.

    Raises:
        InputError: a source of none of these forms, a name that open_clip does not know, or that
            of a CLIP that cannot be used.
        CheckpointError: files that are missing or damaged, weights that do not fit, a CLIP that
            cannot be used.
        DownloadError: what cannot be downloaded.
    """
    if os.path.isdir(source):
        return _from_folder(Path(source), Path(source).resolve().name)
    from cfclip.embedders.clip_sources import find_clip
    from cfclip.embedders.clip_weights import open_weights

    found = find_clip(source)
    return _from_folder(found.path, found.origin) if found.path.is_dir() else open_weights(found)


def _from_folder(folder: Path, origin: str) -> OpenedClip:
    if is_of_transformers(folder):
        from cfclip.embedders.huggingface_clip import read_huggingface_clip

        tensors, config = read_huggingface_clip(folder)
        model = clip_with_weights(config["model_cfg"], tensors, str(folder))
        reason = "hidden_act in its config.json says so"
        return assembled(model, config, str(folder), origin, reason)
    model, config = read_clip(folder)
    try:
        config["preprocess_cfg"] = checked_statistics(config.get("preprocess_cfg", {}))
    except InputError as error:
        raise CheckpointError(f"{folder / CONFIG_FILE}: {error}; get it again") from error
    merges = file_in(folder, MERGES_FILE)
    return assembled(model, config, str(folder), origin, f"its {CONFIG_FILE} says so", merges)


def assembled(
    model: nn.Module,
    config: Mapping[str, Any],
    source: str,
    origin: str,
    reason: str,
    merges: Path | None = None,
) -> OpenedClip:
    """A model with its tokenizer, and open_clip's usual statistics where its config has none.

    Args:
        model: a CLIP with its weights.
        config: its `model_cfg` and, as far as there is one, `preprocess_cfg`.
        source: what an error calls it.
        origin: as in `OpenedClip`.
        reason: why it has the activation of its config.
        merges: as in `OpenedClip`.

    Raises:
        CheckpointError: a tokenizer of another size than the text encoder's.
    """
    statistics = dict(config.get("preprocess_cfg", {}))
    if not {"mean", "std"} <= statistics.keys():
        from open_clip.transform import PreprocessCfg

        usual = {"mean": list(PreprocessCfg.mean), "std": list(PreprocessCfg.std)}
        statistics = {**usual, **statistics}
    whole = {**config, "preprocess_cfg": statistics}
    tokenizer = _tokenizer(config["model_cfg"]["text_cfg"], source, merges)
    activation = "QuickGELU" if config["model_cfg"].get("quick_gelu", False) else "GELU"
    return OpenedClip(model, whole, tokenizer, origin, f"{activation}: {reason}", merges)


def _tokenizer(text_cfg: Mapping[str, Any], source: str, merges: Path | None = None) -> Any:
    """CLIP's tokenizer, with the merges of a file if there is one, for a text encoder."""
    context_length = text_cfg.get("context_length", _USUAL_LENGTH)
    tokenizer: Any
    if merges is None:
        from open_clip.tokenizer import SimpleTokenizer

        tokenizer = SimpleTokenizer(context_length=context_length)
    else:
        tokenizer = load_tokenizer(merges, context_length)
    size = text_cfg.get("vocab_size", _USUAL_VOCABULARY)
    if size != tokenizer.vocab_size:
        state = "missing" if merges is None else "of another model"
        raise CheckpointError(
            f"the text encoder in {source} has {size} tokens and its tokenizer "
            f"{tokenizer.vocab_size}; {MERGES_FILE} is {state}, restore it"
        )
    return tokenizer


def _map_indices(vision: Any) -> list[int]:
    """Which blocks of an image encoder give maps; of a residual network, all but the stem."""
    from cfclip.embedders.towers import CompactNet

    if hasattr(vision, "layer4"):
        return [1, 2, 3, 4]
    if isinstance(tower := getattr(vision, "trunk", None), CompactNet):
        return list(range(tower.map_count))
    blocks = getattr(getattr(vision, "transformer", None), "resblocks", None)
    if blocks is None:
        raise InputError(
            f"the image encoder {type(vision).__name__} shows no feature maps; use a CLIP with a "
            "residual network or a vision transformer"
        )
    count = min(_TRANSFORMER_MAPS, len(blocks))
    return [len(blocks) * (i + 1) // count - 1 for i in range(count)]


def _square_side(size: int | Sequence[int]) -> int:
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if sides[0] != sides[1]:
        raise InputError(f"the image encoder reads {sides[1]}x{sides[0]} images, expected a square")
    return int(sides[0])


def _embedding_dim(model: Any) -> int:
    # Towers of timm do not know how wide they are; the text projection of a CLIP does.
    width = getattr(model.visual, "output_dim", None)
    return int(model.text_projection.shape[1] if width is None else width)


def _shortened(text: str, limit: int = 60) -> str:
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")
