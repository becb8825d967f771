"""What settings are drawn from."""

import numpy as np
import pytest

from cfclip.editing import COMPARED, OPTIMISATIONS, make_config
from cfclip.editors import LatentOptimisationConfig, MapperEditConfig
from cfclip.editors.global_config import GlobalDirectionsConfig
from cfclip_benchmark.tuning import SPACES, Span


def test_what_is_tuned_is_a_method_and_every_optimisation_is() -> None:
    assert set(OPTIMISATIONS) <= set(SPACES) <= set(COMPARED)


@pytest.mark.parametrize("name", SPACES)
def test_every_setting_that_can_be_drawn_is_allowed(name: str) -> None:
    for end in ("low", "high"):
        values = {setting: getattr(span, end) for setting, span in SPACES[name].items()}
        if name in OPTIMISATIONS:
            make_config(LatentOptimisationConfig, values)
        elif name == "styleclip-global":
            make_config(GlobalDirectionsConfig, values)
        else:
            make_config(MapperEditConfig, values)


def test_spans_are_drawn_evenly_or_in_the_logarithm() -> None:
    rng = np.random.default_rng(0)
    even = [Span(0.0, 10.0).draw(rng) for _ in range(2000)]
    log = [Span(0.01, 100.0, log=True).draw(rng) for _ in range(2000)]
    assert min(even) >= 0.0
    assert max(even) <= 10.0
    assert np.median(even) == pytest.approx(5.0, rel=0.1)
    assert min(log) >= 0.01
    assert max(log) <= 100.0
    assert np.median(np.log10(log)) == pytest.approx(0.0, abs=0.15)
    assert all(value == float(f"{value:.3g}") for value in log)
