from collections.abc import Mapping
from itertools import cycle

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from cfclip.tensors import signed_from_uint8
from cfclip_benchmark import ARCHITECTURES, Probe
from cfclip_benchmark.avatars import AvatarEdit, EditScore, read_prompts, score_edits
from cfclip_benchmark.avatars.attributes import (
    ATTRIBUTES,
    COLOURS,
    LONG_REAR_HAIR,
    SHAPES,
    TEST_SEED,
    AvatarRecord,
    changed,
    classes,
    sample_records,
)
from cfclip_benchmark.avatars.readings import colour_masks
from cfclip_benchmark.avatars.renderer import render, render_masks

RESOLUTION = 64
SURE = 20.0
"""Logit of a class that there is no doubt of."""
GREEN_HAIR = AvatarEdit("hair", "green hair", {"hair_colour": "green"})
BEARDED_IN_A_DRESS = AvatarEdit(
    "excluded", "a bearded person in a dress", {"beard": "beard", "clothes": "dress"}
)
PROMPTS = read_prompts()
EDITS = (*PROMPTS.test, *PROMPTS.validation)
COUNTERFACTUAL = [edit for edit in EDITS if edit.family != "control"]
COLOUR_EDITS = [edit for edit in COUNTERFACTUAL if edit.family != "excluded"]
EXCLUDED_PAIRS = [edit for edit in EDITS if edit.family == "excluded"]


class Oracle(Probe):
    """Reads the true shapes of known avatars.

    It knows the avatars of the first batch, of the second, and so on in turns.
    """

    def __init__(self, *batches: list[AvatarRecord]) -> None:
        super().__init__({name: len(classes(name)) for name in ATTRIBUTES}, ARCHITECTURES[0])
        self.batches = cycle(batches)

    def seen(self) -> dict[str, Tensor]:
        """The classes of the next batch; of colours nothing, since they are not asked for."""
        records = next(self.batches)
        return {
            name: torch.tensor([classes(name).index(getattr(record, name)) for record in records])
            for name in SHAPES
        }

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {
            name: SURE * one_hot(own, self.classes[name]).float()
            for name, own in self.seen().items()
        }


def oracles(*batches: list[AvatarRecord]) -> list[Probe]:
    """Two probes that know the sources and, if they are others, the edited avatars."""
    return [Oracle(*batches), Oracle(*batches)]


@pytest.fixture(scope="module")
def records() -> list[AvatarRecord]:
    return sample_records(4, "natural", TEST_SEED)


@pytest.fixture
def plain(records: list[AvatarRecord]) -> AvatarRecord:
    """An avatar of whom every shape can be read, neither bearded nor in a dress."""
    return changed(
        records[0],
        beard="none",
        rear_hair="none",
        clothes="shirt",
        hair_colour="brown",
        brow_colour="black",
        lip_colour="rosy",
        skin_colour="pale",
        clothes_colour="green",
        background_colour="white",
    )


def rendered(records: list[AvatarRecord], **changes: str) -> Tensor:
    images = [render(changed(record, **changes), RESOLUTION) for record in records]
    return signed_from_uint8(torch.from_numpy(np.stack(images)))


def painted(images: Tensor, records: list[AvatarRecord], parts: Mapping[str, float]) -> Tensor:
    images = images.clone()
    for image, record in zip(images, records, strict=True):
        for part, value in parts.items():
            image[:, torch.tensor(render_masks(record, RESOLUTION)[part])] = value
    return images


def edited_to(edit: AvatarEdit, record: AvatarRecord, answer: AvatarRecord) -> EditScore:
    """The score of turning `record` into `answer`."""
    probes = oracles([record], [answer])
    (score,) = score_edits(edit, [record], rendered([record]), rendered([answer]), probes)
    return score


@pytest.mark.parametrize("edit", COLOUR_EDITS, ids=lambda edit: edit.prompt)
def test_the_true_colour_succeeds_and_keeps_everything_else(
    edit: AvatarEdit, records: list[AvatarRecord]
) -> None:
    source, truth = rendered(records), rendered(records, **edit.words)
    for index, score in enumerate(score_edits(edit, records, source, truth, oracles(records))):
        assert (score.prompt, score.avatar) == (edit.prompt, index)
        assert score.success
        assert score.kept == 1.0
        assert score.exact
        # Only mixed pixels at the outlines differ.
        assert score.psnr_outside > 15.0


