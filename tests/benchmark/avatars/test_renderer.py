from itertools import combinations, product

import numpy as np
import pytest

from cfclip_benchmark.avatars import renderer
from cfclip_benchmark.avatars.attributes import (
    ATTRIBUTES,
    SHAPES,
    TEST_SEED,
    AttributeTable,
    AvatarRecord,
    changed,
    sample_records,
)

PLAIN = AvatarRecord(
    hair="side_combed",
    rear_hair="none",
    beard="none",
    brows="neutral",
    eyes="happy",
    mouth="smile",
    clothes="t_shirt",
    hair_colour=(106, 68, 36),
    brow_colour=(30, 30, 30),
    lip_colour=(208, 128, 128),
    skin_colour=(241, 199, 171),
    clothes_colour=(30, 80, 208),
    background_colour=(240, 220, 60),
)
PARTS_ALWAYS_SHOWN = ("hair", "brows", "lips", "skin", "clothes", "background")


def distance(first: AvatarRecord, second: AvatarRecord, resolution: int = 128) -> int:
    """Number of pixels that clearly differ."""
    a, b = (renderer.render(r, resolution).astype(int) for r in (first, second))
    return int((abs(a - b).max(axis=-1) > 24).sum())


@pytest.mark.parametrize("distribution", ["natural", "open"])
def test_inside_a_mask_the_image_has_exactly_the_drawn_colour(distribution: str) -> None:
    for record in sample_records(12, distribution, TEST_SEED):  # type: ignore[arg-type]
        image = renderer.render(record)
        for part, mask in renderer.render_masks(record).items():
            if mask.any():
                assert (image[mask] == getattr(record, renderer.PART_COLOURS[part])).all(), part


def test_masks_are_disjoint_and_large_enough() -> None:
    for record in sample_records(12, "open", TEST_SEED):
        masks = renderer.render_masks(record)
        assert tuple(masks) == renderer.PARTS
        assert max(np.sum(list(masks.values()), axis=0).ravel()) == 1
        assert all(masks[part].sum() >= 40 for part in PARTS_ALWAYS_SHOWN)
        assert masks["rear_hair"].any() == (record.rear_hair != "none")
        covered = record.beard == "chin" and record.mouth in ("agape", "laugh")
        assert masks["beard"].any() == (record.beard != "none" and not covered)


def test_lips_are_seen_under_every_beard() -> None:
    for beard, mouth in product(SHAPES["beard"], SHAPES["mouth"]):
        lips = renderer.render_masks(changed(PLAIN, beard=beard, mouth=mouth))["lips"]
        assert lips.sum() >= 40, (beard, mouth)


def test_recolouring_a_part_leaves_the_others_alone() -> None:
    before = renderer.render(PLAIN)
    masks = renderer.render_masks(PLAIN)
    for part in PARTS_ALWAYS_SHOWN:
        edited = changed(PLAIN, **{renderer.PART_COLOURS[part]: (12, 200, 90)})
        after = renderer.render(edited)
        assert (after[masks[part]] == (12, 200, 90)).all()
        for other in PARTS_ALWAYS_SHOWN:
            if other != part:
                assert (after[masks[other]] == before[masks[other]]).all(), (part, other)


@pytest.mark.parametrize("name", list(SHAPES))
def test_shapes_of_an_attribute_look_different(name: str) -> None:
    for a, b in combinations(SHAPES[name], 2):
        assert distance(changed(PLAIN, **{name: a}), changed(PLAIN, **{name: b})) >= 12, (a, b)


def test_mouths_differ_even_at_half_the_resolution() -> None:
    for a, b in combinations(SHAPES["mouth"], 2):
        assert distance(changed(PLAIN, mouth=a), changed(PLAIN, mouth=b), 64) >= 25, (a, b)


def test_brows_do_not_follow_the_hair_but_the_beard_does() -> None:
    record = changed(PLAIN, beard="full", hair_colour=(10, 160, 60))
    image, masks = renderer.render(record), renderer.render_masks(record)
    assert (image[masks["beard"]] == (10, 160, 60)).all()
    assert (image[masks["brows"]] == PLAIN.brow_colour).all()


@pytest.mark.parametrize("resolution", [64, 128])
def test_images_have_the_resolution_asked_for(resolution: int) -> None:
    image = renderer.render(PLAIN, resolution)
    assert image.shape == (resolution, resolution, 3)
    assert image.dtype == np.uint8
    assert renderer.render_masks(PLAIN, resolution)["lips"].shape == (resolution, resolution)


def test_face_box_holds_the_face() -> None:
    inside = renderer.face_weight(8.0) == 8.0
    for brows, mouth in product(SHAPES["brows"], SHAPES["mouth"]):
        masks = renderer.render_masks(changed(PLAIN, brows=brows, mouth=mouth))
        assert inside[masks["brows"] | masks["lips"]].all()


def seen(record: AvatarRecord) -> dict[str, bool]:
    visible = renderer.visibility(AttributeTable.from_records([record]))
    return {name: bool(column[0]) for name, column in visible.items()}


def test_everything_on_a_plain_avatar_can_be_read() -> None:
    assert set(seen(PLAIN)) == set(ATTRIBUTES)
    assert all(seen(PLAIN).values())


@pytest.mark.parametrize(
    ("changes", "hidden"),
    [
        ({"lip_colour": PLAIN.skin_colour}, {"lip_colour", "mouth"}),
        ({"lip_colour": PLAIN.skin_colour, "mouth": "agape"}, {"lip_colour"}),
        ({"brow_colour": PLAIN.skin_colour}, {"brow_colour", "brows"}),
        ({"hair_colour": PLAIN.background_colour}, {"hair", "hair_colour", "rear_hair"}),
        ({"clothes_colour": PLAIN.background_colour}, {"clothes", "clothes_colour"}),
        ({"beard": "long"}, {"clothes"}),
        ({"beard": "chin"}, set()),
        ({"beard": "chin", "mouth": "laugh"}, {"beard"}),
    ],
)
def test_what_cannot_be_told_from_its_neighbour_is_hidden(
    changes: dict[str, str | tuple[int, int, int]], hidden: set[str]
) -> None:
    visible = seen(changed(PLAIN, **changes))
    assert {name for name, shown in visible.items() if not shown} == hidden
