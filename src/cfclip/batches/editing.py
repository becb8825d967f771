"""What a worker does: rows in, pictures as the bytes of files out. It writes no results itself.

With a mapper, latents are always moved and rendered as many at a time, filled up if there are
fewer: what a float's last bits are then depends on the row alone, and a picture is the same
whatever else was in its batch, after a restart too.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from cfclip.batches.rows import Row
from cfclip.batches.shards import read_member
from cfclip.editing.inversions import Inversions
from cfclip.editing.mappers import edited_pictures, open_mapper
from cfclip.editing.results import circumstances
from cfclip.editing.session import Session
from cfclip.editing.sources import SourceMaker, sample_origin
from cfclip.editors.optimisation_config import LatentOptimisationConfig
from cfclip.encoders.projection_config import ProjectionConfig
from cfclip.errors import (
    MEMORY_REMEDY,
    CfclipError,
    CheckpointError,
    PackError,
    out_of_memory,
)
from cfclip.provenance.metadata import provenance_of
from cfclip.provenance.stamping import Marking, encode_picture

T = TypeVar("T")
_KEPT_TEXTS = 1024
_FILE_ORIGIN = {"kind": "file"}
"""All that provenance tells of a picture: nothing of files."""


@dataclass(frozen=True)
class Job:
    """What the workers of a batch need to know besides the rows."""

    pack: Path
    """Folder of the pack, on each machine."""
    fingerprint: str
    """Of the pack."""
    device: str
    mapper: Path | None
    """File of a text mapper; None edits by latent optimisation."""
    mapper_hash: str | None
    settings: LatentOptimisationConfig
    """Of latent optimisation."""
    projection: ProjectionConfig
    batch: int
    """Rows at a time with a mapper."""
    marking: Marking
    inversions: Path
    """Folder that latents of pictures are kept in."""

    @property
    def chunk(self) -> int:
        """Rows that are handed out at a time: optimisation takes one after another anyway."""
        return self.batch if self.mapper else 1


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

    def __init__(self, job: Job) -> None:
        self._job = job
        self._session = Session.open(job.pack, job.device)
        if self._session.pack.fingerprint != job.fingerprint:
            raise PackError(f"the pack in {job.pack} is another one here; make them the same")
        self._mapper = None
        if job.mapper is not None:
            self._mapper = open_mapper(self._session.pack, job.mapper, self._session.device)
            if self._mapper.origin["sha256"] != job.mapper_hash:
                raise CheckpointError(f"{job.mapper} is another mapper here; make them the same")
        self._generator = self._session.generator
        self._samples = SourceMaker(self._session.pack, self._session.device)
        self._inversions: Inversions | None = None
        self._circumstances = circumstances(self._session.pack, self._session.device)
        self._codes = lru_cache(_KEPT_TEXTS)(self._text_codes)

    def edit(self, rows: Sequence[Row]) -> list[Outcome]:
        """An outcome for each row, in any order; at most `Job.batch` rows with a mapper."""
        failed: list[Outcome] = []
        starts: list[_Start] = []
        samples = self._sample_latents(rows)
        for row in rows:
            try:
                if self._mapper is not None:
                    self._codes(row.text)  # what cannot be read fails its own row
                starts.append(self._start(row, samples))
            except (CfclipError, MemoryError, RuntimeError) as error:
                failed.append(Outcome(row.name, error=_reason(error)))
        try:
            return [*failed, *(self._apply(starts) if self._mapper else self._optimise(starts))]
        except (CfclipError, MemoryError, RuntimeError) as error:
            reason = _reason(error)
            return [*failed, *(Outcome(start.row.name, error=reason) for start in starts)]

    def synthesis_rate(self, seconds: float) -> float:
        """Pictures per second of the generator alone, for about so long, `Job.batch` at a time."""
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
        if self._mapper is None:
            return {seed: self._samples.sample_latents([seed])[0] for seed in seeds}
        # A mapper needs no gradients, which the optimisation of what is made so could not take.
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
            found = self._inversions.invert(Path(row.place.path))
        else:
            found = self._inversions.invert_data(read_member(row.place), row.image)
        psnr = found.psnr if math.isfinite(found.psnr) else None
        latents = found.latents.to(self._session.device)
        return _Start(row, latents, _FILE_ORIGIN, psnr, found.warnings)

    def _text_codes(self, text: str) -> Tensor | None:
        """Of the mapper. Raises `InputError` for a text that it cannot read or does not know."""
        assert self._mapper is not None
        (prompt,) = self._mapper.choose((text,))
        with torch.no_grad():
            features = self._session.embedder.text_features([prompt])[0]
            return self._mapper.text_codes(features)

    @torch.inference_mode()
    def _apply(self, starts: Sequence[_Start]) -> list[Outcome]:
        assert self._mapper is not None
        if not starts:
            return []
        filled = self._filled(starts)
        latents = torch.stack([start.latents for start in filled])
        strengths = latents.new_tensor([start.row.strength for start in filled])
        each = [self._codes(start.row.text) for start in filled]
        codes = [code for code in each if code is not None]
        offset = self._mapper.offset(latents, torch.cat(codes) if codes else None)
        pictures = edited_pictures(self._generator, latents, offset, strengths[:, None, None])
        return [
            self._outcome(start, picture, None)
            for start, picture in zip(starts, pictures, strict=False)
        ]

    def _optimise(self, starts: Sequence[_Start]) -> list[Outcome]:
        outcomes = []
        for start in starts:
            row = start.row
            config = replace(self._job.settings, strength=row.strength)
            try:
                result = self._session.edit(start.latents, row.text, row.seed, config=config)
            except (CfclipError, MemoryError, RuntimeError) as error:
                outcomes.append(Outcome(row.name, error=_reason(error)))
                continue
            noted = replace(start, warnings=(*start.warnings, *result.warnings))
            outcomes.append(self._outcome(noted, result.image, row.seed))
        return outcomes

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


def _reason(error: Exception) -> str:
    """Why a row failed. An error that is neither ours nor a lack of memory is raised again."""
    if out_of_memory(error):
        return f"not enough memory; {MEMORY_REMEDY}"
    if isinstance(error, CfclipError):
        return str(error)
    raise error
