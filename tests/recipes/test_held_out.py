"""Scores of held-out avatars, grouped and summed up by hand."""

import pytest
import torch

from cfclip_benchmark.avatars import AvatarEdit, EditScore
from recipes.avatars.held_out import gained_share, group_by_edit, mean_scores


def test_summary_by_hand() -> None:
    def score(success: bool | None, lost: tuple[str, ...], decibels: float) -> EditScore:
        return EditScore("green hair", 0, success, 1.0 - len(lost) / 4, lost, decibels)

    scores = [score(True, (), 30.0), score(True, ("mouth",), 20.0), score(False, (), 40.0)]
    assert mean_scores(scores) == pytest.approx(
        {
            "success": 2 / 3,
            "preservation": 2.75 / 3,
            "exact": 1 / 3,
            "psnr_outside": 30.0,
            "readable": 1.0,
        }
    )
    # One that cannot be read counts for what can be.
    unknown = score(None, (), 10.0)
    assert mean_scores([*scores, unknown]) == pytest.approx(
        {
            "success": 2 / 3,
            "preservation": 3.75 / 4,
            "exact": 1 / 3,
            "psnr_outside": 25.0,
            "readable": 0.75,
        }
    )
    assert mean_scores([unknown])["success"] is None
    assert mean_scores([unknown])["exact"] is None


def test_scores_are_grouped_by_family_and_prompt() -> None:
    edits = [
        AvatarEdit("hair", "green hair", {"hair_colour": "green"}),
        AvatarEdit("lip", "blue lips", {"lip_colour": "blue"}),
        AvatarEdit("hair", "blue hair", {"hair_colour": "blue"}),
        AvatarEdit("excluded", "a beard and long hair", {"beard": "beard", "rear_hair": "long"}),
    ]
    scores = [[EditScore(e.prompt, i, True, 1.0, (), 30.0) for i in range(2)] for e in edits]
    green, lips, blue, pair = scores
    assert list(group_by_edit(edits, scores).items()) == [
        ("hair", green + blue),
        ("lip", lips),
        ("excluded", pair),
        ("green hair", green),
        ("blue lips", lips),
        ("blue hair", blue),
        ("a beard and long hair", pair),
        ("colours", green + blue + lips),
        ("all", green + lips + blue + pair),
    ]


def test_the_share_is_of_mean_gains_and_may_exceed_one() -> None:
    source, truth = torch.tensor([0.1, 0.3]), torch.tensor([0.3, 0.3])
    assert gained_share(source, source, truth) == 0
    assert gained_share(source, truth, truth) == 1
    assert gained_share(source, truth + 0.1, truth) == pytest.approx(2)
