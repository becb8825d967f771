"""docs/WEIGHTS.md: its limits are those of the code."""

from pathlib import Path

from cfclip.foreign import pickle_values
from cfclip.io import weights

PAGE = (Path(__file__).parents[2] / "docs" / "WEIGHTS.md").read_text(encoding="utf-8")


def test_its_limits_are_those_of_the_code() -> None:
    budget = pickle_values.Budget()
    assert f"{budget.tensors:,} tensors, {budget.opcodes:,} pickle opcodes" in " ".join(
        PAGE.split()
    )
    assert f"{budget.text_bytes >> 20} MiB of text" in PAGE
    assert budget.tensors == weights._MAX_TENSORS
