"""The same work on Ray Data: on this machine, or on the machines of a Ray cluster.

Every machine needs cfclip, the pack, the mapper, the pictures and the folder of the batch under the
same paths. Results are written by the one process that started the batch, so that each row has
exactly one, whatever Ray does about actors that died.
"""

import logging
import math
import os
import re
import shutil
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from cfclip.batches.row_editing import BatchJob, Outcome, RowEditor
from cfclip.batches.rows import Row
from cfclip.errors import CfclipError, CfclipWarning, InputError, reason_of

_ROW = "row"
_HOST_AND_PORT = re.compile(r"\[?([\w.:-]+?)\]?:(\d{1,5})")
_CONNECTION_SECONDS = 10.0
_LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107
"""Bytes of the path of a Unix socket; the system takes no longer ones."""
_SOCKET = "/ray/session_2026-01-31_23-59-59_123456_1234567/sockets/plasma_store.1"
"""The longest that Ray makes in its temporary folder."""
_SHORT_FOLDER = Path("/tmp")
_UNABLE = "cfclip cannot work: "
"""Marks what a worker says, among what Ray says around it."""


class _RayWorker:
    """An actor of Ray Data: batches of rows as text in, outcomes out."""

    def __init__(self, job: BatchJob, prepare: Callable[[], None] | None) -> None:
        if prepare is not None:
            prepare()
        try:
            self._editor = RowEditor(job)
        except CfclipError as error:
            raise RuntimeError(f"{_UNABLE}{error}\n") from error

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        rows = [Row.from_json(str(line)) for line in batch[_ROW]]
        outcomes = self._editor.edit(rows)
        return {
            "name": [each.name for each in outcomes],
            "png": [each.png or b"" for each in outcomes],
            "error": [each.error or "" for each in outcomes],
            "psnr": [float("nan") if each.psnr is None else each.psnr for each in outcomes],
            "warnings": ["\n".join(each.warnings) for each in outcomes],
        }


class RayEngine:
    """Ray Data, for the time of a `with` block; see `work.Engine`.

    Args:
        job: what is to be done.
        workers: actors at a time, at least 1.
        address: of a running cluster, as `ray.init` takes it; None starts Ray on this machine.
        prepare: called in each worker first; a function that can be pickled.
    """

    def __init__(
        self,
        job: BatchJob,
        workers: int,
        address: str | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self._job = job
        self._workers = workers
        self._address = address
        self._prepare = prepare
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        """Raises `InputError` if there is no such cluster, or no folder whose name is short enough
        for Ray's sockets."""
        if self._address:
            _check_reachable(self._address)
        else:
            self._folder = _short_folder()
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would tell its makers of us
        import ray

        here: dict[str, Any] = {"num_cpus": self._workers, "include_dashboard": False}
        if self._folder is not None:
            here["_temp_dir"] = str(self._folder)
        try:
            ray.init(
                address=self._address or "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                **({} if self._address else here),
            )
        except (OSError, ValueError, RuntimeError) as error:
            self._remove_folder()
            where = self._address or "on this machine"
            raise InputError(f"cannot work with Ray {where}: {reason_of(error)}") from error
        return self

    def __exit__(self, *_: Any) -> None:
        import ray

        ray.shutdown()
        self._remove_folder()

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def run(
        self, chunks: Iterator[Sequence[Row]], stopping: Callable[[], bool]
    ) -> Iterator[list[Outcome]]:
        import ray

        rows = [row for chunk in chunks for row in chunk]
        if not rows:
            return
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        blocks = -(-len(rows) // self._job.chunk)
        results = ray.data.from_items(
            [{_ROW: row.to_json()} for row in rows], override_num_blocks=blocks
        ).map_batches(
            _RayWorker,
            fn_constructor_args=(self._job, self._prepare),
            batch_size=self._job.chunk,
            compute=ray.data.ActorPoolStrategy(size=self._workers),
            num_cpus=1,
        )
        try:
            batches: Iterable[Any] = results.iter_batches(batch_size=None, batch_format="pyarrow")
            for batch in batches:
                yield [_outcome(each) for each in batch.to_pylist()]
                if stopping():
                    return
        except ray.exceptions.RayError as error:
            text = str(error)
            if _UNABLE in text:
                said = text.partition(_UNABLE)[2].partition("\n")[0]
                raise InputError(said) from error
            raise CfclipError(f"Ray gave up: {reason_of(error)}") from error

    def synthesis_rate(self, seconds: float) -> float:
        raise InputError(
            "what the generator alone does is measured with --engine local only; leave out "
            "--measure"
        )


def _check_reachable(address: str) -> None:
    """Raise `InputError` if nothing listens at HOST:PORT; Ray would try for minutes."""
    match = _HOST_AND_PORT.fullmatch(address)
    if match is None:  # "auto", say, which Ray looks up
        return
    try:
        socket.create_connection((match[1], int(match[2])), _CONNECTION_SECONDS).close()
    except (OSError, OverflowError, ValueError) as error:
        raise InputError(
            f"no Ray cluster answers at {address} ({reason_of(error)}); start one there (ray "
            "start --head), or leave out --address"
        ) from error


def _short_folder() -> Path | None:
    """A folder for Ray to work in, where the one that it takes by itself has too long a name.

    None if that will do. Raises `InputError` if no other can be made.
    """
    name = "RAY_TMPDIR" if "RAY_TMPDIR" in os.environ else "TMPDIR"
    usual, most = os.environ.get(name, ""), _LONGEST_SOCKET - len(_SOCKET)
    if len(os.fsencode(usual)) <= most:
        return None
    long = f"{name} is {len(os.fsencode(usual))} bytes long, Ray's sockets allow {most}"
    try:
        folder = Path(tempfile.mkdtemp(dir=_SHORT_FOLDER, prefix="cfclip-ray-"))
    except OSError as error:
        raise InputError(
            f"{long}, and {_SHORT_FOLDER} cannot be taken instead ({reason_of(error)}); set "
            f"{name} to a folder with a shorter name"
        ) from error
    warnings.warn(f"{long}; Ray works in {folder}", CfclipWarning, stacklevel=2)
    return folder


def _outcome(content: dict[str, Any]) -> Outcome:
    psnr = content["psnr"]
    return Outcome(
        name=content["name"],
        png=content["png"] or None,
        error=content["error"] or None,
        psnr=None if math.isnan(psnr) else psnr,  # a column has one type: NaN stands for none
        warnings=tuple(filter(None, content["warnings"].split("\n"))),
    )
