"""Edits that the ruler is tested by are what they say."""

from dataclasses import asdict

import pytest
import torch

from cfclip.tensors import psnr
from cfclip_benchmark.avatars import (
    AvatarEdit,
    AvatarRecord,
    Case,
    counted_attributes,
    draw_avatars,
    failures,
    forgeries,
    make_cases,
    perfect_edit,
    perturbed,
    pictures,
    read_prompts,
    unchanged_fails,
)
from cfclip_benchmark.avatars.attributes import COLOURS, SHAPES, changed
from cfclip_benchmark.avatars.colours import colour_truth, lab_from_rgb

SIDE = 64


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return make_cases(read_prompts().validation, draw_avatars("validation", 3))


def shapes(record: AvatarRecord) -> dict[str, str]:
    return {name: getattr(record, name) for name in SHAPES}


def differing(first: AvatarRecord, second: AvatarRecord) -> set[str]:
    one, other = asdict(first), asdict(second)
    return {name for name in one if one[name] != other[name]}


def test_a_perfect_edit_is_the_source_outside_and_the_answer_inside(cases: list[Case]) -> None:
    for case in cases:
        source = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
        mask = torch.from_numpy(case.edit.true_mask(case.record, SIDE))
        perfect, truth = perfect_edit(case, source), case.truths(SIDE)[:1]
        assert torch.equal(perfect[..., ~mask], source[..., ~mask])
        assert torch.equal(perfect[..., mask], truth[..., mask])


def test_perturbed_pictures_are_nearly_the_same(cases: list[Case]) -> None:
    images = pictures([case.record for case in cases[:2]], SIDE)
    found = perturbed(images, seed=0)
    assert list(found) == ["shifted", "JPEG", "noise"]
    for each in found.values():
        assert each.shape == images.shape
        assert not torch.equal(each, images)
        assert psnr(each, images).min() > 20.0
    assert float(psnr(found["noise"], images).mean()) == pytest.approx(34.0, abs=0.2)
    assert torch.equal(perturbed(images, seed=0)["noise"], found["noise"])
    assert torch.equal(perturbed(images[:1], seed=0)["JPEG"], found["JPEG"][:1])


def test_a_forged_edit_differs_from_the_answer_in_what_it_names(cases: list[Case]) -> None:
    kinds = set()
    for case in cases:
        answer = case.edit.true_answers(case.record)[0]
        for forgery in forgeries(case, shapes(case.record)):
            assert differing(forgery.record, answer) == {forgery.kind}
            assert forgery.kind in counted_attributes(case.edit, case.record)
            if forgery.kind in COLOURS:
                lab = lab_from_rgb(
                    [getattr(answer, forgery.kind), getattr(forgery.record, forgery.kind)]
                )
                assert abs(lab[0] - lab[1]).max() > 5.0
            kinds.add(forgery.kind)
    assert kinds >= {*SHAPES, "lip_colour", "clothes_colour", "background_colour"}


def test_what_inversion_shows_is_no_forgery(cases: list[Case]) -> None:
    case = cases[0]
    (usual,) = [each for each in forgeries(case, shapes(case.record)) if each.kind == "clothes"]
    shown = {**shapes(case.record), "clothes": usual.record.clothes}
    (other,) = [each for each in forgeries(case, shown) if each.kind == "clothes"]
    assert other.record.clothes not in (usual.record.clothes, case.record.clothes)


def test_failed_edits_leave_the_named_part_wrong(cases: list[Case]) -> None:
    green = AvatarEdit("skin", "green skin", {"skin_colour": "green"})
    for case in cases:
        record = case.record
        found = list(failures(Case(green, case.avatar, record)))
        kinds = [each.kind for each in found]
        assert kinds == ["a neighbouring colour", *["the colour on another part"] * 4]
        assert differing(found[0].record, record) == {"skin_colour"}
        assert unchanged_fails(Case(green, case.avatar, record))
        for each in found:
            lab = lab_from_rgb([each.record.skin_colour])
            assert colour_truth(lab, "green", "skin")[0] != 1
        done = Case(green, case.avatar, changed(record, skin_colour="green"))
        assert not unchanged_fails(done)
        assert [each.kind for each in failures(done)] == ["a neighbouring colour"]
