"""Several processes at work in one place at once, and what killed ones leave behind."""

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import no_system_locks
import pytest
import stops_at
from command_process import Command
from domain_files import write_domain
from http_server import Server, dripping, serving
from tiny_process import environment

from cfclip.apps.cli import main
from cfclip.packs import Pack
from cfclip.training import CHECKPOINT

pytestmark = pytest.mark.slow

HALF = 30_000
"""Bytes of a download that begin it, more than what is kept in memory before it is written."""
FEW = "--steps 100000 --batch 2 --validate-every 2 --validation 2 --samples 10 --augmentations 2"


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("domain")
    write_domain(folder)
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


@pytest.fixture
def server(domain: Path) -> Iterator[Server]:
    with serving((domain / "generator.safetensors").read_bytes()) as state:
        yield state


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """The error of a command that is refused in one line, with the words of no other."""
    capsys.readouterr()
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    line = captured.err.splitlines()[-1]
    assert line.startswith("cfclip: error: ")
    assert len(line) < 500
    return line


def test_a_download_at_a_time_and_a_killed_one_goes_on(
    server: Server, domain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--address", server.address, "--downloads", "kept", "--clip", str(domain / "clip.pt")]
    dogs = ["packs", "download", "afhqdog", "--accept-licence", *place]
    part, whole = Path("kept/afhqdog.pkl.part"), Path("kept/afhqdog.pkl")
    server.replies = [dripping(HALF)]
    with Command(dogs) as first:
        first.wait_for(lambda: part.exists() and part.stat().st_size >= HALF)
        line = refused(capsys, [*dogs, "--name", "other"])
        assert "another process downloads afhqdog.pkl to kept; wait for it" in line
        assert first.process.poll() is None
        # Files of other names are no business of it.
        cats = ["packs", "download", "afhqcat", "--accept-licence", *place]
        assert main(cats) == 0
        first.kill()
    have = part.stat().st_size
    assert main(dogs) == 0
    assert server.ranges == [None, None, f"bytes={have}-"]
    assert whole.read_bytes() == server.content
    found = {path.name for path in Path("kept").iterdir()}
    assert found == {"afhqdog.pkl", "afhqcat.pkl", "pins.json"}


def half_made() -> set[Path]:
    return set(Path().glob(".cfclip-*"))


def test_half_made_packs_of_killed_processes(
    domain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [
        "--generator",
        str(domain / "generator.safetensors"),
        "--clip",
        str(domain / "clip.pt"),
    ]
    create = ["packs", "create", "--source-text", "dog", *files, "--name"]
    half_way = [stops_at.__file__, "/dogs/clip/open_clip_config.json"]
    with Command([*create, "dogs"], half_way) as killed:
        killed.wait_for(lambda: any(Path().glob(".cfclip-*/dogs/clip/open_clip_config.json")))
        (left,) = half_made()
        killed.kill()
    assert left.exists()
    with Command([*create, "dogs"], half_way) as living:
        living.wait_for(lambda: bool(half_made() - {left}))
        (kept,) = half_made()
        assert kept != left  # which was removed before work began
        assert main([*create, "cats"]) == 0
        assert half_made() == {kept}  # whose maker is alive
    assert Pack.open("cats").manifest.name == "cats"


def test_two_trainings_in_one_folder(capsys: pytest.CaptureFixture[str]) -> None:
    train = ["train", "--pack", "tiny", "--text", "green hair", "--out", "run", *FEW.split()]
    with Command(train) as first:
        first.wait_for(Path("run", CHECKPOINT).exists)
        for more in ((), ("--resume",), ("--resume", "--text", "blue skin")):
            line = refused(capsys, [*train, *more])
            assert "another process works in run; wait for it, or choose another --out" in line
        assert first.process.poll() is None
        first.kill()
    Path("run/best.safetensors").unlink(missing_ok=True)
    with Command([*train, "--resume"]) as again:  # nothing stands in its way
        again.wait_for(Path("run/best.safetensors").exists)


def test_two_batches_where_the_system_has_no_locks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fcntl, "flock", no_system_locks.flock)
    rest = ["--text", "green hair", "--pack", "tiny", "--out", "out", "--steps", "2"]
    rest += ["--workers", "1", "--projection.steps", "0"]
    with Command(["batch", "sample:0-9999", *rest], [no_system_locks.__file__]) as first:
        first.wait_for(lambda: any(Path("out").glob("pictures/*.png")))
        line = refused(capsys, ["batch", "sample:0-1", *rest])
        assert f"another process ({first.process.pid}, see out/.lock-holder) works in out" in line
        first.kill()
    assert Path("out/.lock-holder").exists()
    assert main(["batch", "sample:0-1", *rest]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "no locks" in line]
    assert line == (
        "cfclip: warning: there are no locks of the system in out (Function not implemented); the "
        "file .lock-holder there keeps other processes out instead"
    )
    assert not Path("out/.lock-holder").exists()


WRITER = """
import sys
from cfclip.io.files import atomic_write
with atomic_write(sys.argv[1]) as temporary:
    temporary.write_bytes(b"half")
    print(temporary, flush=True)
    sys.stdin.read()
"""


def writer(path: str) -> tuple[subprocess.Popen[str], Path]:
    """A process that is about to write a file, and where it has begun to."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment({}),
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_half_written_files_of_killed_processes() -> None:
    Path("out").mkdir()
    killed, left = writer("out/killed.png")
    alive, kept = writer("out/alive.png")
    killed.kill()
    killed.communicate()
    assert left.exists()
    assert main(["sample", "--count", "1", "--pack", "tiny", "--out", "out"]) == 0
    assert kept.exists()
    alive.communicate()
    assert alive.returncode == 0
    found = {path.name for path in Path("out").iterdir()}
    assert {"alive.png"} < found
    assert not [name for name in found if name.startswith(".")]
