"""The edits that the pack's text map learns concatenation from."""

import numpy as np

from cfclip_benchmark.avatars import ATTRIBUTES, LONG_REAR_HAIR, sample_table
from recipes.avatars.fit_avatar_text_map import make_edits


def test_edits_change_one_attribute_inside_the_distribution() -> None:
    table = sample_table(40, "natural", seed=1)
    sources, edited, texts = make_edits(table, 30, 150, np.random.default_rng(0))
    assert len(sources) == len(edited) == len(texts)
    assert 75 < len(edited) <= 150  # what the picked avatars share cannot be changed
    assert max(sources) < 30
    names = set()
    for row, record, text in zip(sources, edited, texts, strict=True):
        before = table.record(int(row))
        (name,) = (n for n in ATTRIBUTES if getattr(record, n) != getattr(before, n))
        names.add(name)
        if record.beard != "none":
            assert record.clothes != "dress"
            assert record.rear_hair not in LONG_REAR_HAIR
        assert text
    assert names == set(ATTRIBUTES)


def test_edits_are_those_of_the_seed() -> None:
    table = sample_table(40, "natural", seed=1)
    one, same, other = (
        make_edits(table, 40, 20, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert one[2] == same[2]
    assert one[1] == same[1]
    assert one[2] != other[2]
