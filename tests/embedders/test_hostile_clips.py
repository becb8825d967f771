"""No CLIP reaches the network, leaves its folder or takes memory without end, in a pack or not."""

import json
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from clip_origins import openai_tensors, write_huggingface
from hostile_clips import Change, open_clip_folders, packs, transformers_folders, write_open_clip
from tiny_pack import write_tiny_pack
from tiny_process import environment

from cfclip.errors import PackError
from cfclip.packs import assemble_pack, read_manifest

_MAX_SECONDS = 5.0
_MAX_MEGABYTES = 500
_LONGEST_LINE = 500

_RUN_ALL = """
import contextlib, io, json, os, resource, sys, time
from pathlib import Path

from cfclip.apps.cli import main

place, outside, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
os.chdir(place)
events, watching = [], False
NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request")
PROCESSES = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork")

def watch(name, arguments):
    if not watching:
        return
    if name in NETWORK or name in PROCESSES:
        events.append(name)
    elif name == "open" and str(arguments[0]).startswith((outside, "/dev/zero")):
        events.append(f"{name} {arguments[0]}")

sys.addaudithook(watch)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def data_bytes():
    fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(fields["VmData"].split()[0]) * 1024

def create(clip):
    return ["packs", "create", "--name", "made", "--generator", "pack/generator.safetensors",
            "--clip", clip, "--source-text", "a face", "--out", "made"]

def edit(pack):
    return ["edit", "sample:1", "green hair", "--pack", pack, "--out", "edited", "--steps", "1",
            "--overwrite"]

def run(arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(arguments)
    return status, err.getvalue().splitlines()[-1:]

# What is imported on first use does not count, and shows that good ones work.
for arguments in (create("good"), create("good-transformers"), edit("./pack")):
    status, lines = run(arguments)
    assert status == 0, lines
    for made in Path("made").iterdir():
        made.rename(f"made-{made.stat().st_ino}")
most = data_bytes() + limit * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (most, most))  # memory that is asked for, used or not
for path in sorted(Path("hostile").iterdir()):
    is_pack = path.name.startswith("pack-")
    del events[:]
    before, start, watching = peak(), time.process_time(), True
    try:
        status, lines = run(edit(f"./{path}") if is_pack else create(str(path)))
    except BaseException as error:
        status, lines = type(error).__name__, [str(error)]
    watching = False
    seconds, left = time.process_time() - start, [each.name for each in Path("made").iterdir()]
    found = [path.name, status, lines, seconds, peak() - before, events, left]
    print(json.dumps(found), flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_hostile_clips_are_refused(tmp_path: Path) -> None:
    hostile, outside = tmp_path / "hostile", tmp_path / "outside"
    hostile.mkdir()
    outside.mkdir()
    (outside / "secret").write_text('{"model_cfg": {}}')
    write_tiny_pack(tmp_path / "pack")
    write_open_clip(tmp_path / "good")
    write_huggingface(tmp_path / "good-transformers", openai_tensors())
    manifest = read_manifest(tmp_path / "pack" / "pack.toml")
    changes: list[tuple[str, str, Change]] = []
    for name, change in open_clip_folders(outside).items():
        shutil.copytree(tmp_path / "good", hostile / f"folder-{name}")
        change(hostile / f"folder-{name}")
        changes.append((f"clip-{name}", "clip", change))
    changes += [(name, ".", change) for name, change in packs(outside).items()]
    for name, place, change in changes:
        pack = hostile / f"pack-{name}"
        shutil.copytree(tmp_path / "pack", pack)
        change(pack / place)
        # With hashes that are right: who makes a pack writes what he wants. What cannot be hashed
        # is tried all the same.
        if not name.startswith("pack.toml"):
            with suppress(PackError):
                assemble_pack(pack, manifest)
    for name, change in transformers_folders(outside).items():
        shutil.copytree(tmp_path / "good-transformers", hostile / f"transformers-{name}")
        change(hostile / f"transformers-{name}")
    expected = {path.name for path in hostile.iterdir()}
    assert len(expected) >= 150
    run = subprocess.run(
        [sys.executable, "-c", _RUN_ALL, tmp_path, outside, str(_MAX_MEGABYTES)],
        env=environment({"XDG_CACHE_HOME": str(tmp_path), "HF_HOME": str(tmp_path)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    found = {name: rest for name, *rest in map(json.loads, run.stdout.splitlines())}
    assert found.keys() == expected
    for name, (status, lines, seconds, megabytes, events, left) in found.items():
        assert status == 2, (name, status, lines)
        assert lines[0].startswith("cfclip: error: "), (name, lines)
        assert len(lines[0]) <= _LONGEST_LINE, (name, lines)
        assert seconds < _MAX_SECONDS, (name, seconds)
        assert megabytes < _MAX_MEGABYTES, (name, megabytes)
        assert events == [], (name, events)
        assert left == [], (name, left)
