"""Ray Data on this machine: a cluster of two nodes, one of whose workers is killed."""

import os
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import deadly_rows
import pytest
from tiny_jobs import BATCH, job_of, rows_of, write_mapper

from cfclip.batches import Row
from cfclip.batches.row_editing import BatchJob, Outcome, RowEditor
from cfclip.errors import CfclipWarning, InputError

ray = pytest.importorskip("ray")

from cfclip.batches import RayEngine, ray_engine  # noqa: E402

pytestmark = pytest.mark.slow

ROWS = rows_of("sample:0-39")
"""Ten chunks, so that there is work left when a worker is killed."""


@pytest.fixture(scope="module")
def job(tiny_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> BatchJob:
    folder = tmp_path_factory.mktemp("runs")
    return job_of(tiny_pack, write_mapper(folder / "two", tiny_pack), folder)


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's workers find the modules that this process finds."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))


def chunks() -> list[list[Row]]:
    return [ROWS[start : start + BATCH] for start in range(0, len(ROWS), BATCH)]


def sorted_outcomes(outcomes: list[Outcome]) -> list[Outcome]:
    return sorted(outcomes, key=lambda each: each.name)


def test_a_cluster_of_two_nodes_with_a_killed_worker(job: BatchJob, tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, include_dashboard=False)
        outcomes: list[Outcome] = []
        prepare = partial(deadly_rows.note_process, tmp_path)
        with RayEngine(job, 2, cluster.address, prepare) as engine:
            for some in engine.run(iter(chunks()), lambda: False):
                if not outcomes:
                    killed = int(next(tmp_path.iterdir()).name)
                    os.kill(killed, signal.SIGKILL)
                outcomes += some
    finally:
        cluster.shutdown()
    assert len(list(tmp_path.iterdir())) >= 2
    editor = RowEditor(job)
    expected = [each for chunk in chunks() for each in editor.edit(chunk)]
    assert sorted_outcomes(outcomes) == sorted_outcomes(expected)


def test_what_cannot_be_worked_with_is_told(job: BatchJob) -> None:
    with (
        RayEngine(replace(job, fingerprint="0" * 64), 1) as engine,
        pytest.raises(InputError, match="is another one here; make them the same"),
    ):
        list(engine.run(iter(chunks()), lambda: False))


def test_a_long_temporary_folder(
    job: BatchJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("long" * 20)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    told = rf"TMPDIR is {len(str(long))} bytes long, Ray's sockets allow \d+; Ray works in /tmp/"
    with pytest.warns(CfclipWarning, match=told) as warned, RayEngine(job, 1):
        assert ray.get(ray.put(b"through its socket")) == b"through its socket"
    assert not Path(str(warned[0].message).rpartition(" ")[2]).exists()
    monkeypatch.setattr(ray_engine, "_SHORT_FOLDER", tmp_path / "none")
    why = r"and .*/none cannot be taken instead \(No such file or directory\); set TMPDIR to a"
    with pytest.raises(InputError, match=why), RayEngine(job, 1):
        pass


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:1", "127.0.0.1:99999"])
def test_no_cluster(job: BatchJob, address: str) -> None:
    with pytest.raises(InputError, match="no Ray cluster answers at"), RayEngine(job, 1, address):
        pass
