"""No file does harm: each hostile one is refused in a line, soon, and without effect."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from foreign_files import good_files
from hostile_files import SPARSE_BYTES, TRAP, hostile_files
from tiny_models import tiny_generator

_MAX_SECONDS = 2.0
"""Of computing: other work on the machine may make it wait."""
_MAX_MEGABYTES = 500

_OPEN_ALL = """
import json, os, resource, sys, time
from pathlib import Path

import torch
from cfclip.errors import CheckpointError
from cfclip.generators.opening import load_generator

folder, good, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
for path in good.iterdir():  # what is imported on first use does not count
    load_generator(path)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def data_bytes():
    fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(fields["VmData"].split()[0]) * 1024

most = data_bytes() + limit * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (most, most))  # memory that is asked for, used or not
events = []
FORBIDDEN = ("os.system", "subprocess.Popen", "os.mkdir", "os.remove", "exec", "compile",
             "pickle.find_class", "import")
sys.addaudithook(lambda name, _: events.append(name) if name in FORBIDDEN else None)
for path in sorted(folder.iterdir()):
    del events[:]
    before, start = peak(), time.process_time()
    try:
        load_generator(path)
        error = None
    except BaseException as raised:
        error = [type(raised).__name__, str(raised)]
    seconds = time.process_time() - start
    print(json.dumps([path.name, error, seconds, peak() - before, events]), flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_hostile_files_are_refused(tmp_path: Path) -> None:
    mark, folder, traps = tmp_path / "mark", tmp_path / "hostile", tmp_path / "traps"
    folder.mkdir()
    traps.mkdir()
    (traps / f"{TRAP}.py").write_text(f"open({str(mark)!r}, 'w').close()\nanything = print\n")
    generator = tiny_generator()
    files = hostile_files(mark, generator)
    assert len(files) >= 80
    for name, data in files.items():
        (folder / name).write_bytes(data)
        if name.startswith("sparse"):
            os.truncate(folder / name, SPARSE_BYTES)
    good = tmp_path / "good"
    good.mkdir()
    for name, data in good_files(generator).items():
        (good / name).write_bytes(data)
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), *sys.path, str(traps)])
    run = subprocess.run(
        [sys.executable, "-c", _OPEN_ALL, folder, good, str(_MAX_MEGABYTES)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    found = {name: rest for name, *rest in map(json.loads, run.stdout.splitlines())}
    assert found.keys() == files.keys()
    assert not mark.exists()
    for name, (error, seconds, megabytes, events) in found.items():
        assert error is not None, f"{name} was opened"
        assert error[0] == "CheckpointError", (name, error)
        assert name in error[1], (name, error)
        assert "\n" not in error[1], (name, error)
        assert len(error[1]) < 1000, (name, error)
        assert seconds < _MAX_SECONDS, (name, seconds)
        assert megabytes < _MAX_MEGABYTES, (name, megabytes)
        assert events == [], (name, events)
