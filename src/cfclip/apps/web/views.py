"""How the fields of the page look for what there is: every method gives fields and their values."""

from typing import Any

import gradio as gr

from cfclip.apps.web import pieces
from cfclip.apps.web.orders import OPTIMISATION, SETTINGS, Order
from cfclip.apps.web.page import OPTIMISING, Page
from cfclip.apps.web.studio import Studio
from cfclip.apps.web.visitors import KeptEdit, Start, Visitor
from cfclip.editing import edit_settings
from cfclip.editors import ALL_LAYERS
from cfclip.packs import Pack
from cfclip.viewing import changed_share, heat_map

Changes = dict[Any, Any]
"""Field to its new value."""


class Views:
    """The looks of one page."""

    def __init__(self, page: Page, studio: Studio) -> None:
        self._page = page
        self._studio = studio

    def back(self, visitor: Visitor, start: Start) -> Changes:
        """The stage after an edit of `start` that came to nothing."""
        page, kept = self._page, visitor.edits.get(visitor.current or 0)
        if kept is None or kept.start is not start:
            return self._unedited(start)
        return {
            page.tools: gr.update(visible=True),
            page.heat: False,
            **self.shown(visitor, kept, False),
        }

    def shown(self, visitor: Visitor, kept: KeptEdit, heat: bool) -> Changes:
        """An edit at its strength, or what it changed; its files, and its place in the history."""
        page, result = self._page, kept.shown
        about = ", ".join(result.prompts)
        if heat:
            made = heat_map(result.reconstruction, result.image)
            share = changed_share(result.reconstruction, result.image)
            stage = pieces.picture(made, "what changed", f"{share:.0%} changed")
        else:
            stage = pieces.comparison(result.source, result.image, about)
        return {
            page.stage: stage,
            page.downloads: pieces.download_links(visitor.token, kept),
            page.history: pieces.history(tuple(visitor.edits.values()), visitor.current),
        }

    def outcome(self, kept: KeptEdit, timed_out: bool = False) -> str:
        """What became of an edit."""
        share = changed_share(kept.shown.reconstruction, kept.shown.image)
        return pieces.outcome(kept, timed_out, share)

    def begin_with(self, visitor: Visitor, start: Start) -> Changes:
        """A picture to edit, and nothing made of it yet."""
        visitor.start = start
        page = self._page
        return {
            page.source: pieces.source_card(start.image, start.about),
            page.status: pieces.note("Ready."),
            **self._unedited(start),
        }

    def _unedited(self, start: Start) -> Changes:
        return {
            self._page.stage: pieces.picture(start.image, "the picture to edit", "before"),
            self._page.tools: gr.update(visible=False),
        }

    def pack_fields(self, pack: str) -> Changes:
        """What depends on the pack: methods, examples, layers, settings."""
        page, session = self._page, self._studio.session(pack)
        config = edit_settings(session.pack.manifest)
        last = session.generator.num_ws - 1
        methods = [(OPTIMISING, OPTIMISATION)]
        mappers = self._studio.mappers(pack)
        methods += [(f"Mapper {name}: at once", name) for name in mappers]
        methods += [(name, name) for name in self._studio.methods(pack) if name not in mappers]
        return {
            page.method: gr.update(choices=methods, value=OPTIMISATION),
            page.layers: gr.update(
                value=ALL_LAYERS, info=f"0 to {last}, such as 0-3,5; the first are shapes"
            ),
            **{
                field: getattr(config, each.name)
                for field, each in zip(page.settings, SETTINGS, strict=True)
            },
            page.parts: self._parts_field(session.pack),
            **self.method_fields(pack, OPTIMISATION),
        }

    def _parts_field(self, pack: Pack) -> Any:
        if not pack.has_parts:
            return gr.update(value="", visible=False)
        known = ", ".join(pack.parts().names)
        return gr.update(
            value="", visible=True, info=f"Click the picture, or name parts of it: {known}"
        )

    def method_fields(self, pack: str, method: str) -> Changes:
        """What depends on the method: examples, and whether there is anything to set."""
        examples = self._studio.examples(pack, method)
        return {
            self._page.examples: pieces.choices(examples, "Try"),
            self._page.advanced: gr.update(visible=method == OPTIMISATION),
        }

    def settings_of(self, order: Order) -> list[Any]:
        """The values of the advanced fields for an order."""
        return [getattr(order.config, each.name) for each in SETTINGS]
