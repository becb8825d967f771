"""What the page shows of a visitor's pictures."""

from pathlib import Path

import gradio as gr
import pytest

from cfclip.apps.web.limits import Limits
from cfclip.apps.web.orders import OPTIMISATION, Order
from cfclip.apps.web.page import Page, build_page
from cfclip.apps.web.studio import Studio
from cfclip.apps.web.views import Views
from cfclip.apps.web.visitors import Visitors
from cfclip.editors import LatentOptimisationConfig

ORDER = Order("a", ("a",), OPTIMISATION, 0, "all", "", LatentOptimisationConfig())


@pytest.fixture(scope="module")
def page() -> Page:
    with gr.Blocks():
        return build_page(Limits())


def test_after_an_edit_that_came_to_nothing_the_stage_shows_what_would_be_edited_next(
    page: Page, tiny_pack: Path
) -> None:
    studio = Studio(str(tiny_pack), {})
    views, visitor = Views(page, studio), Visitors(Limits()).of("a")
    first, second = studio.sample("tiny", 1), studio.sample("tiny", 2)
    views.begin_with(visitor, first)
    only = views.back(visitor, first)
    assert "before</span></figure>" in only[page.stage]
    assert only[page.tools]["visible"] is False

    result = studio.session("tiny").edit("sample:1", ["green hair"], steps=1)
    visitor.keep(ORDER, first, result)
    again = views.back(visitor, first)
    assert "cf-compare" in again[page.stage]
    assert again[page.tools]["visible"] is True
    assert again[page.heat] is False  # as the stage is

    views.begin_with(visitor, second)
    other = views.back(visitor, second)
    assert other[page.stage] != only[page.stage]
    assert "cf-compare" not in other[page.stage]
    assert other[page.tools]["visible"] is False