@pytest.mark.parametrize("edit", EXCLUDED_PAIRS, ids=lambda edit: edit.prompt)
def test_every_true_pair_succeeds_and_keeps_everything_else(
    edit: AvatarEdit, records: list[AvatarRecord]
) -> None:
    known = 0
    for record in records:
        for answer in edit.true_answers(record):
            assert answer.beard != "none"
            assert answer.clothes == "dress" or answer.rear_hair in LONG_REAR_HAIR
            score = edited_to(edit, record, answer)
            assert score.success is not False
            assert score.kept == 1.0
            assert score.exact == score.success
            # Only differences too faint to be counted lie outside.
            assert score.psnr_outside > 60.0
            known += score.success is not None
    assert known


@pytest.mark.parametrize("edit", COUNTERFACTUAL, ids=lambda edit: edit.prompt)
def test_no_edit_fails_and_keeps_everything(edit: AvatarEdit, records: list[AvatarRecord]) -> None:
    source = rendered(records)
    scores = score_edits(edit, records, source, source, oracles(records))
    for score in scores:
        assert not score.success
        assert score.kept == 1.0
        assert not score.exact
        assert score.psnr_outside > 100.0
    assert any(score.success is False for score in scores)


def test_half_a_pair_fails(plain: AvatarRecord) -> None:
    for half in ({"clothes": "dress"}, {"beard": "full"}):
        score = edited_to(BEARDED_IN_A_DRESS, plain, changed(plain, **half))
        assert score.success is False
        assert score.exact is False
        assert score.kept == 1.0


def test_a_shape_that_leaves_the_word_undecided_fails(plain: AvatarRecord) -> None:
    goatee = changed(plain, beard="chin", clothes="dress", mouth="smile")
    assert edited_to(BEARDED_IN_A_DRESS, plain, goatee).success is False
    beards = {answer.beard for answer in BEARDED_IN_A_DRESS.true_answers(goatee)}
    assert beards == {"full", "long"}


def test_both_probes_have_to_read_the_shape(plain: AvatarRecord) -> None:
    answers = BEARDED_IN_A_DRESS.true_answers(plain)
    source, edited = rendered([plain]), rendered(answers[:1])
    believer, other, doubter = (
        Oracle([plain], [answers[0]]),
        Oracle([plain], [answers[1]]),
        Oracle([plain], [changed(plain, clothes="dress")]),
    )
    for second, success in ((other, True), (doubter, False)):
        probes = [believer, second]
        (score,) = score_edits(BEARDED_IN_A_DRESS, [plain], source, edited, probes)
        assert score.success is success
    assert [answer.beard for answer in answers] == ["full", "long"]


def test_what_an_avatar_already_has_is_not_changed(plain: AvatarRecord) -> None:
    edit = BEARDED_IN_A_DRESS
    dressed = changed(plain, clothes="dress")
    assert {answer.clothes for answer in edit.true_answers(dressed)} == {"dress"}
    # The mask is that of the beard alone: it does not depend on the clothes below it.
    mask, whole = (edit.true_mask(record, RESOLUTION) for record in (dressed, plain))
    assert (mask & ~whole).sum() == 0
    assert 0 < mask.sum() < whole.sum()
    # What it has must not be lost: it is named, though it is not changed.
    lost_dress = changed(dressed, beard="full", clothes="shirt")
    assert edited_to(edit, dressed, lost_dress).success is False
    assert edited_to(edit, dressed, changed(dressed, beard="full")).exact

    longbeard = changed(plain, beard="long")
    assert edit.true_answers(longbeard) == [changed(longbeard, clothes="dress")]

    both = changed(plain, beard="long", clothes="dress")
    assert edit.true_answers(both) == [both]
    assert not edit.true_mask(both, RESOLUTION).any()
    assert edited_to(edit, both, both).exact


def test_pixels_that_only_another_true_answer_changes_are_not_outside(plain: AvatarRecord) -> None:
    full, long = BEARDED_IN_A_DRESS.true_answers(plain)
    mask = BEARDED_IN_A_DRESS.true_mask(plain, RESOLUTION)
    between = render(full, RESOLUTION).astype(int) - render(long, RESOLUTION)
    differs = np.abs(between).max(axis=-1) > 3
    assert differs.any()
    assert not (differs & ~mask).any()


