"""How far an edit moved the latent."""

from torch import Tensor, nn

from cfclip.errors import InputError
from cfclip.losses.embedding_rows import Reduction, reduce_images


def latent_l2_loss(offset: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Mean square over all entries of an image's latent offset.

    CF-CLIP takes this mean. StyleCLIP's optimisation takes the sum instead: its weight has to be
    multiplied by the number of entries.

    Args:
        offset: `(B, ...)`, the edited latent minus the source's, in any latent space.
        reduction: `"mean"` over images, or `"none"` for the `(B,)` values.

    Raises:
        InputError: an offset without a batch axis or entries, or an unknown reduction.

    >>> import torch
    >>> latent_l2_loss(torch.tensor([[3.0, 4.0]]))
    tensor(12.5000)
    """
    if offset.ndim < 2 or offset.numel() == 0:
        raise InputError(f"offset has shape {tuple(offset.shape)}, expected (batch, entries, ...)")
    return reduce_images(offset.square().flatten(1).mean(1), reduction)


class LatentL2Loss(nn.Module):
    """`latent_l2_loss` as a module; `forward(offset)`."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction: Reduction = reduction

    def forward(self, offset: Tensor) -> Tensor:
        return latent_l2_loss(offset, self.reduction)
