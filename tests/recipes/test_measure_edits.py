from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from cfclip.evaluation.probes import ARCHITECTURES, Probe
from cfclip.tensors import signed_from_uint8
from recipes.avatars import colours
from recipes.avatars.attributes import (
    ATTRIBUTES,
    COLOURS,
    TEST_SEED,
    AvatarRecord,
    changed,
    classes,
    sample_records,
)
from recipes.avatars.measure_edits import (
    TEST_EDITS,
    VALIDATION_EDITS,
    ColourEdit,
    EditScore,
    score_edits,
    summarise,
)
from recipes.avatars.renderer import PART_COLOURS, render, render_masks

RESOLUTION = 64
GREEN_HAIR = ColourEdit("hair", "green")


class Oracle(Probe):
    """Reads colours off the true masks of known avatars, and their true shapes."""

    def __init__(self, records: list[AvatarRecord]) -> None:
        super().__init__({name: len(classes(name)) for name in ATTRIBUTES}, ARCHITECTURES[0])
        self.records = records

    def read(self, images: Tensor) -> dict[str, Tensor]:
        pixels = ((images + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
        found: dict[str, list[int]] = {name: [] for name in ATTRIBUTES}
        for record, picture in zip(self.records, pixels, strict=True):
            masks = render_masks(record, RESOLUTION)
            for name in ATTRIBUTES:
                if name not in COLOURS:
                    found[name].append(classes(name).index(getattr(record, name)))
                    continue
                parts = [masks[p] for p, attribute in PART_COLOURS.items() if attribute == name]
                colour = colours.lab_from_rgb(picture[np.any(parts, axis=0)]).mean(0)[None]
                found[name].append(int(colours.class_codes(colour, COLOURS[name])[0]))
        return {name: torch.tensor(values) for name, values in found.items()}


@pytest.fixture(scope="module")
def records() -> list[AvatarRecord]:
    return sample_records(6, "natural", TEST_SEED)


@pytest.fixture(scope="module")
def probes(records: list[AvatarRecord]) -> list[Probe]:
    return [Oracle(records), Oracle(records)]


def rendered(records: list[AvatarRecord], **changes: str) -> Tensor:
    images = [render(changed(record, **changes), RESOLUTION) for record in records]
    return signed_from_uint8(torch.from_numpy(np.stack(images)))


def painted(images: Tensor, records: list[AvatarRecord], parts: Mapping[str, float]) -> Tensor:
    images = images.clone()
    for image, record in zip(images, records, strict=True):
        for part, value in parts.items():
            image[:, torch.tensor(render_masks(record, RESOLUTION)[part])] = value
    return images


@pytest.mark.parametrize("edit", [*TEST_EDITS, *VALIDATION_EDITS], ids=lambda edit: edit.prompt)
def test_the_true_answer_succeeds_and_keeps_everything_else(
    edit: ColourEdit, records: list[AvatarRecord], probes: list[Probe]
) -> None:
    source, truth = rendered(records), rendered(records, **{edit.attribute: edit.word})
    for index, score in enumerate(score_edits(edit, records, source, truth, probes)):
        assert (score.prompt, score.avatar) == (edit.prompt, index)
        assert score.success
        assert score.kept == 1.0
        assert score.exact
        # Only mixed pixels at the outlines differ.
        assert score.psnr_outside > 15.0


@pytest.mark.parametrize("edit", TEST_EDITS, ids=lambda edit: edit.prompt)
def test_no_edit_fails_and_keeps_everything(
    edit: ColourEdit, records: list[AvatarRecord], probes: list[Probe]
) -> None:
    source = rendered(records)
    for score in score_edits(edit, records, source, source, probes):
        assert not score.success
        assert score.kept == 1.0
        assert not score.exact
        assert score.psnr_outside > 100.0


def test_painting_the_background_too_is_seen(
    records: list[AvatarRecord], probes: list[Probe]
) -> None:
    source, truth = rendered(records), rendered(records, hair_colour="green")
    spoilt = painted(truth, records, {"background": -1.0})
    clean = score_edits(GREEN_HAIR, records, source, truth, probes)
    scores = score_edits(GREEN_HAIR, records, source, spoilt, probes)
    for record, before, after in zip(records, clean, scores, strict=True):
        assert after.success
        assert after.psnr_outside < before.psnr_outside
        if record.background_colour != (0, 0, 0):
            assert after.lost == ("background_colour",)
            assert 0.8 < after.kept < 1.0
            assert not after.exact


def test_one_probe_that_sees_a_change_is_enough(
    records: list[AvatarRecord], probes: list[Probe]
) -> None:
    class Suspicious(Oracle):
        calls = 0

        def read(self, images: Tensor) -> dict[str, Tensor]:
            self.calls += 1
            found = super().read(images)
            return {**found, "clothes": found["clothes"] + self.calls}

    source, truth = rendered(records), rendered(records, hair_colour="green")
    scores = score_edits(GREEN_HAIR, records, source, truth, [probes[0], Suspicious(records)])
    assert {score.lost for score in scores} <= {("clothes",), ()}
    assert any(score.lost for score in scores)


def test_hidden_attributes_do_not_count(probes: list[Probe]) -> None:
    # Lips as red as the skin around them cannot be read, whatever a probe says of them.
    base = sample_records(1, "natural", TEST_SEED)[0]
    record = changed(base, lip_colour=base.skin_colour, mouth="smile")

    class SeesOtherLips(Oracle):
        calls = 0

        def read(self, images: Tensor) -> dict[str, Tensor]:
            self.calls += 1
            found = super().read(images)
            return {**found, "lip_colour": found["lip_colour"] + self.calls}

    source = rendered([record])
    truth = rendered([record], hair_colour="green")
    (score,) = score_edits(GREEN_HAIR, [record], source, truth, [SeesOtherLips([record])])
    assert score.kept == 1.0


def test_scores_of_a_batch_are_those_of_its_images(
    records: list[AvatarRecord], probes: list[Probe]
) -> None:
    source, truth = rendered(records), rendered(records, hair_colour="green")
    both = score_edits(GREEN_HAIR, records, source, truth, probes)
    alone = [Oracle(records[2:3])] * 2
    (one,) = score_edits(GREEN_HAIR, records[2:3], source[2:3], truth[2:3], alone)
    assert (one.success, one.lost) == (both[2].success, both[2].lost)
    assert one.psnr_outside == pytest.approx(both[2].psnr_outside, abs=1e-3)


def test_summary_by_hand() -> None:
    def score(success: bool, lost: tuple[str, ...], decibels: float) -> EditScore:
        return EditScore("green hair", 0, success, 1.0 - len(lost) / 4, lost, decibels)

    found = summarise(
        [score(True, (), 30.0), score(True, ("mouth",), 20.0), score(False, (), 40.0)]
    )
    assert found == pytest.approx(
        {"success": 2 / 3, "preservation": 2.75 / 3, "exact": 1 / 3, "psnr_outside": 30.0}
    )


def test_settings_are_not_chosen_on_test_prompts() -> None:
    assert not {edit.prompt for edit in TEST_EDITS} & {edit.prompt for edit in VALIDATION_EDITS}
    assert [edit.part for edit in TEST_EDITS].count("hair") == 4
    assert [edit.part for edit in TEST_EDITS].count("skin") == 4
