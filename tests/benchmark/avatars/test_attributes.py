import numpy as np
import pytest

from cfclip_benchmark.avatars.attributes import (
    ATTRIBUTES,
    COLOURS,
    SHAPES,
    TEST_SEED,
    TRAIN_SEED,
    VALIDATION_SEED,
    AttributeTable,
    changed,
    classes,
    sample_records,
    sample_table,
)
from cfclip_benchmark.avatars.palettes import NATURAL_WORDS, PARTS


def test_natural_avatars_wear_natural_colours_only() -> None:
    table = sample_table(3000, "natural", TRAIN_SEED)
    for name, part in COLOURS.items():
        seen = {classes(name)[code] for code in table.labels(name) if code >= 0}
        if part in NATURAL_WORDS:
            assert seen == set(NATURAL_WORDS[part])
            assert (table.labels(name) >= 0).all()
        else:
            assert seen == set(classes(name))


def test_natural_avatars_never_show_an_excluded_pair() -> None:
    for record in sample_records(2000, "natural", TRAIN_SEED):
        if record.beard != "none":
            assert record.clothes != "dress"
            assert record.rear_hair not in ("long_straight", "long_wavy")


def test_brows_are_independent_of_hair() -> None:
    table = sample_table(4000, "natural", TRAIN_SEED)
    same = (table.labels("hair_colour") == table.labels("brow_colour")).mean()
    assert 0.15 < same < 0.25  # five colours each


def test_open_avatars_show_every_class_about_equally_often() -> None:
    table = sample_table(6000, "open", TRAIN_SEED)
    for name in SHAPES:
        counts = np.bincount(table.labels(name), minlength=len(classes(name)))
        expected = len(table) / len(classes(name))
        assert (abs(counts - expected) < 0.25 * expected).all(), name
    for name in COLOURS:
        labels = table.labels(name)
        counts = np.bincount(labels[labels >= 0], minlength=len(classes(name)))
        assert counts.min() > 0.03 * len(table), name


def test_open_attributes_are_independent() -> None:
    table = sample_table(6000, "open", TRAIN_SEED)
    bearded = table.labels("beard") != 0
    dress = table.labels("clothes") == SHAPES["clothes"].index("dress")
    assert (bearded & dress).mean() == pytest.approx(bearded.mean() * dress.mean(), abs=0.02)


def test_splits_differ_and_seeds_repeat() -> None:
    records = [
        sample_records(50, "open", seed) for seed in (TRAIN_SEED, VALIDATION_SEED, TEST_SEED)
    ]
    assert records[0] == sample_records(50, "open", TRAIN_SEED)
    assert not set(records[0]) & set(records[1])
    assert not set(records[1]) & set(records[2])
    assert not set(records[0]) & set(sample_records(50, "natural", TRAIN_SEED))


def test_records_and_tables_hold_the_same() -> None:
    records = sample_records(12, "open", TRAIN_SEED)
    table = AttributeTable.from_records(records)
    sampled = sample_table(12, "open", TRAIN_SEED)
    assert [table.record(i) for i in range(12)] == records
    for name in ATTRIBUTES:
        assert (table.labels(name) == sampled.labels(name)).all()
    assert table.take(np.array([3, 1])).record(0) == records[3]


def test_a_change_changes_only_what_it_names() -> None:
    record = sample_records(1, "natural", TRAIN_SEED)[0]
    edited = changed(record, lip_colour="green", beard="full")
    differing = {name for name in ATTRIBUTES if getattr(record, name) != getattr(edited, name)}
    assert differing <= {"lip_colour", "beard"}
    code = AttributeTable.from_records([edited]).labels("lip_colour")[0]
    assert classes("lip_colour")[code] == "green"
    assert changed(record, hair_colour=(1, 2, 3)).hair_colour == (1, 2, 3)


def test_impossible_values_are_refused() -> None:
    record = sample_records(1, "natural", TRAIN_SEED)[0]
    with pytest.raises(ValueError, match="wig"):
        changed(record, hair="wig")
    with pytest.raises(KeyError, match="nose"):
        changed(record, nose="long")
    with pytest.raises(ValueError, match="strange"):
        sample_table(1, "strange", 0)  # type: ignore[arg-type]


def test_every_coloured_part_has_a_palette() -> None:
    assert set(COLOURS.values()) == set(PARTS)