def test_a_shape_that_cannot_be_read_says_nothing(plain: AvatarRecord) -> None:
    hidden = changed(plain, hair_colour=plain.skin_colour)
    for answer in (hidden, *BEARDED_IN_A_DRESS.true_answers(hidden)):
        score = edited_to(BEARDED_IN_A_DRESS, hidden, answer)
        assert score.success is None
        assert score.exact is None
        assert score.kept == 1.0


def test_a_colour_without_a_pixel_says_nothing(plain: AvatarRecord) -> None:
    class Blind(Probe):
        def forward(self, images: Tensor) -> dict[str, Tensor]:
            return {name: torch.zeros(len(images), len(classes(name))) for name in ATTRIBUTES}

    side = 32
    thin = changed(plain, mouth="sad")
    assert not colour_masks(thin, side)["lip_colour"].any()
    images = signed_from_uint8(torch.tensor(render(thin, side)[None]))
    probe = Blind({name: len(classes(name)) for name in ATTRIBUTES}, ARCHITECTURES[0])
    edit = AvatarEdit("lip", "green lips", {"lip_colour": "green"})
    (score,) = score_edits(edit, [thin], images, images, [probe])
    assert (score.success, score.exact, score.kept) == (None, None, 1.0)
    assert score.psnr_outside > 100.0


def test_painting_the_background_too_is_seen(records: list[AvatarRecord]) -> None:
    source, truth = rendered(records), rendered(records, hair_colour="green")
    spoilt = painted(truth, records, {"background": -1.0})
    clean = score_edits(GREEN_HAIR, records, source, truth, oracles(records))
    scores = score_edits(GREEN_HAIR, records, source, spoilt, oracles(records))
    for record, before, after in zip(records, clean, scores, strict=True):
        assert after.success
        assert after.psnr_outside < before.psnr_outside
        if record.background_colour != (0, 0, 0):
            assert after.lost == ("background_colour",)
            assert 0.8 < after.kept < 1.0
            assert not after.exact


class Doubtful(Oracle):
    """Finds another shape of the clothes likelier by `lead` in every second batch, the edits."""

    lead = 0.0

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        found = super().forward(images)
        if next(self.turns):
            clothes = found["clothes"]
            own = clothes.argmax(1)
            other = (own + 1) % clothes.shape[1]
            rows = torch.arange(len(clothes))
            clothes[rows, other] = clothes[rows, own] + self.lead
        return found

    def __init__(self, lead: float, *batches: list[AvatarRecord]) -> None:
        super().__init__(*batches)
        self.turns = cycle([False, True])
        self.lead = lead


@pytest.mark.parametrize(("lead", "lost"), [(0.3, ()), (0.5, ("clothes",))])
def test_a_shape_is_lost_if_both_probes_together_find_another_much_likelier(
    plain: AvatarRecord, lead: float, lost: tuple[str, ...]
) -> None:
    """By a fifth on average: the square root of e^0.3 is 1.16, of e^0.5 1.28."""
    source, truth = rendered([plain]), rendered([plain], hair_colour="green")
    probes = [Doubtful(lead, [plain]), Doubtful(0.0, [plain])]
    (score,) = score_edits(GREEN_HAIR, [plain], source, truth, probes)
    assert score.lost == lost


def test_what_inversion_lost_may_come_back(plain: AvatarRecord) -> None:
    """A beard too faint to be inverted is no loss where the edit shows it."""
    bearded = changed(plain, beard="chin", mouth="smile")
    shaved = changed(bearded, beard="none")
    source = rendered([shaved], lip_colour="brown")
    for answer, lost in ((bearded, ()), (shaved, ()), (changed(bearded, beard="full"), ("beard",))):
        truth = rendered([answer], hair_colour="green")
        probes = oracles([shaved], [answer])
        (score,) = score_edits(GREEN_HAIR, [bearded], source, truth, probes)
        assert score.lost == lost


