"""What Gradio keeps of a session does not grow with its events."""

import asyncio

import gradio as gr
import pytest
from gradio.state_holder import SessionState

from cfclip.apps.web.gradio_sessions import mend_sessions

EVENTS = 4


@pytest.mark.parametrize("told", [{"minimum": 0}, {}])
def test_an_update_takes_the_place_of_the_field(told: dict[str, int]) -> None:
    mend_sessions()
    mend_sessions()
    with gr.Blocks() as blocks:
        field = gr.Number(value=1, label="Steps")
        gr.Button().click(lambda _: gr.update(**told), field, field)
    session = SessionState(blocks)
    fields = len(session.blocks_config.blocks)
    (event,) = blocks.fns.values()
    for _ in range(EVENTS):
        asyncio.run(blocks.process_api(event, [1], state=session))
    assert len(session.blocks_config.blocks) == fields
    assert session[field._id].label == "Steps"
    assert blocks.blocks[field._id] is field
