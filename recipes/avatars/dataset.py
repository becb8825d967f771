"""Rendered datasets on disk: images to memory-map, and the table that made them.

A folder holds `dataset.json` (what was asked for), `images.npy` (N, H, W, 3) uint8 and
`table.npz` (shape codes, colours, colour classes); visibility follows from the table. While
rendering, finished chunks lie in `chunks/`; a second call with the same arguments goes on from
them.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cfclip_benchmark.avatars import (
    COLOURS,
    RESOLUTION,
    SHAPES,
    AttributeTable,
    Distribution,
    render,
    sample_table,
    visibility,
)

CHUNK = 500
# Raise when the same record would give other pixels, so that old folders are not mixed with new.
RENDERER_VERSION = 1


@dataclass(frozen=True)
class Dataset:
    """A rendered dataset.

    Attributes:
        images: (N, H, W, 3) uint8, memory-mapped, read-only.
        table: the attributes of each image.
        visibility: attribute -> (N,) bool, see `renderer.visibility`.
    """

    images: NDArray[np.uint8]
    table: AttributeTable
    visibility: dict[str, NDArray[np.bool_]]

    def __len__(self) -> int:
        return len(self.table)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name once the block has succeeded."""
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _chunk_path(folder: Path, index: int) -> Path:
    return folder / "chunks" / f"{index:06d}.npy"


def _render_chunk(job: tuple[Path, AttributeTable, int]) -> int:
    path, table, resolution = job
    images = np.stack([render(table.record(row), resolution) for row in range(len(table))])
    with _replacing(path) as temporary:
        np.save(temporary, images)
    return len(table)


def _table_arrays(table: AttributeTable) -> dict[str, NDArray[np.generic]]:
    arrays: dict[str, NDArray[np.generic]] = {}
    arrays |= {f"code.{name}": table.codes[name] for name in SHAPES}
    arrays |= {f"rgb.{name}": table.rgb[name] for name in COLOURS}
    arrays |= {f"class.{name}": table.classes[name] for name in COLOURS}
    return arrays


def render_dataset(
    distribution: Distribution,
    count: int,
    seed: int,
    out_dir: Path,
    resolution: int = RESOLUTION,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Renders `count` avatars into `out_dir`; the same arguments give the same bytes.

    Args:
        distribution: `natural` or `open`.
        count: number of images, at least 1.
        seed: of the attributes, such as `attributes.TRAIN_SEED`.
        out_dir: made if missing; chunks that are already there are kept.
        resolution: pixels per side.
        workers: processes; 1 renders in this one.
        progress: called with (images done, images in all) after every chunk.

    Returns:
        `out_dir`.

    Raises:
        ValueError: count, resolution or workers below 1, or a folder begun with other arguments.
    """
    for name, value in (("count", count), ("resolution", resolution), ("workers", workers)):
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    _claim(
        out_dir,
        {
            "distribution": distribution,
            "count": count,
            "seed": seed,
            "resolution": resolution,
            "renderer_version": RENDERER_VERSION,
        },
    )
    images_path = out_dir / "images.npy"
    if images_path.exists():
        return out_dir
    table = sample_table(count, distribution, seed)
    with _replacing(out_dir / "table.npz") as temporary, temporary.open("wb") as file:
        np.savez(file, **_table_arrays(table))  # type: ignore[arg-type]
    starts = range(0, count, CHUNK)
    jobs = [
        (path, table.take(slice(start, start + CHUNK)), resolution)
        for index, start in enumerate(starts)
        if not (path := _chunk_path(out_dir, index)).exists()
    ]
    done = count - sum(len(job[1]) for job in jobs)
    for rendered in _work(jobs, workers):
        done += rendered
        if progress is not None:
            progress(done, count)
    with _replacing(images_path) as temporary:
        _join([_chunk_path(out_dir, index) for index in range(len(starts))], temporary, count)
    shutil.rmtree(out_dir / "chunks")
    return out_dir


def _claim(folder: Path, asked: dict[str, str | int]) -> None:
    """Writes `dataset.json`, or checks that the folder was begun with the same arguments."""
    (folder / "chunks").mkdir(parents=True, exist_ok=True)
    path = folder / "dataset.json"
    if path.exists():
        begun = json.loads(path.read_text(encoding="utf-8"))
        if begun != asked:
            raise ValueError(f"{folder} holds {begun}, not {asked}; give another folder")
        return
    with _replacing(path) as temporary:
        temporary.write_text(json.dumps(asked, indent=2) + "\n", encoding="utf-8")


def _work(jobs: list[tuple[Path, AttributeTable, int]], workers: int) -> Iterator[int]:
    if workers == 1:
        yield from map(_render_chunk, jobs)
        return
    with get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(_render_chunk, jobs)


def _join(chunks: Iterable[Path], path: Path, count: int) -> None:
    images: NDArray[np.uint8] | None = None
    start = 0
    for chunk in chunks:
        part = np.load(chunk)
        if images is None:
            images = np.lib.format.open_memmap(
                path, mode="w+", dtype=np.uint8, shape=(count, *part.shape[1:])
            )
        images[start : start + len(part)] = part
        start += len(part)


def load_dataset(folder: Path | str) -> Dataset:
    """Opens a folder that `render_dataset` has finished.

    Raises:
        FileNotFoundError: the folder is missing or unfinished.
    """
    folder = Path(folder)
    if not (folder / "images.npy").exists():
        raise FileNotFoundError(
            f"{folder} is not a finished dataset (no images.npy); run the render command on it"
        )
    with np.load(folder / "table.npz") as arrays:
        table = AttributeTable(
            codes={name: arrays[f"code.{name}"] for name in SHAPES},
            rgb={name: arrays[f"rgb.{name}"] for name in COLOURS},
            classes={name: arrays[f"class.{name}"] for name in COLOURS},
        )
    return Dataset(np.load(folder / "images.npy", mmap_mode="r"), table, visibility(table))
