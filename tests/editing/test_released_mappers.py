"""Released CF-CLIP and StyleCLIP checkpoints with a pack, in Python and on the command line."""

import json
from pathlib import Path

import pytest
import torch

from cfclip.apps.cli import main
from cfclip.editing import Session, open_mapper
from cfclip.editors import LatentMapper, TextMapper
from cfclip.editors.mapper_config import LatentMapperConfig, TextMapperConfig
from cfclip.editors.mapper_layouts import _released_name
from cfclip.errors import CheckpointError, InputError
from cfclip.fitting import check_training
from cfclip.tensors import pil_from_signed
from cfclip.training import TrainingConfig

TEXT = "green hair"
BY_SIZE = "they fit by their sizes only"


@pytest.fixture(scope="module")
def session(tiny_pack: Path) -> Session:
    return Session.open(tiny_pack)


def write(path: Path, mapper: TextMapper | LatentMapper, description: str | None = TEXT) -> Path:
    state = {_released_name(name): value for name, value in mapper.state_dict().items()}
    torch.save({"state_dict": state, "opts": {"description": description}}, path)
    return path


@pytest.fixture
def text_mapper(session: Session) -> TextMapper:
    shape = TextMapperConfig(
        num_ws=session.generator.num_ws,
        w_dim=session.generator.w_dim,
        text_dim=session.embedder.dim,
        text_layout="all",
        legacy_pixel_norm=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TextMapper(shape).eval().requires_grad_(False)


@pytest.fixture
def latent_mapper(session: Session) -> LatentMapper:
    shape = LatentMapperConfig(
        num_ws=session.generator.num_ws, w_dim=session.generator.w_dim, legacy_pixel_norm=True
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LatentMapper(shape).eval().requires_grad_(False)


def test_cfclip(session: Session, text_mapper: TextMapper, tmp_path: Path) -> None:
    mapper = open_mapper(session.pack, write(tmp_path / "a.pt", text_mapper))
    assert mapper.choose(()) == (TEXT,)
    (result,) = session.apply(tmp_path / "a.pt", "sample:1")
    text = session.embedder.text_features([TEXT])[0]
    edited = text_mapper.edit(result.latents[None], text)
    torch.testing.assert_close(result.latents + result.offset, edited[0])
    assert (
        result.image.tobytes() == pil_from_signed(session.generator.synthesis(edited))[0].tobytes()
    )
    assert [BY_SIZE in warning for warning in result.warnings] == [True]
    other = mapper.warnings(("blue skin",))
    assert "was not trained for 'blue skin'; the edit may have no effect" in other[-1]


def test_styleclip(session: Session, latent_mapper: LatentMapper, tmp_path: Path) -> None:
    mapper = open_mapper(session.pack, write(tmp_path / "a.pt", latent_mapper))
    (result,) = session.apply(tmp_path / "a.pt", "sample:1")
    torch.testing.assert_close(result.offset, latent_mapper.offset(result.latents[None])[0])
    assert result.prompts == (TEXT,)
    for texts in (("blue skin",), (TEXT, "blue skin")):
        with pytest.raises(InputError, match=f"knows one edit, '{TEXT}', not .*'blue skin'"):
            mapper.choose(texts)
    with pytest.raises(InputError, match="takes no text"):
        check_training(
            session, (TEXT,), tmp_path / "run", TrainingConfig(), start=tmp_path / "a.pt"
        )


def test_a_checkpoint_that_tells_no_text(
    session: Session, text_mapper: TextMapper, tmp_path: Path
) -> None:
    mapper = open_mapper(session.pack, write(tmp_path / "a.pt", text_mapper, None))
    assert mapper.choose((TEXT,)) == (TEXT,)
    assert len(mapper.warnings((TEXT,))) == 1
    for every in (False, True):
        with pytest.raises(InputError, match=r"does not tell its texts; give one \(--text\)"):
            mapper.choose((), every)


def test_other_sizes_are_refused(session: Session, tmp_path: Path) -> None:
    num_ws, w_dim = session.generator.num_ws, session.generator.w_dim
    config = LatentMapperConfig(num_ws=num_ws, w_dim=w_dim + 1)
    with pytest.raises(CheckpointError, match=rf"has \(num_ws, w_dim\) \({num_ws}, {w_dim + 1}\)"):
        open_mapper(session.pack, write(tmp_path / "a.pt", LatentMapper(config)))


def test_the_command(
    tiny_pack: Path, text_mapper: TextMapper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = write(tmp_path / "a.pt", text_mapper), tmp_path / "out"
    photo = tmp_path / "photos" / "me.png"
    photo.parent.mkdir()
    (source,) = Session.open(tiny_pack).sample(1)
    source.image.save(photo)
    quick = ("--projection.steps", "0", "--projection.warn-below-psnr", "0")
    command = ["apply", str(path), str(photo.parent), "--text", TEXT, "--out", str(out)]
    assert main([*command, "--pack", str(tiny_pack), *quick]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == str(out / "me_green-hair.png")
    assert captured.err.count("\n") == 1, captured.err
    assert BY_SIZE in captured.err
    record = json.loads((out / "me_green-hair.json").read_text())
    assert record["files"][0]["path"] == str(path)
    path.write_bytes(b"not a mapper")
    assert main([*command, "--pack", str(tiny_pack), *quick]) == 2
    assert "is not a checkpoint of tensors" in capsys.readouterr().err
