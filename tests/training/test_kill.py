"""A training that is killed at any moment and resumed comes to the same weights, bit for bit."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_training import assert_same, assert_same_mappers, tiny_run

STEPS = 30
OPTIONS = {"steps": STEPS, "validate_every": 7}
SCRIPT = f"""
import sys
from pathlib import Path
from tiny_training import tiny_run
tell = lambda progress: print(progress.step, flush=True)
tiny_run(Path(sys.argv[1]), tell, checkpoint_seconds=0.0, **{OPTIONS!r})
"""
TESTS = Path(__file__).parents[1]


def killed_at(step: int, out: Path) -> int:
    """Train in a process that is killed soon after `step`; returns its last known step."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(out)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
    )
    assert process.stdout is not None
    reached = 0
    for line in process.stdout:
        reached = int(line)
        if reached >= step:
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL
    return reached


@pytest.mark.slow
def test_killed_and_resumed_is_as_never_killed(tmp_path: Path) -> None:
    # Any step will do, and in any place of it: the process runs on while the signal is under way.
    first = random.randrange(1, STEPS // 2)
    second = random.randrange(first + 1, STEPS - 1)
    for step in (first, second):
        print("killed after step", killed_at(step, tmp_path / "killed"))
    found = tiny_run(tmp_path / "killed", **OPTIONS)
    expected = tiny_run(tmp_path / "whole", **OPTIONS)
    assert_same(found, expected)
    assert_same_mappers(tmp_path / "killed", tmp_path / "whole")
