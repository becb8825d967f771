"""Jobs and rows of batches on the tiny pack."""

from collections.abc import Sequence
from pathlib import Path

from cfclip.batches import BatchJob, Row, RowDefaults, find_entries, make_rows
from cfclip.editing import MAPPER, OPTIMISATION, Session
from cfclip.editors import (
    BEST,
    LatentOptimisationConfig,
    MapperEditConfig,
    TextMapperConfig,
    save_text_mapper,
)
from cfclip.encoders import ProjectionConfig
from cfclip.io import sha256_of
from cfclip.packs import Pack
from cfclip.provenance import MARKED
from cfclip.training.initial import new_mapper

PROMPTS = ("green hair", "blue skin")
BATCH = 4


def write_mapper(folder: Path, pack: Path, prompts: Sequence[str] = PROMPTS) -> Path:
    """The folder of a training that ended at once, for those prompts."""
    session = Session.open(pack)
    generator, width = session.generator, session.embedder.dim
    shape = TextMapperConfig(num_ws=generator.num_ws, w_dim=generator.w_dim, text_dim=width)
    facts = {"pack": "tiny", "pack_version": "1", "models": session.pack.mapped_models}
    folder.mkdir(parents=True)
    save_text_mapper(new_mapper(shape, 0), folder / BEST, {**facts, "prompts": list(prompts)})
    return folder


def job_of(pack: Path, run: Path | None, folder: Path) -> BatchJob:
    """A job that is quick: no projection, two steps of optimisation."""
    file = None if run is None else run / BEST
    return BatchJob(
        pack=pack,
        fingerprint=Pack.open(pack).fingerprint,
        device="cpu",
        method=OPTIMISATION if file is None else MAPPER,
        files=() if file is None else (file,),
        hashes=() if file is None else (sha256_of(file),),
        settings=LatentOptimisationConfig(steps=2) if file is None else MapperEditConfig(),
        projection=ProjectionConfig(steps=0, warn_below_psnr=0.0),
        batch=BATCH,
        marking=MARKED,
        inversions=folder / "inversions",
        one_pass=file is not None,
    )


def rows_of(
    *inputs: str, texts: Sequence[str] = ("green hair",), strength: float = 1.0, seed: int = 0
) -> list[Row]:
    """The rows of inputs that are all good."""
    entries = find_entries(inputs, None, lambda line: None)
    rows, refused = make_rows(entries, RowDefaults(tuple(texts), strength, seed))
    assert refused == []
    return rows
