"""Packs, mappers and edits behind the page; knows nothing of pages."""

import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from cfclip.apps.web.jobs import Job
from cfclip.apps.web.orders import OPTIMISATION, Order
from cfclip.apps.web.visitors import Start
from cfclip.editing import MAPPER, METHODS, EditResult, OpenedMethod, Session, Source, source_of
from cfclip.editing import OPTIMISATION as METHOD_OF_PAGE
from cfclip.editors import EditProgress
from cfclip.encoders import ProjectionConfig
from cfclip.errors import CfclipError, CheckpointError, InputError
from cfclip.images import open_image
from cfclip.optim import Callback, DescentStep
from cfclip.packs import EXAMPLES, available_packs, example_prompts, resolve
from cfclip.tensors import pil_from_signed

PREVIEW_SECONDS = 0.5
"""Least time between two previews, each of which costs a rendering."""

READING = "Reading the picture"
EDITING = "Editing"

_PLAIN = re.compile(r"[^A-Za-z0-9]+")
_LONGEST_NAME = 40


@dataclass(frozen=True)
class Stage:
    """How far an edit is."""

    phase: str
    step: int
    steps: int
    seconds: float
    """Since this phase began."""
    preview: Image.Image | None = None
    """What the edit looks like by now."""

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the steps so far; None before there are any."""
        if not self.step:
            return None
        return self.seconds / self.step * (self.steps - self.step)


EditJob = Job[Stage, EditResult]


class Studio:
    """The packs that can be chosen, each opened when first asked for, and their mappers.

    Args:
        pack: name or folder of the first pack, which is opened at once.
        mappers: name to run or file of the mappers that were found.
        device: where to compute.

    Raises:
        PackError, InputError: a pack or a device that cannot be used.
    """

    def __init__(self, pack: str, mappers: Mapping[str, Path], device: str = "cpu") -> None:
        folder = resolve(pack)
        self._folders = {folder.name: folder, **available_packs()}
        self._device = device
        self._mapper_files = dict(mappers)
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._mappers: dict[str, dict[str, OpenedMethod]] = {}
        self._others: dict[str, dict[str, OpenedMethod]] = {}
        self.notes: list[str] = []
        """What was wrong with mappers, for whoever runs the app."""
        self.first_pack = folder.name
        self.session(self.first_pack)

    @property
    def packs(self) -> list[str]:
        """Names of the packs, the first one first."""
        return sorted(self._folders, key=lambda name: (name != self.first_pack, name))

    def session(self, pack: str) -> Session:
        """The session on a pack. Raises `InputError` for another name, and as `Session.open`."""
        if pack not in self._folders:
            raise InputError(f"there is no pack {pack!r}; choose one of {', '.join(self.packs)}")
        with self._lock:
            if pack not in self._sessions:
                session = Session.open(self._folders[pack], self._device)
                self._mappers[pack] = self._fitting(session)
                self._others[pack] = _without_files(session)
                self._sessions[pack] = session
            return self._sessions[pack]

    def mappers(self, pack: str) -> Mapping[str, OpenedMethod]:
        """The mappers that were made for a pack's models, by name."""
        self.session(pack)
        return self._mappers[pack]

    def methods(self, pack: str) -> Mapping[str, OpenedMethod]:
        """All methods of a pack but the usual one, by name: mappers, and what needs no files."""
        return {**self._others[pack], **self.mappers(pack)}

    def examples(self, pack: str, method: str) -> tuple[str, ...]:
        """Prompts to try, which a mapper was trained for or the pack knows."""
        mapper = self.mappers(pack).get(method)
        if mapper is not None and mapper.prompts:
            return mapper.prompts[:EXAMPLES]
        return example_prompts(self.session(pack).pack.manifest)

    def sample(self, pack: str, seed: int) -> Start:
        """A picture of the generator's own. Raises `InputError` for a seed out of its limits."""
        session = self.session(pack)
        source = session.sample(1, seed)[0]
        return Start(pack, source.image, f"sample {seed}", lambda _: source, source)

    def upload(self, pack: str, content: bytes, name: str, max_pixels: int) -> Start:
        """A picture of the visitor's own, cut to a square.

        `content` is its file and `name` what that was called. Raises `InputError`.
        """
        session = self.session(pack)
        opened = open_image(content, session.pack.manifest.resolution, name, max_pixels)
        called = _PLAIN.sub("-", Path(name).stem).strip("-")[:_LONGEST_NAME] or "picture"

        def make(callback: Callback | None) -> Source:
            found = session.invert(opened.image, callback=callback)
            return replace(found, name=called, warnings=(*opened.warnings, *found.warnings))

        return Start(pack, opened.image, name, make)

    def follow(self, pack: str, result: EditResult) -> Start:
        """The result of an edit, to go on from."""
        session = self.session(pack)

        def make(callback: Callback | None) -> Source:
            return source_of(session, result, callback=callback)

        about = f"result of {', '.join(result.prompts)}"
        return Start(pack, result.image, about, make)

    def part_at(self, start: Start, x: float, y: float) -> str:
        """The part of a picture at a point, from (0, 0) at its upper left to (1, 1).

        Of a picture that was not read yet, which takes a while, it is what the pack's encoder alone
        makes of it. Raises `InputError` where there is none, or the pack has no parts.
        """
        session = self.session(start.pack)
        source = start.source
        if source is None:
            if not session.pack.has_encoder:
                raise InputError(
                    "this picture was not read yet; name the parts, or edit it once and then click"
                )
            source = session.invert(start.image, ProjectionConfig(steps=0))
        return session.parts(source).at(x, y)

    def edit(self, start: Start, order: Order, job: EditJob) -> EditResult | None:
        """Make an edit; None if it was stopped before there was anything of it.

        Raises `CfclipError` for what cannot be made.
        """
        session = self.session(start.pack)
        method = self._method(session, start.pack, order)
        session.check_edit(method, order.prompts)
        source = self._source(start, job)
        if source is None:
            return None
        watch = _Watch(job)
        return session.edit(source, order.prompts, order.seed, method=method, callback=watch.edit)

    def _method(self, session: Session, pack: str, order: Order) -> OpenedMethod:
        if order.method == OPTIMISATION:
            return session.method(config=order.config)
        method = self.methods(pack).get(order.method)
        if method is None:
            raise InputError(f"there is no mapper {order.method!r} for this pack; choose another")
        if order.parts:
            method = method.with_settings(parts=order.parts)
        if order.method in self.mappers(pack) and len(order.prompts) > 1:
            raise InputError("a mapper takes one text at a time; leave out the others")
        return method

    def _source(self, start: Start, job: EditJob) -> Source | None:
        if start.source is None:
            source = start.make(_Watch(job).invert)
            if not (source.inversion or {}).get("stopped_from_outside"):
                start.source = source  # whole; half an inversion is of no use
            if job.should_stop:
                return None
        return start.source

    def _fitting(self, session: Session) -> dict[str, OpenedMethod]:
        found = {}
        for name, path in self._mapper_files.items():
            try:
                found[name] = session.method(MAPPER, [path])
            except CheckpointError as error:
                self.notes.append(str(error))
            except CfclipError as error:
                self.notes.append(f"{path}: {error}")
        return found


