"""Worker processes: every row comes back, whatever becomes of the workers."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import deadly_rows
import pytest
from tiny_jobs import BATCH, job_of, rows_of, write_mapper

from cfclip.batches import LocalEngine, Row, local_engine
from cfclip.batches.row_editing import BatchJob, RowEditor
from cfclip.errors import InputError

pytestmark = pytest.mark.slow

ROWS = rows_of("sample:0-21")


@pytest.fixture(scope="module")
def job(tiny_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> BatchJob:
    folder = tmp_path_factory.mktemp("runs")
    return job_of(tiny_pack, write_mapper(folder / "two", tiny_pack), folder)


def chunks(rows: Sequence[Row]) -> list[Sequence[Row]]:
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]


def test_every_row_comes_back_as_one_editor_makes_it(job: BatchJob) -> None:
    with LocalEngine(job, 2) as engine:
        assert engine.synthesis_rate(0.01) > 0
        found = [each for some in engine.run(iter(chunks(ROWS)), lambda: False) for each in some]
    editor = RowEditor(job)
    expected = [each for chunk in chunks(ROWS) for each in editor.edit(chunk)]
    assert sorted(found, key=lambda each: each.name) == sorted(expected, key=lambda each: each.name)


def test_the_rows_of_a_killed_worker_are_done_by_another(job: BatchJob) -> None:
    names: list[str] = []
    with LocalEngine(job, 2) as engine:
        for number, some in enumerate(engine.run(iter(chunks(ROWS)), lambda: False)):
            names += [each.name for each in some]
            if number == 1:
                engine._workers[0].process.kill()
    assert sorted(names) == sorted(row.name for row in ROWS)


def test_no_row_is_blamed_for_workers_that_died_before_it_came(job: BatchJob) -> None:
    with LocalEngine(job, 2) as engine:
        for worker in engine._workers:
            worker.process.kill()
            worker.process.join()
        found = [each for some in engine.run(iter([ROWS[:5]]), lambda: False) for each in some]
    assert [each.error for each in found] == [None] * 5


def test_what_asks_all_processes_of_a_group_to_end_is_left_to_the_first(job: BatchJob) -> None:
    """`timeout`, a service and a queue of jobs send SIGTERM to workers too."""
    with LocalEngine(job, 1) as engine:
        before = engine._workers[0].process
        before.terminate()
        found = [each for some in engine.run(iter(chunks(ROWS)), lambda: False) for each in some]
        assert engine._workers[0].process is before
    assert len(found) == len(ROWS)


def test_a_row_that_kills_is_given_up_and_loses_no_other(job: BatchJob) -> None:
    rows = [*ROWS[:6], replace(ROWS[6], name=deadly_rows.DEADLY), *ROWS[7:10]]
    with LocalEngine(job, 1, deadly_rows.prepare) as engine:
        found = [each for some in engine.run(iter(chunks(rows)), lambda: False) for each in some]
        assert engine.synthesis_rate(0.01) > 0  # of the worker that is there now
    assert sorted(each.name for each in found) == sorted(row.name for row in rows)
    (failed,) = [each for each in found if each.error]
    assert failed.name == deadly_rows.DEADLY
    assert "the worker died over it twice" in str(failed.error)


def test_rows_that_kill_one_after_another_are_given_up_each(job: BatchJob) -> None:
    deadly = [replace(ROWS[0], name=f"{deadly_rows.DEADLY}-{number}") for number in range(3)]
    with LocalEngine(job, 1, deadly_rows.prepare) as engine:
        run = engine.run(iter([*([row] for row in deadly), ROWS[1:3]]), lambda: False)
        found = {each.name: each.error for some in run for each in some}
    assert [bool(found[row.name]) for row in (*deadly, *ROWS[1:3])] == [True] * 3 + [False] * 2


def test_stopping_ends_with_the_rows_at_hand(job: BatchJob) -> None:
    done: list[int] = []
    with LocalEngine(job, 1) as engine:
        for some in engine.run(iter(chunks(ROWS)), lambda: bool(done)):
            done.append(len(some))
    assert BATCH <= sum(done) <= 3 * BATCH < len(ROWS)


def test_a_long_row_at_hand_is_waited_for_however_often_it_is_looked_at(
    job: BatchJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_engine, "_POLL_SECONDS", 0.001)  # thousands of looks in a second
    done: list[str] = []

    def work() -> None:
        with LocalEngine(job, 1, deadly_rows.take_long) as engine:
            asked = time.monotonic() + 0.1
            for some in engine.run(([row] for row in ROWS), lambda: time.monotonic() > asked):
                done.extend(each.name for each in some)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(120.0)
    assert not thread.is_alive()
    assert done == [ROWS[0].name]


def test_what_cannot_be_worked_with_is_told(job: BatchJob) -> None:
    with (
        pytest.raises(InputError, match="is another one here"),
        LocalEngine(replace(job, fingerprint="0" * 64), 1),
    ):
        pass


def test_workers_end_with_the_process_that_wanted_them(job: BatchJob, tmp_path: Path) -> None:
    script = """
import sys, time
from pathlib import Path
from tiny_jobs import job_of
from cfclip.batches.local_engine import LocalEngine
if __name__ == "__main__":
    with LocalEngine(job_of(Path(sys.argv[1]), None, Path(sys.argv[2])), 1) as engine:
        print(engine._workers[0].process.pid, flush=True)
        time.sleep(600)
"""
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, str(tmp_path / "script.py"), str(job.pack), str(tmp_path)]
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    end = time.monotonic() + 60.0
    while is_running(worker):
        assert time.monotonic() < end
        time.sleep(0.05)


def is_running(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
