"""Which handler follows which event of the page."""

from typing import Any

import gradio as gr

from cfclip.apps.web.handlers import Handlers
from cfclip.apps.web.page import Page

_QUIET: dict[str, Any] = {
    "show_progress": "hidden",
    "api_visibility": "private",
    "preprocess": False,  # Gradio's own checks answer what does not fit with tracebacks
}

_TO_STAGE = """
() => {
  const stage = document.getElementById('cf-stage');
  if (stage.getBoundingClientRect().top > window.innerHeight / 2) {
    stage.scrollIntoView({behavior: 'smooth', block: 'start'});
  }
}
"""
"""On a narrow page the picture stands below the button."""


def connect(blocks: gr.Blocks, page: Page, do: Handlers) -> None:
    """Connect all events, within the open `blocks`."""
    fields = [
        *(each for each in vars(page).values() if not isinstance(each, tuple)),
        *page.settings,
    ]
    # Answered at once: an event that joins Gradio's queue in the moment in which the one before
    # leaves it may never be told its end, so nothing does but the edits.
    every: dict[str, Any] = {"outputs": fields, "queue": False, **_QUIET}
    last: dict[str, Any] = {**every, "trigger_mode": "always_last"}
    blocks.load(do.arrive, None, **every)
    blocks.unload(do.leave)
    page.pack.input(do.change_pack, [page.pack, page.text], **every)
    page.upload.click(do.take_upload, None, **every)
    page.sample.click(do.next_sample, page.sample_seed, **every)
    page.sample_seed.submit(do.take_sample, page.sample_seed, **every)
    page.text.change(do.flag, page.text, **last)
    for clicked in (page.examples, page.flags):
        clicked.click(do.take_text, None, **every)
    page.method.input(do.change_method, page.method, **every)
    page.source.click(do.take_point, page.parts, **every)
    order = [page.text, page.method, page.seed, page.layers, page.parts, *page.settings]
    gr.on(
        [page.edit.click, page.text.submit],
        do.edit,
        order,
        fields,
        trigger_mode="multiple",  # the server knows better whether an edit still runs
        **_QUIET,
    )
    page.edit.click(None, js=_TO_STAGE, api_visibility="private")
    page.stop.click(do.stop, None, **every)
    look = [page.strength, page.heat]
    page.strength.input(do.render, look, **last)
    page.heat.input(do.render, look, **last)
    page.history.click(do.restore, None, **every)
    page.follow.click(do.follow, None, **every)
