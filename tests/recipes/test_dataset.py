from pathlib import Path

import numpy as np
import pytest

from cfclip_benchmark.avatars import render
from cfclip_benchmark.avatars.attributes import ATTRIBUTES, TEST_SEED, sample_records
from recipes.avatars import __main__ as command_line
from recipes.avatars import dataset

COUNT, RESOLUTION = 23, 32


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "CHUNK", 5)


def make(folder: Path, workers: int = 1) -> bytes:
    dataset.render_dataset("open", COUNT, TEST_SEED, folder, RESOLUTION, workers)
    return (folder / "images.npy").read_bytes()


def test_a_dataset_holds_the_rendered_records(tmp_path: Path) -> None:
    make(tmp_path)
    data = dataset.load_dataset(tmp_path)
    records = sample_records(COUNT, "open", TEST_SEED)
    assert isinstance(data.images, np.memmap)
    assert data.images.shape == (COUNT, RESOLUTION, RESOLUTION, 3)
    assert len(data) == COUNT
    assert set(data.visibility) == set(ATTRIBUTES)
    for row in (0, 7, COUNT - 1):
        assert data.table.record(row) == records[row]
        assert (data.images[row] == render(records[row], RESOLUTION)).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "dataset.json",
        "images.npy",
        "table.npz",
    ]


def test_an_interrupted_rendering_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop(done: int, count: int) -> None:
        if done >= 15:
            raise Stop

    cut = tmp_path / "cut"
    with pytest.raises(Stop):
        dataset.render_dataset("open", COUNT, TEST_SEED, cut, RESOLUTION, progress=stop)
    with pytest.raises(FileNotFoundError, match="not a finished dataset"):
        dataset.load_dataset(cut)
    chunks = sorted((cut / "chunks").iterdir())
    assert len(chunks) == 3
    chunks[1].unlink()
    kept = chunks[0].stat().st_mtime_ns
    seen: list[tuple[int, int]] = []

    def monitor(done: int, count: int) -> None:
        seen.append((done, chunks[0].stat().st_mtime_ns))

    dataset.render_dataset("open", COUNT, TEST_SEED, cut, RESOLUTION, progress=monitor)
    assert [done for done, _ in seen] == [15, 20, 23]  # ten were there
    assert {at for _, at in seen} == {kept}
    assert (cut / "images.npy").read_bytes() == whole


def test_processes_do_not_change_the_bytes(tmp_path: Path) -> None:
    assert make(tmp_path / "one") == make(tmp_path / "two", workers=2)


def test_a_folder_keeps_to_its_arguments(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(ValueError, match="give another folder"):
        dataset.render_dataset("natural", COUNT, TEST_SEED, tmp_path, RESOLUTION)
    with pytest.raises(ValueError, match="count is 0"):
        dataset.render_dataset("open", 0, TEST_SEED, tmp_path)


def test_the_command_renders(tmp_path: Path) -> None:
    out = tmp_path / "data"
    arguments = ["render", "--distribution", "natural", "--count", "3", "--out", str(out)]
    command_line.main([*arguments, "--resolution", "32"])
    assert dataset.load_dataset(out).images.shape == (3, 32, 32, 3)


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        command_line.main(["paint"])
    assert stop.value.code == 2
    assert "render" in capsys.readouterr().out
