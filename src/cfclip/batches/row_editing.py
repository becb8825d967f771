"""What a worker does: rows in, pictures as the bytes of files out. It writes no results itself.

By a method without steps, latents are always moved and rendered as many at a time, filled up if
there are fewer: what a float's last bits are then depends on the row alone, and a picture is the
same whatever else was in its batch, after a restart too.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from cfclip.batches.rows import Row
from cfclip.batches.shards import read_member
from cfclip.editing import (
    MAPPER,
    OPTIMISATION,
    Inversions,
    Session,
    SourceMaker,
    circumstances,
    sample_origin,
)
from cfclip.editors import Confinement, OnePassEditor
from cfclip.encoders import ProjectionConfig
from cfclip.errors import RECOVERABLE, CheckpointError, PackError, failure_line
from cfclip.optim import COMPLETED
from cfclip.provenance import Marking, encode_picture, provenance_of
from cfclip.regions import ChosenRegion
from cfclip.settings import EditSettings
from cfclip.tensors import pil_from_signed

T = TypeVar("T")
_KEPT_TEXTS = 1024
_FILE_ORIGIN = {"kind": "file"}
"""All that provenance tells of a picture: nothing of files."""


@dataclass(frozen=True)
class BatchJob:
    """What the workers of a batch need to know besides the rows."""

    pack: Path
    """Folder of the pack, on each machine."""
    fingerprint: str
    """Of the pack."""
    device: str
    method: str
    """How rows are edited, by name."""
    files: tuple[Path, ...]
    """What the method takes."""
    hashes: tuple[str, ...]
    """SHA-256 of these files."""
    settings: EditSettings
    """Of the method; the strength is that of a row."""
    projection: ProjectionConfig
    batch: int
    """Rows at a time of a method without steps."""
    marking: Marking
    inversions: Path
    """Folder that latents of pictures are kept in."""
    one_pass: bool = False
    """Whether the method takes no steps."""

    @property
    def chunk(self) -> int:
        """Rows that are handed out at a time: what takes steps does one after another anyway."""
        return self.batch if self.one_pass else 1

    def claim(self, form: str) -> dict[str, Any]:
        """What decides the pictures of a batch besides its rows, and the form of its results."""
        claim = {
            "pack": self.fingerprint,
            "mapper": self.hashes[0] if self.method == MAPPER else None,
            "settings": None if self.method == MAPPER else asdict(self.settings),
            "projection": asdict(self.projection),
            "form": form,
            "metadata": self.marking.metadata,
            "signed": self.marking.signer is not None,
        }
        if self.method == MAPPER or (self.method == OPTIMISATION and not self.hashes):
            return claim  # as folders have it that were begun when there was nothing else
        return {**claim, "method": self.method, "files": list(self.hashes)}


@dataclass(frozen=True)
class Outcome:
    """What became of a row."""

    name: str
    png: bytes | None = None
    """The file of the edited picture; None if the row failed."""
    error: str | None = None
    """Why it failed."""
    psnr: float | None = None
    """Decibels of the inversion; None for a sample, which is exact."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Start:
    """What a row is edited from."""

    row: Row
    latents: Tensor
    origin: dict[str, Any]
    psnr: float | None = None
    warnings: tuple[str, ...] = ()


