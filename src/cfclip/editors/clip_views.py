"""What CLIP sees of an edit: texts in their templates, images under random perspectives."""

from collections.abc import Sequence

from torch import Tensor

from cfclip.embedders.embedder import Embedder
from cfclip.embedders.prompts import check_prompt, fill_templates
from cfclip.errors import InputError
from cfclip.losses.augmentation import RandomPerspective
from cfclip.tensors import resize_images


def embed_prompt(embedder: Embedder, templates: Sequence[str], text: str) -> Tensor:
    """Unit embeddings `(K, dim)` of a text in K templates. Raises `InputError` for a bad text."""
    return embedder.embed_texts(fill_templates(templates, check_prompt(text)))


def embed_aspects(
    embedder: Embedder, aspects: Sequence[Sequence[str]], weight: float
) -> tuple[Tensor, ...]:
    """Unit embeddings `(values, dim)` of the texts that name the values of each aspect.

    The texts are bare: a template adds little to a softmax of them. None if the aspects have no
    `weight`; raises `InputError` if they have one and there are none.
    """
    if not weight:
        return ()
    if not aspects:
        raise InputError(f"aspects is {weight}, but the pack names no aspects; set its weight to 0")
    return tuple(embedder.embed_texts(list(texts)) for texts in aspects)


def embed_views(
    embedder: Embedder,
    augment: RandomPerspective,
    images: Tensor,
    seed: int,
    step: int,
    identities: Sequence[int],
) -> Tensor:
    """Unit embeddings `(A * B, dim)` of A random perspectives of each image `(B, 3, R, R)`.

    Row `a * B + b` is of image `b`; differentiable in `images`. The rest is as in
    `RandomPerspective`.
    """
    # CLIP sees no more pixels than its own size: warping more would only take time.
    if images.shape[-1] > embedder.image_size:
        images = resize_images(images, embedder.image_size)
    return embedder.embed_images(augment(images, seed, step, identities))
