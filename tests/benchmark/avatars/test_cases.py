import numpy as np
import pytest
import torch

from cfclip.errors import InputError
from cfclip.tensors import uint8_from_signed
from cfclip_benchmark.avatars import AvatarEdit, Case, draw_avatars, make_cases, pictures, render
from cfclip_benchmark.avatars.attributes import changed

GREEN = AvatarEdit("hair", "green hair", {"hair_colour": "green"})
BEARD = AvatarEdit("control", "a beard", {"beard": "beard"})


def test_avatars_are_the_same_however_many_there_are() -> None:
    many = draw_avatars("test", 40)
    assert draw_avatars("test", 3) == many[:3]
    assert not set(many) & set(draw_avatars("validation", 40))
    for count in (0, 1001):
        with pytest.raises(InputError, match=r"images is .*, it must be from 1 to 1000"):
            draw_avatars("test", count)


def test_every_prompt_for_every_avatar_but_controls_stay_natural() -> None:
    records = draw_avatars("test", 40)
    cases = make_cases([GREEN, BEARD], records)
    assert [case.avatar for case in cases] == sorted(case.avatar for case in cases)
    assert [case.avatar for case in cases if case.edit is GREEN] == list(range(40))
    bearded = {case.avatar for case in cases if case.edit is BEARD}
    for row, record in enumerate(records):
        long = record.rear_hair in ("long_straight", "long_wavy")
        assert (row in bearded) == (record.clothes != "dress" and not long)
    assert 0 < len(bearded) < 40


def test_the_truth_of_a_case() -> None:
    record = changed(draw_avatars("test", 1)[0], beard="none")
    case = Case(BEARD, 7, record)
    assert case.name == "a-beard-007"
    truths = uint8_from_signed(case.truths(64)).numpy()
    for truth, beard in zip(truths, ("full", "long"), strict=True):
        assert np.array_equal(truth, render(changed(record, beard=beard), 64))
    assert torch.equal(pictures([record], 64)[0], pictures([record, record], 64)[1])
