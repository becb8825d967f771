"""How near pictures are, all together, to others: kernel distance, of edits to rendered avatars."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cfclip.errors import InputError
from cfclip.tensors import signed_from_pil
from cfclip_benchmark.avatars import AvatarEdit, Case, Instruments, Split, draw_avatars
from cfclip_benchmark.benchmark_folder import BenchmarkFolder
from cfclip_benchmark.measured_edits import MeasuredEdit
from cfclip_benchmark.summary import ALL, CONTROL, COUNTERFACTUAL

_DEGREE = 3


def measure_realism(
    rows: Sequence[MeasuredEdit],
    folder: BenchmarkFolder,
    edits: Sequence[AvatarEdit],
    split: Split,
    instruments: Instruments,
    resolution: int,
) -> dict[tuple[str, str], float]:
    """KID of the edits to the typical true answers of the same cases, by (method, group).

    Of all, of the counterfactual and of the control prompts; smaller groups say too little.

    Raises:
        InputError: a picture that is missing.
    """
    by_prompt = {edit.prompt: edit for edit in edits}
    records = draw_avatars(split, max(row.avatar for row in rows) + 1)
    cases = {
        row.key[1:]: Case(by_prompt[row.prompt], row.avatar, records[row.avatar]) for row in rows
    }
    truths = torch.cat([case.truths(resolution)[:1] for case in cases.values()])
    true_features = dict(zip(cases, instruments.features(truths), strict=True))
    realism = {}
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method]
        files = [folder.picture(method, cases[row.key[1:]].name) for row in own]
        pictures = signed_from_pil([folder.open_picture(file) for file in files], resolution)
        features = instruments.features(pictures)
        wanted = torch.stack([true_features[row.key[1:]] for row in own])
        control = torch.tensor([row.family == CONTROL for row in own])
        for group, members in (
            (ALL, control | ~control),
            (COUNTERFACTUAL, ~control),
            (CONTROL, control),
        ):
            if members.sum() > 1:
                realism[method, group] = kernel_distance(
                    features[members], wanted[members], paired=True
                )
    return realism


def kernel_distance(first: Tensor, second: Tensor, paired: bool = False) -> float:
    """KID (Bińkowski et al., ICLR 2018): the squared maximum mean discrepancy, estimated without
    bias, with the kernel `(x . y / d + 1)^3`.

    All pairs are used, where implementations that draw subsets depend on the draw. 0 for sets of
    one distribution on average, so that it may come out below 0.

    Args:
        first, second: (N, d) and (M, d) features, two or more of each; taken to float64.
        paired: whether row i of both is of the same case. Such pairs are alike because of what
            they are pairs of, as a picture is to itself; they are left out as that is, or the
            distance would come out too low, and lower the fewer there are.

    Raises:
        InputError: too few features, or pairs of different numbers.

    >>> one, other = torch.tensor([[0.0], [0.0]]), torch.tensor([[1.0], [1.0]])
    >>> kernel_distance(one, other)  # 1 + 2^3 - 2 * 1
    7.0
    >>> kernel_distance(one, one + torch.tensor([[0.0], [1.0]]), paired=True)  # 1 + 1 - 2 * 1
    0.0
    """
    if paired and len(first) != len(second):
        raise InputError(f"{len(first)} and {len(second)} pictures are no pairs; give as many")
    if min(len(first), len(second)) < 2:
        raise InputError(
            f"{len(first)} and {len(second)} pictures are too few to compare; give 2 of each"
        )
    x, y = first.double(), second.double()
    within = sum(_mean_of_others(_kernel(each, each)) for each in (x, y))
    across = _kernel(x, y)
    return float(within - 2.0 * (_mean_of_others(across) if paired else across.mean()))


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1.0) ** _DEGREE


def _mean_of_others(kernel: Tensor) -> Tensor:
    """Mean over pairs of different rows."""
    count = len(kernel)
    return (kernel.sum() - torch.diagonal(kernel).sum()) / (count * (count - 1))
