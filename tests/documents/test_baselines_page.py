"""docs/BASELINES.md: its methods and numbers are the code's."""

import re
from pathlib import Path

from cfclip.editing import COMPARED, OURS
from cfclip.editors.global_config import ChannelFitConfig, GlobalDirectionsConfig
from cfclip.packs import Pack
from cfclip.training import TRAINING_PRESETS

PAGE = (Path(__file__).parents[2] / "docs" / "BASELINES.md").read_text()


def test_every_baseline_is_there() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)}
    assert named == set(COMPARED) - set(OURS)
    assert {name for name in TRAINING_PRESETS if f"--preset {name}" in PAGE} == {
        *("styleclip-mapper", "directional-mapper")
    }


def test_its_numbers() -> None:
    generator = Pack.open("avatars").generator()
    weight = 0.008 * generator.num_ws * generator.w_dim
    assert f"({weight:.1f} for `avatars`)" in PAGE
    assert ChannelFitConfig() == ChannelFitConfig(images=100, truncation=0.7)
    assert "on 100 samples (truncation 0.7)" in PAGE
    config = GlobalDirectionsConfig()
    assert f"`alpha` {config.alpha:g} and `beta` {config.beta:g} are starting points" in PAGE
