"""What a text is made of: its embedding as a sparse sum of the embeddings of known texts.

After SpLiCE (Bhalla et al., NeurIPS 2024), which decomposes embeddings of CLIP into words; the
weights are those of the non-negative lasso, found by accelerated proximal gradient (Beck and
Teboulle, SIAM J. Imaging Sciences 2009).
"""

import torch
from torch import Tensor

from cfclip.losses.embedding_rows import check_rows

SPARSITY = 0.05
"""Price of a weight, in units of the cosine that it has to explain."""
_STEPS = 1000


@torch.no_grad()
def decompose(texts: Tensor, known: Tensor, sparsity: float = SPARSITY) -> Tensor:
    """Weights of the known texts in each text.

    `argmin_(w >= 0) |t - w K|^2 / 2 + sparsity * sum(w)`.

    Args:
        texts: unit embeddings `(N, dim)`.
        known: unit embeddings `(M, dim)`, K.
        sparsity: at least 0; at 1 or more, no weight is worth its price.

    Returns:
        `(N, M)`, at least 0, in float64 on the CPU, whatever the texts' device is.

    Raises:
        InputError: not matrices of one width.

    >>> decompose(torch.tensor([[0.6, -0.8]]), torch.eye(2), sparsity=0.1)
    tensor([[0.5000, 0.0000]], dtype=torch.float64)
    """
    check_rows("texts", texts)
    check_rows("known", known, texts.shape[1])
    texts, known = texts.cpu().double(), known.cpu().double()
    gram, explained = known @ known.T, texts @ known.T - sparsity
    rate = 1.0 / torch.linalg.matrix_norm(gram, 2)
    weights = ahead = torch.zeros_like(explained)
    pace = 1.0
    for _ in range(_STEPS):
        found = (ahead - rate * (ahead @ gram - explained)).clamp_min(0.0)
        faster = (1.0 + (1.0 + 4.0 * pace**2) ** 0.5) / 2.0
        ahead = found + (pace - 1.0) / faster * (found - weights)
        weights, pace = found, faster
    return weights
