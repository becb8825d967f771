"""What every joint image-text embedder offers."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Self, TypeAlias

import torch
from torch import Tensor, nn

from cfclip.embedders.prompts import check_prompt, fill_templates
from cfclip.errors import InputError
from cfclip.tensors import check_images, resize_images, unit

Augment: TypeAlias = Callable[[Tensor, int, int, Sequence[int]], Tensor]
"""Images, seed, step and identities to A views of each."""

TEXT_CACHE_SIZE = 8192
"""Texts whose features are kept: about a hundred prompts in 79 templates, 16 MB at 512 floats."""

# Texts in one pass of the encoder, always as many: which texts are in the cache already must not
# change the last bits of the others, as batches of other sizes would.
_TEXT_BATCH = 16

# Channels of a feature map that are all zero after a ReLU have no direction; their gradient is then
# at most 1 / this.
_MAP_EPS = 1e-3


class Embedder(nn.Module, ABC):
    """A frozen pair of encoders into one space, in which cosines compare images and texts.

    Subclasses give the encoders; this class gives resizing, unit length, the text cache and counts.
    The module is in eval mode and none of its parameters takes a gradient; images do.

    Attributes:
        dim: width of the embeddings.
        image_size: side in pixels of the images that the image encoder reads.
        image_calls: images encoded so far.
        text_calls: texts encoded so far; a text found in the cache does not count.
    """

    def __init__(self, dim: int, image_size: int) -> None:
        super().__init__()
        self.dim = dim
        self.image_size = image_size
        self.image_calls = 0
        self.text_calls = 0
        self._texts: OrderedDict[str, Tensor] = OrderedDict()

    @abstractmethod
    def encode_images(self, images: Tensor) -> Tensor:
        """Image tensor `(B, 3, image_size, image_size)` in [-1, 1] to raw features `(B, dim)`."""

    @abstractmethod
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """N texts to raw features `(N, dim)`; `InputError` for a text that does not fit."""

    @abstractmethod
    def encode_image_maps(self, images: Tensor) -> list[Tensor]:
        """Image tensor of side `image_size` to raw intermediate maps, each `(B, C, h, w)`."""

    def image_features(self, images: Tensor) -> Tensor:
        """Raw image features `(B, dim)` float32, differentiable.

        Args:
            images: image tensor `(B, 3, height, width)` in [-1, 1] of any size, resized to
                `image_size` (antialiased bicubic) if it has another.

        Raises:
            InputError: images of another shape.
        """
        return self.encode_images(self._resized(images)).float()

    def embed_images(self, images: Tensor) -> Tensor:
        """`image_features` at unit length."""
        return unit(self.image_features(images))

    def image_feature_maps(self, images: Tensor) -> list[Tensor]:
        """Intermediate maps of the image encoder, from fine to coarse, for perceptual distances.

        Args:
            images: as in `image_features`.

        Returns:
            Maps `(B, C, h, w)` float32, each of unit length over C at every position.

        Raises:
            InputError: images of another shape, or an image encoder that shows no maps.
        """
        maps = self.encode_image_maps(self._resized(images))
        return [unit(m.float().movedim(1, -1), _MAP_EPS).movedim(-1, 1) for m in maps]

    def text_features(self, texts: Sequence[str]) -> Tensor:
        """Raw text features `(N, dim)` float32 without gradient, in the order of `texts`.

        Each distinct text is encoded once and then kept; the cache is by the text itself.

        Raises:
            InputError: no text, or one that the text encoder cannot read whole.
        """
        if isinstance(texts, str):
            raise InputError(f"texts is the string {texts!r}, expected a list of strings")
        wanted = list(texts)
        if not wanted:
            raise InputError("texts is empty, expected at least one text")
        found = {text: self._texts[text] for text in wanted if text in self._texts}
        missing = [text for text in dict.fromkeys(wanted) if text not in found]
        for start in range(0, len(missing), _TEXT_BATCH):
            batch = missing[start : start + _TEXT_BATCH]
            padding = batch[:1] * (_TEXT_BATCH - len(batch))
            with torch.no_grad():
                features = self.encode_texts(batch + padding).float()
            self.text_calls += len(batch)
            found.update(zip(batch, features, strict=False))
        for text in found:
            self._texts[text] = found[text]
            self._texts.move_to_end(text)
        while len(self._texts) > TEXT_CACHE_SIZE:
            self._texts.popitem(last=False)
        return torch.stack([found[text] for text in wanted])

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """`text_features` at unit length."""
        return unit(self.text_features(texts))

    def embed_prompt(self, templates: Sequence[str], text: str) -> Tensor:
        """Unit embeddings `(K, dim)` of a text in K templates; `InputError` for a bad text."""
        return self.embed_texts(fill_templates(templates, check_prompt(text)))

    def embed_aspects(self, aspects: Sequence[Sequence[str]], weight: float) -> tuple[Tensor, ...]:
        """Unit embeddings `(values, dim)` of the texts that name the values of each aspect.

        The texts are bare: a template adds little to a softmax of them. None if the aspects have no
        `weight`; raises `InputError` if they have one and there are none.
        """
        if not weight:
            return ()
        if not aspects:
            raise InputError(
                f"aspects is {weight}, but the pack names no aspects; set its weight to 0"
            )
        return tuple(self.embed_texts(list(texts)) for texts in aspects)

    def embed_views(
        self, augment: Augment, images: Tensor, seed: int, step: int, identities: Sequence[int]
    ) -> Tensor:
        """Unit embeddings `(A * B, dim)` of A random perspectives of each image `(B, 3, R, R)`.

        Row `a * B + b` is of image `b`; differentiable in `images`. The rest is as in
        `cfclip.losses.augmentation.RandomPerspective`.
        """
        # CLIP sees no more pixels than its own size: warping more would only take time.
        if images.shape[-1] > self.image_size:
            images = resize_images(images, self.image_size)
        return self.embed_images(augment(images, seed, step, identities))

    def _resized(self, images: Tensor) -> Tensor:
        check_images(images)
        self.image_calls += images.shape[0]
        return resize_images(images, self.image_size)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # Moving the module to another device or type makes kept features stale.
        self._texts.clear()
        return super()._apply(fn, recurse)
