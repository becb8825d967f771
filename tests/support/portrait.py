"""The photograph that photos are tested with: the portrait in matplotlib's sample data."""

import importlib.util
from pathlib import Path

import pytest

PORTRAIT_SIZE = (512, 600)
# As a person clicks them: the eyes and the corners of the mouth, left and right as seen.
PORTRAIT_POINTS = ((224.0, 191.0), (306.0, 188.0), (231.0, 279.0), (304.0, 275.0))


def portrait() -> Path:
    """Its file (Grace Hopper, 1984; in the public domain). Skips where matplotlib is missing."""
    found = importlib.util.find_spec("matplotlib")  # not imported: only a file is wanted
    if found is None or found.origin is None:
        pytest.skip("the portrait is in matplotlib's sample data, which is not installed")
    return Path(found.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"
