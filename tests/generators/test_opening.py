"""Every layout opens by content; files that ask for code or lie about their size do not."""

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from golden_cases import golden

from cfclip.errors import CheckpointError
from cfclip.generators.checkpoints import save_generator
from cfclip.generators.opening import load_generator
from cfclip.generators.rosinality import from_rosinality


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_golden_rosinality_files(tmp_path: Path, legacy: bool, inside: bool) -> None:
    state, _, _ = golden("rosinality_generator_64")
    average = torch.linspace(-1, 1, state["style.1.weight"].shape[0])
    content: dict[str, Any] = {"g_ema": state, "latent_avg": average}
    if inside:
        decoder = {f"decoder.{name}": value for name, value in state.items()}
        content = {"state_dict": decoder, "latent_avg": average.expand(4, -1).clone()}
    path = tmp_path / "model.pkl"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    loaded, expected = load_generator(path), from_rosinality(state, average)
    save_generator(expected, tmp_path / "model.pt")
    for found in (loaded, load_generator(tmp_path / "model.pt")):
        for name, value in expected.state_dict().items():
            assert torch.equal(found.state_dict()[name], value)


class Command:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_torch_file_does_not_run(tmp_path: Path, legacy: bool) -> None:
    path, mark = tmp_path / "bad.pt", tmp_path / "ran"
    torch.save({"g_ema": Command(mark)}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match="asks for more than tensors") as caught:
        load_generator(path)
    assert "\n" not in str(caught.value)
    assert not mark.exists()


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10_000_000))
    with pytest.raises(CheckpointError, match="compressed entries"):
        load_generator(path)
