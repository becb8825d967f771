"""Random perspectives of the edited image, so that CLIP cannot be fooled at the level of pixels.

At 8 copies of 128x128, forward and backward, warping takes a seventh of the time of a small CLIP on
the same images, and nearly all of that is sampling, which any warp has to do.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cfclip.errors import InputError
from cfclip.losses.perspective import perspective_matrices, warp_perspective
from cfclip.tensors import check_images, seeded

COPIES = 8
DISTORTION = 0.5
"""Both as CF-CLIP has them."""

# The way inside, (x, y), from the top left, top right, bottom right and bottom left corner.
_INWARD = ((1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0))


class RandomPerspective(nn.Module):
    """Several random perspectives of every image of a batch.

    A perspective moves each corner of the image inwards, along x and y independently and uniformly,
    by up to `distortion / 2` of the side; the uncovered border is 0, which is mid-grey. One
    perspective per sample is a deviation from the released code, which draws 8 and shares each of
    them over the batch.

    The draws for an image follow from the seed, the image's index and the step alone, so that an
    image's augmentations do not depend on what else is in the batch.

    Args:
        copies: A, the perspectives per image, at least 1.
        distortion: 0 (none) to 1 (corners may reach the middle).

    Raises:
        InputError: settings outside these limits.
    """

    def __init__(self, copies: int = COPIES, distortion: float = DISTORTION) -> None:
        super().__init__()
        if copies < 1:
            raise InputError(f"copies is {copies}, expected at least 1")
        if not 0.0 <= distortion <= 1.0:
            raise InputError(f"distortion is {distortion}, expected 0 to 1")
        self.copies = copies
        self.distortion = distortion

    def forward(
        self, images: Tensor, seed: int, step: int, indices: Sequence[int] | None = None
    ) -> Tensor:
        """Image tensor `(B, 3, height, width)` in [-1, 1] to `(A * B, 3, height, width)`.

        Row `a * B + b` is a perspective of image `b`. Differentiable in `images`.

        Args:
            images: image tensor.
            seed, step: non-negative; together with an index they fix the draws of an image.
            indices: the identity of each image of this batch, `range(B)` if not given. Pass the
                original positions when a batch has lost some of its images.

        Raises:
            InputError: images of another shape, not one index per image, or a negative number.
        """
        check_images(images)
        batch, _, height, width = images.shape
        identities = range(batch) if indices is None else indices
        if len(identities) != batch:
            raise InputError(f"{len(identities)} indices for {batch} images, expected one for each")

        # (A, B, 4, 2), flattened to rows a * B + b
        moves = torch.stack([self._moves(seed, index, step) for index in identities], 1)
        moves = moves.flatten(0, 1)
        half = torch.tensor([width, height]) * (self.distortion / 2)
        corners = torch.tensor(
            [[0.0, 0.0], [width - 1.0, 0.0], [width - 1.0, height - 1.0], [0.0, height - 1.0]]
        ).expand(len(moves), -1, -1)
        moved = corners + moves * half * torch.tensor(_INWARD)
        # In mixed precision the coordinates would be rounded to whole pixels and worse.
        with (
            torch.autocast("cpu", enabled=False),
            torch.autocast(images.device.type, enabled=False),
        ):
            matrices = perspective_matrices(corners, moved).to(images)
            return warp_perspective(images.repeat(self.copies, 1, 1, 1), matrices)

    def _moves(self, seed: int, index: int, step: int) -> Tensor:
        """Uniform numbers in [0, 1), `(A, 4 corners, 2)`, that only the arguments decide."""
        if min(seed, index, step) < 0:
            raise InputError(
                f"seed {seed}, image index {index} and step {step} must not be negative"
            )
        return torch.rand(self.copies, 4, 2, generator=seeded(seed, index, step))
