"""The cases of the benchmark: an avatar that nothing was trained on, a prompt, the true answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cfclip.errors import InputError
from cfclip.tensors import signed_from_uint8
from cfclip_benchmark.avatars.attributes import (
    TEST_SEED,
    VALIDATION_SEED,
    AttributeTable,
    AvatarRecord,
    excluded,
    sample_table,
)
from cfclip_benchmark.avatars.avatar_edits import AvatarEdit
from cfclip_benchmark.avatars.benchmark_prompts import prompt_name
from cfclip_benchmark.avatars.renderer import render
from cfclip_benchmark.avatars.splits import Split

MOST_AVATARS = 1000
"""A table of another length has other avatars, so one of this length is drawn, and its first rows
taken: avatar 3 is the same however many there are."""
_SEEDS: dict[Split, int] = {"validation": VALIDATION_SEED, "test": TEST_SEED}


@dataclass(frozen=True)
class Case:
    """One prompt for one avatar."""

    edit: AvatarEdit
    avatar: int
    """Number of the avatar in its split."""
    record: AvatarRecord
    """What the avatar looks like before the edit."""

    @property
    def name(self) -> str:
        """Short and plain, for files."""
        return case_name(self.edit.prompt, self.avatar)

    def truth(self, resolution: int) -> Tensor:
        """The typical true answer, rendered: `(1, 3, side, side)`."""
        return pictures(self.edit.true_answers(self.record)[:1], resolution)

    def truths(self, resolution: int) -> Tensor:
        """Every true answer, rendered, the typical one first: `(answers, 3, side, side)`."""
        return pictures(self.edit.true_answers(self.record), resolution)


def case_name(prompt: str, avatar: int) -> str:
    """What the case of a prompt and an avatar is called in file names."""
    return f"{prompt_name(prompt)}-{avatar:03d}"


def pictures(records: Sequence[AvatarRecord], resolution: int) -> Tensor:
    """Avatars rendered as an image tensor."""
    pixels = np.stack([render(record, resolution) for record in records])
    return signed_from_uint8(torch.from_numpy(pixels))


def draw_avatars(split: Split, count: int) -> list[AvatarRecord]:
    """The first natural avatars of a split. Raises `InputError` for a count out of limits."""
    if not 1 <= count <= MOST_AVATARS:
        raise InputError(f"images is {count}, it must be from 1 to {MOST_AVATARS}")
    table = sample_table(MOST_AVATARS, "natural", _SEEDS[split])
    return [table.record(row) for row in range(count)]


def make_cases(edits: Sequence[AvatarEdit], records: Sequence[AvatarRecord]) -> list[Case]:
    """Every prompt for every avatar, avatar by avatar.

    Of a control, which shall ask for what natural avatars have, those are left out whose true
    answers no natural avatar can be: a beard on one in a dress.
    """
    cases = [Case(edit, row, record) for row, record in enumerate(records) for edit in edits]
    return [case for case in cases if case.edit.family != "control" or _stays_natural(case)]


def _stays_natural(case: Case) -> bool:
    answers = AttributeTable.from_records(case.edit.true_answers(case.record))
    return not excluded(answers.codes).any()