@pytest.mark.parametrize("name", COLOURS)
def test_a_neighbouring_colour_is_seen_and_a_hue_that_nobody_sees_is_kept(
    plain: AvatarRecord, name: str
) -> None:
    edit = BEARDED_IN_A_DRESS if name == "hair_colour" else GREEN_HAIR
    answer = edit.true_answers(plain)[0]
    (source,) = [rendered([plain])]
    red, green, blue = getattr(plain, name)
    for rgb, lost in (
        ((red, green, max(0, blue - 4)), ()),
        ((255 - red, 255 - green, 255 - blue), (name,)),
    ):
        picture = rendered([changed(answer, **{name: rgb})])
        (score,) = score_edits(edit, [plain], source, picture, oracles([plain], [answer]))
        assert score.lost == lost, rgb


def test_a_halo_is_seen_though_the_mean_hides_it(plain: AvatarRecord) -> None:
    source, truth = rendered([plain]), rendered([plain], hair_colour="green")
    mask = torch.tensor(render_masks(plain, RESOLUTION)["background"])
    for share, lost in ((0.04, ()), (0.25, ("background_colour",))):
        spoilt = truth.clone()
        rows = torch.arange(RESOLUTION)[:, None] < share * RESOLUTION
        spoilt[0, 0, mask & rows] -= 0.3
        (score,) = score_edits(GREEN_HAIR, [plain], source, spoilt, oracles([plain]))
        assert score.lost == lost


def test_skin_that_is_nearly_black_is_not_purple(plain: AvatarRecord) -> None:
    edit = AvatarEdit("skin", "purple skin", {"skin_colour": "purple"})
    for rgb, success in (((0x80, 0, 0x80), True), ((40, 10, 55), False)):
        picture = rendered([changed(plain, skin_colour=rgb)])
        (score,) = score_edits(edit, [plain], rendered([plain]), picture, oracles([plain]))
        assert score.success is success


def test_hidden_attributes_do_not_count() -> None:
    # Lips as red as the skin around them cannot be read, whatever is done to them.
    base = sample_records(1, "natural", TEST_SEED)[0]
    record = changed(base, lip_colour=base.skin_colour, mouth="smile")
    source = rendered([record])
    truth = rendered([record], hair_colour="green", lip_colour="blue")
    (score,) = score_edits(GREEN_HAIR, [record], source, truth, oracles([record]))
    assert score.kept == 1.0


def test_scores_of_a_batch_are_those_of_its_images(records: list[AvatarRecord]) -> None:
    source, truth = rendered(records), rendered(records, hair_colour="green")
    both = score_edits(GREEN_HAIR, records, source, truth, oracles(records))
    alone = oracles(records[2:3])
    (one,) = score_edits(GREEN_HAIR, records[2:3], source[2:3], truth[2:3], alone)
    assert (one.success, one.lost) == (both[2].success, both[2].lost)
    assert one.psnr_outside == pytest.approx(both[2].psnr_outside, abs=1e-3)


def test_edits_of_one_inversion_are_scored_alike_whether_it_stands_once_or_for_each(
    records: list[AvatarRecord],
) -> None:
    record = records[0]
    source = rendered([record])
    edited = torch.cat([source, rendered([record], hair_colour="green")])
    once = score_edits(GREEN_HAIR, [record] * 2, source, edited, oracles([record], [record] * 2))
    for_each = torch.cat([source] * 2)
    assert once == score_edits(GREEN_HAIR, [record] * 2, for_each, edited, oracles([record] * 2))


def test_the_natural_distribution_has_no_excluded_pair() -> None:
    for edit in EXCLUDED_PAIRS:
        for record in sample_records(200, "natural", TEST_SEED):
            assert record not in edit.true_answers(record)


@pytest.mark.parametrize("edit", PROMPTS.test, ids=lambda edit: edit.prompt)
def test_no_true_answer_changes_a_pixel_outside_its_mask(edit: AvatarEdit) -> None:
    """The edges of a recoloured part are of the part: outside, the truth is the source."""
    for record in sample_records(3, "natural", 0):
        outside = ~edit.true_mask(record, RESOLUTION)
        before = render(record, RESOLUTION).astype(int)
        for answer in edit.true_answers(record):
            difference = np.abs(render(answer, RESOLUTION) - before)
            assert difference[outside].max() <= 2