class RowEditor:
    """Edits rows with the models of a job, loaded once.

    Raises:
        PackError, CheckpointError: the models are not there, or not those of the job.
    """

    def __init__(self, job: BatchJob) -> None:
        self._job = job
        self._session = Session.open(job.pack, job.device)
        if self._session.pack.fingerprint != job.fingerprint:
            raise PackError(f"the pack in {job.pack} is another one here; make them the same")
        self._method = self._session.method(job.method, job.files, job.settings)
        for file, origin, digest in zip(job.files, self._method.origins, job.hashes, strict=True):
            if origin["sha256"] != digest:
                raise CheckpointError(f"{file} is another file here; make them the same")
        self._generator = self._session.generator
        self._samples = SourceMaker(self._session.pack, self._session.device)
        self._inversions: Inversions | None = None
        self._circumstances = circumstances(self._session.pack, self._session.device)
        self._codes = lru_cache(_KEPT_TEXTS)(self._text_codes)

    def edit(self, rows: Sequence[Row]) -> list[Outcome]:
        """An outcome for each row, in any order; at most a batch of rows without steps."""
        outcomes: list[Outcome] = []
        starts: list[_Start] = []
        samples = self._sample_latents(rows)
        for row in rows:
            try:
                if self._method.one_pass:
                    self._codes(row.text)  # what cannot be read fails its own row
                starts.append(self._start(row, samples))
            except RECOVERABLE as error:
                outcomes.append(Outcome(row.name, error=failure_line(error)))
        for some in self._groups(starts):
            try:
                outcomes += self._move(some) if self._method.one_pass else self._optimise(*some)
            except RECOVERABLE as error:
                reason = failure_line(error)
                outcomes += (Outcome(start.row.name, error=reason) for start in some)
        return outcomes

    def _groups(self, starts: Sequence[_Start]) -> Iterable[Sequence[_Start]]:
        """What is edited together: by one editor, if without steps; alone otherwise."""
        if not self._method.one_pass:
            return [[start] for start in starts]
        groups: dict[int, list[_Start]] = {}
        for start in starts:
            editor, *_ = self._codes(start.row.text)
            groups.setdefault(id(editor), []).append(start)
        return groups.values()

    def synthesis_rate(self, seconds: float) -> float:
        """Pictures per second of the generator alone, for about so long, a batch at a time."""
        with torch.inference_mode():
            latents = self._samples.sample_latents(range(self._job.batch))
            self._generator.synthesis(latents)  # the first one takes longer
            began, made = time.perf_counter(), 0
            while (took := time.perf_counter() - began) < seconds or not made:
                self._generator.synthesis(latents)
                made += len(latents)
        return made / took

    def _sample_latents(self, rows: Sequence[Row]) -> dict[int, Tensor]:
        """Latents of the samples among the rows, by their seeds."""
        seeds = [row.place.seed for row in rows if row.place.kind == "sample"]
        if not seeds:
            return {}
        if not self._method.one_pass:
            return {seed: self._samples.sample_latents([seed])[0] for seed in seeds}
        # No gradients are needed, which the optimisation of what is made so could not take.
        with torch.inference_mode():
            latents = self._samples.sample_latents(self._filled(seeds))
        return dict(zip(seeds, latents, strict=False))

    def _filled(self, some: Sequence[T]) -> list[T]:
        return [*some, *[some[0]] * (self._job.batch - len(some))]

    def _start(self, row: Row, samples: Mapping[int, Tensor]) -> _Start:
        if row.place.kind == "sample":
            return _Start(row, samples[row.place.seed], sample_origin(row.place.seed))
        if row.place.kind == "latents":
            code = self._samples.codes.one(row.place.path)
            latents = code.latents.expand(self._generator.num_ws, -1).to(self._session.device)
            return _Start(row, latents, {"kind": code.origin["kind"]}, None, code.file.warnings)
        if self._inversions is None:
            self._inversions = Inversions(self._session, self._job.inversions, self._job.projection)
        if row.place.kind == "file":
            inverted = self._inversions.invert(Path(row.place.path))
        else:
            inverted = self._inversions.invert_data(read_member(row.place), row.image)
        psnr = inverted.psnr if math.isfinite(inverted.psnr) else None
        latents = inverted.latents.to(self._session.device)
        return _Start(row, latents, _FILE_ORIGIN, psnr, inverted.warnings)

    def _text_codes(self, text: str) -> tuple[OnePassEditor, Tensor, ChosenRegion]:
        """What edits by a text, what the text is to it, and where it may change a picture. Raises
        `InputError` for a text that it cannot read or does not know."""
        texts = self._session.check_edit(self._method, text)
        editor = self._method.editor_of(texts.prompts)
        assert isinstance(editor, OnePassEditor)
        with torch.no_grad():
            return editor, editor.read(texts), editor.choose_region(texts)

    @torch.inference_mode()
    def _move(self, starts: Sequence[_Start]) -> list[Outcome]:
        filled = self._filled(starts)
        latents = torch.stack([start.latents for start in filled])
        editors, read, regions = zip(
            *(self._codes(start.row.text) for start in filled), strict=True
        )
        editor, codes = editors[0], torch.cat(read)
        for place, start in enumerate(starts):
            reason = editor.stop_reason(codes[place : place + 1])
            if reason != COMPLETED:
                filled[place] = replace(start, warnings=(*start.warnings, reason))
        offset = editor.offset(latents, codes)
        strengths = latents.new_tensor([start.row.strength for start in filled])
        factors = strengths.reshape(-1, *[1] * (offset.ndim - 1))
        confinement = Confinement.of_each(editor.space_of(latents), regions, editor.parts)
        pictures = pil_from_signed(confinement.render(factors * offset))
        return [
            self._outcome(start, picture, None)
            for start, picture in zip(filled[: len(starts)], pictures, strict=False)
        ]

    def _optimise(self, start: _Start) -> list[Outcome]:
        row = start.row
        method = self._method.with_settings(strength=row.strength)
        result = self._session.edit(start.latents, row.text, row.seed, method=method)
        noted = replace(start, warnings=(*start.warnings, *result.warnings))
        return [self._outcome(noted, result.image, row.seed)]

    def _outcome(self, start: _Start, picture: Any, seed: int | None) -> Outcome:
        row = start.row
        facts = {
            **self._circumstances,
            "source": start.origin,
            "prompts": [row.text],
            "seed": seed,
        }
        marking = self._job.marking
        png = encode_picture(picture, provenance_of(facts), marking, quickly=True)
        return Outcome(row.name, png, psnr=start.psnr, warnings=start.warnings)
