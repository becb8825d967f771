"""A leak of Gradio, mended."""

from typing import Any


def mend_sessions() -> None:
    """Let a field that an update replaces in a session take its place.

    Gradio makes a new field of each update, with a number of its own, and of an event that does not
    change a field too. When a later event reads the field, it is kept by that number besides: a
    session grows with its events (seen in 6.31; an edit left a quarter of a megabyte).
    Safe to call again.
    """
    from gradio.blocks import Block
    from gradio.state_holder import SessionState

    keep = SessionState.__setitem__
    if getattr(keep, "mended", False):
        return

    def keep_in_place(session: SessionState, key: int, value: Any) -> None:
        if isinstance(value, Block):
            value._id = key
        keep(session, key, value)

    keep_in_place.mended = True  # type: ignore[attr-defined]
    SessionState.__setitem__ = keep_in_place  # type: ignore[method-assign]
