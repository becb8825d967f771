"""Latents to train on: samples, files, and what is held out of them."""

import io
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_models import sample_latents, tiny_generator
from tiny_training import tiny_config
from torch import Tensor

from cfclip.errors import InputError
from cfclip.generators import StyleGAN2
from cfclip.training.latents import (
    latents_from_file,
    read_latents,
    sampled_latents,
    split_latents,
)


@pytest.fixture(scope="module")
def generator() -> StyleGAN2:
    return tiny_generator()


def rows(latents: Tensor) -> set[bytes]:
    return {row.numpy().tobytes() for row in latents}


def test_samples_for_training_and_validation_are_apart(generator: StyleGAN2) -> None:
    sets = sampled_latents(generator, tiny_config(samples=300, validation=100))
    assert sets.training.shape == (300, 1, 16)  # all layers share their code
    assert sets.validation.shape == (100, 1, 16)
    assert len(rows(sets.training) | rows(sets.validation)) == 400
    again = sampled_latents(generator, tiny_config(samples=300, validation=100))
    assert torch.equal(again.training, sets.training)
    other = sampled_latents(generator, tiny_config(samples=300, seed=1))
    assert not rows(other.training) & rows(sets.training)


def test_truncation_pulls_samples_to_the_mean(generator: StyleGAN2) -> None:
    def spread(truncation: float) -> float:
        sets = sampled_latents(generator, tiny_config(truncation=truncation))
        return float((sets.training - generator.w_avg).norm())

    assert spread(0.5) == pytest.approx(0.5 * spread(1.0), rel=1e-4)


def test_held_out_latents_are_not_trained_on(generator: StyleGAN2) -> None:
    latents = sample_latents(generator, 50)
    sets = split_latents(latents, "x", tiny_config(validation=8))
    assert (len(sets.training), len(sets.validation)) == (42, 8)
    assert rows(sets.training) | rows(sets.validation) == rows(latents)
    # A fifth at most, but always one.
    for count, held in ((20, 4), (4, 1), (2, 1)):
        assert (
            len(split_latents(latents[:count], "x", tiny_config(validation=8)).validation) == held
        )
    with pytest.raises(InputError, match="1 latents are too few"):
        split_latents(latents[:1], "x", tiny_config())


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_files_of_latents(
    tmp_path: Path, generator: StyleGAN2, suffix: str, dtype: torch.dtype
) -> None:
    ws = sample_latents(generator, 10).to(dtype)
    path = tmp_path / f"latents{suffix}"
    for tensor in (ws, ws[:, 0].clone()):
        if suffix == ".safetensors":
            save_file({"latents": tensor}, path)
        else:
            torch.save(tensor.requires_grad_(), path)
        found = read_latents(path, generator)
        assert found.dtype == torch.float32
        assert not found.requires_grad
        assert found.shape == (10, tensor.shape[1] if tensor.ndim == 3 else 1, 16)
        assert torch.equal(found[:, 0], ws[:, 0].float())
    sets = latents_from_file(path, generator, tiny_config())
    assert len(sets.training) + len(sets.validation) == 10
    assert sets.origin.startswith(f"latents{suffix} (")


def test_a_legacy_file_is_read(tmp_path: Path, generator: StyleGAN2) -> None:
    path = tmp_path / "latents.pt"
    torch.save(sample_latents(generator, 3), path, _use_new_zipfile_serialization=False)
    assert read_latents(path, generator).shape == (3, 6, 16)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("executed",))


def _bytes(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no latents file"),
        (b"", "holds no latents: it is of none of the forms"),
        (b"hello", "holds no latents: it is of none of the forms"),
        (_bytes(torch.zeros(2, 17)), r"shape \(2, 17\), expected \(N, 6, 16\), \(N, 16\)"),
        (_bytes(torch.zeros(2, 18, 512)), "latents of another generator cannot be used"),
        (_bytes(torch.zeros(17)), r"shape \(17,\)"),
        (_bytes(torch.zeros(0, 16)), r"shape \(0, 16\)"),
        (_bytes(torch.zeros(2, 16, dtype=torch.int64)), "holds torch.int64"),
        (_bytes(torch.zeros(1, 1).expand(1 << 40, 16)), "repeats its memory"),
        (_bytes(torch.full((2, 16), torch.nan)), "not finite"),
        (_bytes(torch.full((2, 16), 30.0)), r"latents of another generator: their mean is \d"),
        (_bytes(Evil()), "not a checkpoint of tensors and plain values"),
    ],
)
def test_files_that_are_no_latents_of_the_generator(
    tmp_path: Path,
    generator: StyleGAN2,
    content: bytes | None,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "latents.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_latents(path, generator)
    assert "\n" not in str(caught.value)
    assert "executed" not in capsys.readouterr().out


def test_other_kinds_of_files(tmp_path: Path, generator: StyleGAN2) -> None:
    path = tmp_path / "latents.txt"
    path.write_bytes(b"x")
    with pytest.raises(InputError, match=r"is no latents file; give \.pt, \.pth, \.npy, \.npz"):
        read_latents(path, generator)
    path = tmp_path / "two.safetensors"
    save_file({"a": generator.w_avg[None], "b": generator.w_avg[None].clone()}, path)
    assert read_latents(path, generator).shape == (2, 1, 16)
    assert read_latents(f"{path}:b", generator).shape == (1, 1, 16)
    path.write_bytes(b"x")
    with pytest.raises(InputError, match="holds no latents: it is of none of the forms"):
        read_latents(path, generator)


def test_alike_latents_of_the_generator_itself_are_no_others(
    tmp_path: Path, generator: StyleGAN2
) -> None:
    for index in range(20):
        path = tmp_path / "latents.pt"
        torch.save(sample_latents(generator, 1, seed=index), path)
        read_latents(path, generator)