def _without_files(session: Session) -> dict[str, OpenedMethod]:
    """The methods that need no files, but the usual one, as far as the pack has what they need."""
    found = {}
    for name, row in METHODS.items():
        if name != METHOD_OF_PAGE and not row.fewest_files:
            with suppress(CfclipError):
                found[name] = session.method(name)
    return found


class _Watch:
    """Callbacks that report to a job and end the work when it should stop."""

    def __init__(self, job: EditJob) -> None:
        self._job = job
        self._began = time.monotonic()
        self._preview: Image.Image | None = None
        self._shown = -PREVIEW_SECONDS

    def invert(self, progress: DescentStep) -> bool:
        """After each step of an inversion."""
        return self._tell(READING, progress.step, progress.steps)

    def edit(self, progress: EditProgress) -> bool:
        """After each step of an edit."""
        now = time.monotonic()
        # The first ones show the picture as it was.
        if progress.step and now - self._shown >= PREVIEW_SECONDS:
            self._shown = now
            self._preview = pil_from_signed(progress.images())[0]
        return self._tell(EDITING, progress.step, progress.steps)

    def _tell(self, phase: str, step: int, steps: int) -> bool:
        seconds = time.monotonic() - self._began
        self._job.report(Stage(phase, step, steps, seconds, self._preview))
        return not self._job.should_stop
