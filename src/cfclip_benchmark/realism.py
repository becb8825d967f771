"""How near the edits of a method are, all together, to rendered avatars."""

from collections.abc import Sequence

import torch

from cfclip.tensors import signed_from_pil
from cfclip_benchmark.avatars.cases import Case, draw_avatars
from cfclip_benchmark.avatars.measures import Instruments
from cfclip_benchmark.avatars.scores import AvatarEdit
from cfclip_benchmark.avatars.splits import Split
from cfclip_benchmark.benchmark_folder import BenchmarkFolder
from cfclip_benchmark.kernel_distance import kernel_distance
from cfclip_benchmark.measured_edits import MeasuredEdit
from cfclip_benchmark.summary import ALL, CONTROL, COUNTERFACTUAL


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
    known = {edit.prompt: edit for edit in edits}
    records = draw_avatars(split, max(row.avatar for row in rows) + 1)
    cases = {
        (row.prompt, row.avatar): Case(known[row.prompt], row.avatar, records[row.avatar])
        for row in rows
    }
    truths = torch.cat([case.truths(resolution)[:1] for case in cases.values()])
    true = dict(zip(cases, instruments.features(truths), strict=True))
    realism = {}
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method]
        names = [cases[row.prompt, row.avatar].name for row in own]
        edits_made = [folder.open_picture(folder.picture(method, name)) for name in names]
        made = instruments.features(signed_from_pil(edits_made, resolution))
        wanted = torch.stack([true[row.prompt, row.avatar] for row in own])
        for group in (ALL, COUNTERFACTUAL, CONTROL):
            members = [i for i, row in enumerate(own) if _belongs(row, group)]
            if len(members) > 1:
                realism[method, group] = kernel_distance(
                    made[members], wanted[members], paired=True
                )
    return realism


def _belongs(row: MeasuredEdit, group: str) -> bool:
    return group == ALL or (row.family == CONTROL) == (group == CONTROL)
