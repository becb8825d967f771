"""What the fields of the page do. Every handler gives the fields that it changes."""

import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr

from cfclip.apps.web import pieces
from cfclip.apps.web.jobs import JobQueue
from cfclip.apps.web.limits import Limits
from cfclip.apps.web.orders import (
    LONGEST_TEXT,
    OPTIMISATION,
    SETTINGS,
    Order,
    read_order,
    split_prompts,
)
from cfclip.apps.web.page import Page
from cfclip.apps.web.studio import EditJob, Studio
from cfclip.apps.web.uploads import Uploads
from cfclip.apps.web.views import Changes, Views
from cfclip.apps.web.visitors import Start, Visitor, Visitors
from cfclip.embedders import unknown_words
from cfclip.errors import MEMORY_REMEDY, CfclipError, InputError, out_of_memory
from cfclip.io import whole_number
from cfclip.regions import parse_parts

FIRST_SAMPLE = 3
_TICK_SECONDS = 0.4
_THOUSAND = 1000
_BROKEN = "something went wrong here, which is a defect of cfclip; what it was is in the terminal"
_LOG = logging.getLogger(__name__)


class Handlers:
    """The handlers of one app."""

    def __init__(
        self,
        page: Page,
        studio: Studio,
        visitors: Visitors,
        queue: JobQueue,
        turns: JobQueue,
        limits: Limits,
        uploads: Uploads,
    ) -> None:
        self._page = page
        self._views = Views(page, studio)
        self._studio = studio
        self._visitors = visitors
        self._queue = queue
        self._turns = turns
        self._limits = limits
        self._uploads = uploads

    def arrive(self, request: gr.Request) -> Changes:
        """A window was opened."""
        page, pack = self._page, self._studio.first_pack
        try:
            visitor = self._visitors.of(request.session_hash)
            start = self._turns.do(partial(self._studio.sample, pack, FIRST_SAMPLE))
        except CfclipError as error:
            return {page.status: pieces.problem(str(error))}
        return {
            page.pack: gr.update(choices=self._studio.packs, value=pack),
            page.sample_seed: FIRST_SAMPLE,
            page.history: pieces.history((), None),
            **self._views.pack_fields(pack),
            **self._views.begin_with(visitor, start),
        }

    def leave(self, request: gr.Request) -> None:
        """A window was closed."""
        self._visitors.leave(request.session_hash)

    def change_pack(self, pack: Any, text: Any, request: gr.Request) -> Changes:
        """Another pack was chosen: a picture of its own, its words, its settings."""

        def change(visitor: Visitor) -> Changes:
            if str(pack) == self._pack_of(visitor):  # the field was only passed through with Tab
                return {self._page.pack: gr.update()}
            start = self._studio.sample(pack, FIRST_SAMPLE)
            return {
                self._page.flags: self._flags(pack, text),
                **self._views.pack_fields(pack),
                **self._views.begin_with(visitor, start),
            }

        return self._idle(request, change)

    def take_upload(self, event: gr.EventData, request: gr.Request) -> Changes:
        """A picture was sent."""

        def change(visitor: Visitor) -> Changes:
            pack = self._pack_of(visitor)
            start = self._studio.upload(
                pack, bytes(upload.content), upload.name, self._limits.upload_pixels
            )
            visitor.gave_picture = True
            return self._views.begin_with(visitor, start)

        try:
            upload = self._uploads.take(field_of(event, "upload"))  # gone if it is not used too
        except InputError as error:
            return {self._page.status: pieces.problem(str(error))}
        return self._idle(request, change)

    def take_sample(self, number: Any, request: gr.Request) -> Changes:
        """A sample was asked for by its number."""

        def change(visitor: Visitor) -> Changes:
            if not isinstance(number, int | float) or number != int(number):
                raise InputError(f"sample number is {number!r}, it must be a whole number")
            start = self._studio.sample(self._pack_of(visitor), int(number))
            return {self._page.sample_seed: int(number), **self._views.begin_with(visitor, start)}

        return self._idle(request, change)

    def next_sample(self, number: Any, request: gr.Request) -> Changes:
        """The sample after this one."""
        following = number + 1 if isinstance(number, int | float) else 0
        return self.take_sample(following, request)

    def flag(self, text: Any, request: gr.Request) -> Changes:
        """The text is being typed, or was set."""
        try:
            pack = self._pack_of(self._visitors.of(request.session_hash))
            return {self._page.flags: self._flags(pack, text)}
        except CfclipError as error:
            return {self._page.flags: pieces.problem(str(error))}

    def take_text(self, event: gr.EventData) -> Changes:
        """A text was clicked."""
        return {self._page.text: field_of(event, "choice")}

    def take_point(self, event: gr.EventData, parts: Any, request: gr.Request) -> Changes:
        """The picture was clicked: the part there may be changed, or no longer."""

        def change(visitor: Visitor) -> Changes:
            start = self._start_of(visitor)
            if not self._studio.session(start.pack).pack.has_parts:
                return {self._page.parts: gr.update()}
            x, y = (whole_number("point", field_of(event, name)) / _THOUSAND for name in "xy")
            chosen = parse_parts(str(parts or "")[:LONGEST_TEXT])
            named = {*chosen} ^ {self._studio.part_at(start, x, y)}
            return {self._page.parts: ", ".join(sorted(named))}

        return self._idle(request, change)

    def change_method(self, method: Any, request: gr.Request) -> Changes:
        """Another method was chosen: what it can do, and what it needs to know."""

        def change(visitor: Visitor) -> Changes:
            return self._views.method_fields(self._pack_of(visitor), method)

        return self._idle(request, change)

    def edit(self, request: gr.Request, *fields: Any) -> Iterator[Changes]:
        """Make an edit, and tell how it goes until it is done.

        The fields are those of `read_order`, the advanced settings one by one at the end.
        """
        page = self._page
        text, method, seed, layers, parts, *advanced = fields
        names = [each.name for each in SETTINGS]
        try:
            visitor = self._visitors.of(request.session_hash)
            with visitor.lock:
                visitor.check_idle()
                start = self._start_of(visitor)
                session = self._studio.session(start.pack)
                settings = dict(zip(names, advanced, strict=True))
                manifest, num_ws = session.pack.manifest, session.generator.num_ws
                order = read_order(manifest, num_ws, text, method, seed, layers, parts, settings)
                job: EditJob = self._queue.submit(partial(self._studio.edit, start, order))
                visitor.job = job
        except CfclipError as error:
            yield {page.status: pieces.problem(str(error))}
            return
        try:
            yield {
                page.status: pieces.waiting(0),
                page.stage: pieces.picture(start.image, "the picture before the edit", "before"),
                page.tools: gr.update(visible=False),
            }
            yield from self._watched(job)
        finally:
            job.stop()  # nothing to a finished one; a window that was closed waits no longer
        yield self._ended(visitor, job, start, order)

    def stop(self, request: gr.Request) -> Changes:
        """End the edit with what it has."""
        try:
            visitor = self._visitors.of(request.session_hash)
        except CfclipError as error:
            return {self._page.status: pieces.problem(str(error))}
        job = visitor.job
        if job is not None:
            job.stop()
        if job is None or job.finished:  # its end is told already, or by the edit itself
            return {self._page.status: gr.update()}
        return {self._page.status: pieces.stopping()}

    def render(self, strength: Any, heat: Any, request: gr.Request) -> Changes:
        """Show the current edit at a strength, or what it changed."""

        def change(visitor: Visitor) -> Changes:
            current = visitor.edit()
            if not isinstance(strength, int | float):
                raise InputError(f"strength is {strength!r}, it must be a number")
            kept = visitor.show(current.number, float(strength))
            return self._views.shown(visitor, kept, bool(heat))

        return self._idle(request, change)

    def restore(self, event: gr.EventData, request: gr.Request) -> Changes:
        """Go back to an edit of the history."""
        page = self._page

        def change(visitor: Visitor) -> Changes:
            kept = visitor.choose(whole_number("edit", field_of(event, "choice")))
            order, pack = kept.order, kept.start.pack
            known = order.method in self._studio.methods(pack)
            return {
                **self._views.pack_fields(pack),
                page.pack: pack,
                page.source: pieces.source_card(kept.start.image, kept.start.about),
                page.text: order.text,
                page.flags: self._flags(pack, order.text),
                page.seed: order.seed,
                page.layers: order.layers,
                page.parts: order.parts,
                **dict(zip(page.settings, self._views.settings_of(order), strict=True)),
                **(self._views.method_fields(pack, order.method) if known else {}),
                page.method: gr.update(value=order.method) if known else OPTIMISATION,
                page.strength: kept.shown.strength,
                page.heat: False,
                page.tools: gr.update(visible=True),
                page.status: self._views.outcome(kept),
                **self._views.shown(visitor, kept, False),
            }

        return self._idle(request, change)

    def follow(self, request: gr.Request) -> Changes:
        """Take the result as the next picture to edit."""
        page = self._page

        def change(visitor: Visitor) -> Changes:
            kept = visitor.edit()
            start = self._studio.follow(kept.start.pack, kept.shown)
            return {
                **self._views.begin_with(visitor, start),
                page.text: "",
                page.flags: "",
                page.status: pieces.note("Go on: say what it shall show besides."),
            }

        return self._idle(request, change)

    def _idle(self, request: gr.Request, change: Any) -> Changes:
        """Changes that make no sense while an edit of this visitor runs."""

        def changes(visitor: Visitor) -> Changes:
            with visitor.lock:
                visitor.check_idle()
                made: Changes = change(visitor)
                return made

        try:
            visitor = self._visitors.of(request.session_hash)
            return self._turns.do(partial(changes, visitor))
        except CfclipError as error:
            return {self._page.status: pieces.problem(str(error))}
        except (MemoryError, RuntimeError) as error:
            return {self._page.status: pieces.problem(_told(error))}

    def _watched(self, job: EditJob) -> Iterator[Changes]:
        """What is new of a job, until it is finished."""
        page, seen = self._page, None
        while not job.wait(_TICK_SECONDS):
            stage = job.progress
            if stage is None:
                ahead = self._queue.ahead(job)
                yield {page.status: pieces.waiting(ahead)}
                continue
            changes: Changes = {page.status: pieces.progress(stage)}
            if stage.preview is not None and stage.preview is not seen:
                seen = stage.preview
                changes[page.stage] = pieces.picture(seen, "the edit so far", "so far")
            yield changes

    def _ended(self, visitor: Visitor, job: EditJob, start: Start, order: Order) -> Changes:
        page = self._page
        with visitor.lock:
            if visitor.job is job:  # not the next one, which may be there already
                visitor.job = None
        if job.result is None:
            error = job.error
            told = pieces.nothing_made(job.timed_out)
            told = told if error is None else pieces.problem(_told(error))
            return {page.status: told, **self._views.back(visitor, start)}
        kept = visitor.keep(order, start, job.result)
        return {
            page.status: self._views.outcome(kept, job.timed_out),
            page.strength: kept.shown.strength,
            page.heat: False,
            page.tools: gr.update(visible=True),
            **self._views.shown(visitor, kept, False),
        }

    def _flags(self, name: str, text: Any) -> str:
        """The words of a text that a pack does not know."""
        pack = self._studio.session(name).pack
        text = str(text or "")[:LONGEST_TEXT]  # an edit refuses what is longer, and each word costs
        found: dict[str, tuple[str, ...]] = {}
        for prompt in split_prompts(text) if pack.vocabulary is not None else ():
            found |= dict(unknown_words(prompt, pack.vocabulary or ()))
        return pieces.flags(text, found.items(), pack.manifest.name)

    def _start_of(self, visitor: Visitor) -> Start:
        if visitor.start is None:  # never another picture than the one that the page shows
            raise InputError("your pictures were removed after a pause; load the page again")
        return visitor.start

    def _pack_of(self, visitor: Visitor) -> str:
        return self._start_of(visitor).pack


def field_of(event: gr.EventData, name: str) -> str:
    """What the page's script said with an event; it may be anything, and nothing."""
    return str(getattr(event, name, ""))


def _told(error: Exception) -> str:
    """What to say of an error; one that is nobody's fault but ours goes to the log."""
    if isinstance(error, CfclipError):
        return str(error)
    if out_of_memory(error):
        return f"not enough memory; {MEMORY_REMEDY}"
    _LOG.error("a handler of the web app failed", exc_info=error)
    return _BROKEN
