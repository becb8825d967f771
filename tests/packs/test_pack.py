import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from cfclip.errors import CheckpointError, PackError
from cfclip.packs import Pack, assemble_pack
from cfclip.packs.manifest import PackManifest, read_manifest, write_manifest

MANIFEST = PackManifest(
    name="small",
    version="1",
    licence="MIT",
    origin="a test",
    resolution=32,
    source_text="a person",
    unrealistic_text="a blot",
    templates=("{}",),
    vocabulary="vocabulary.txt",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pack that is whole in all that opening checks; its tensors make no models."""
    folder = tmp_path / "small"
    (folder / "clip").mkdir(parents=True)
    for name in ("generator.safetensors", "clip/open_clip_model.safetensors"):
        save_file({"weight": torch.zeros(4)}, folder / name)
    (folder / "clip" / "open_clip_config.json").write_text("{}")
    (folder / "vocabulary.txt").write_text("Green\n\nhair \n")
    assemble_pack(folder, MANIFEST)
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(PackError) as caught:
        Pack.open(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_assembled_packs_open(folder: Path) -> None:
    pack = Pack.open(str(folder))
    assert pack.folder == folder
    assert sorted(pack.manifest.files) == [
        "clip/open_clip_config.json",
        "clip/open_clip_model.safetensors",
        "generator.safetensors",
        "vocabulary.txt",
    ]
    assert pack.vocabulary == {"green", "hair"}
    assert not pack.has_encoder


def test_open_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(folder.parent))
    assert Pack.open("small").folder == folder
    with pytest.raises(PackError, match=r"unknown pack 'smal'; available: .*small"):
        Pack.open("smal")


def test_a_renamed_folder_opens_by_path_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = folder.rename(folder.parent / "large")
    Pack.open(renamed)
    monkeypatch.setenv("CFCLIP_PACKS", str(folder.parent))
    with pytest.raises(PackError, match="holds the pack 'small'"):
        Pack.open("large")


def test_assembling_again_gives_the_same_bytes(folder: Path) -> None:
    before = (folder / "pack.toml").read_bytes()
    fingerprint = Pack.open(folder).fingerprint
    assert assemble_pack(folder, replace(MANIFEST, files={"x.txt": "0" * 64})).fingerprint == (
        fingerprint
    )
    assert (folder / "pack.toml").read_bytes() == before
    (folder / "vocabulary.txt").write_text("blue\n")
    assert assemble_pack(folder, MANIFEST).fingerprint != fingerprint


@pytest.mark.parametrize("name", ["generator.safetensors", "vocabulary.txt"])
def test_a_changed_byte(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    message = refusal(folder)
    assert f"{name} was changed or damaged" in message
    assert "get the pack again" in message


def test_a_missing_file(folder: Path) -> None:
    (folder / "vocabulary.txt").unlink()
    assert "lacks vocabulary.txt; get the pack again" in refusal(folder)


@pytest.mark.parametrize("name", ["evil.py", "clip/more.txt"])
def test_an_extra_file(folder: Path, name: str) -> None:
    (folder / name).touch()
    message = refusal(folder)
    assert f"holds {name}" in message
    assert "remove" in message


def test_what_desktops_scatter_is_ignored(folder: Path) -> None:
    (folder / ".DS_Store").touch()
    (folder / ".git").mkdir()
    (folder / ".git" / "config").touch()
    Pack.open(folder)


def test_files_that_every_pack_needs(folder: Path) -> None:
    (folder / "generator.safetensors").unlink()
    with pytest.raises(PackError, match=r"does not list generator\.safetensors"):
        assemble_pack(folder, MANIFEST)
    (folder / "vocabulary.txt").unlink()
    with pytest.raises(PackError, match=r"generator\.safetensors, vocabulary\.txt"):
        assemble_pack(folder, MANIFEST)


def test_files_of_other_kinds_are_not_assembled(folder: Path) -> None:
    (folder / "weights.pt").touch()
    with pytest.raises(PackError, match=r"'weights\.pt' is of a kind"):
        assemble_pack(folder, MANIFEST)


def test_links_out_of_the_folder(folder: Path) -> None:
    outside = folder.parent / "outside.txt"
    (folder / "vocabulary.txt").rename(outside)
    (folder / "vocabulary.txt").symlink_to(outside)
    assert "is a link out of the pack folder" in refusal(folder)


def test_linked_folders_broken_links_and_loops(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    (folder / "more").symlink_to(folder.parent / "elsewhere")
    assert "holds more" in refusal(folder)
    (folder / "more").unlink()
    (folder / "vocabulary.txt").unlink()
    (folder / "vocabulary.txt").symlink_to(folder / "none")
    assert "cannot read" in refusal(folder)
    (folder / "vocabulary.txt").unlink()
    (folder / "vocabulary.txt").symlink_to("vocabulary.txt")
    assert "cannot read" in refusal(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_are_not_read(folder: Path) -> None:
    (folder / "vocabulary.txt").unlink()
    os.mkfifo(folder / "vocabulary.txt")
    assert "not a regular file" in refusal(folder)


def test_packs_without_a_vocabulary(folder: Path) -> None:
    (folder / "vocabulary.txt").unlink()
    assert assemble_pack(folder, replace(MANIFEST, vocabulary="")).vocabulary is None


def test_a_pack_without_an_encoder_says_so(folder: Path) -> None:
    with pytest.raises(PackError, match="'small' has no encoder; invert by projection only"):
        Pack.open(folder).encoder()


def test_models_load_once_and_frozen(tiny_pack: Path) -> None:
    pack = Pack.open(tiny_pack)
    generator, embedder, encoder = pack.generator(), pack.embedder(), pack.encoder()
    assert pack.generator(torch.device("cpu")) is generator
    assert pack.embedder("cpu") is embedder
    assert pack.encoder() is encoder
    assert generator.resolution == pack.manifest.resolution
    for model in (generator, embedder, encoder):
        assert not model.training
        assert not any(parameter.requires_grad for parameter in model.parameters())


def test_loading_leaves_the_global_random_state_alone(tiny_pack: Path) -> None:
    pack = Pack.open(tiny_pack)
    before = torch.get_rng_state()
    for load in (pack.generator, pack.embedder, pack.encoder):
        load()
        assert torch.equal(torch.get_rng_state(), before)


def test_the_parts_of_a_pack_fit_each_other(tiny_pack: Path) -> None:
    pack = Pack.open(tiny_pack)
    images = pack.generator().synthesis(
        pack.encoder().encode(torch.zeros(2, 3, pack.manifest.resolution, pack.manifest.resolution))
    )
    assert images.shape == (2, 3, pack.manifest.resolution, pack.manifest.resolution)
    embedder = pack.embedder()
    assert embedder.embed_images(images).shape == (2, embedder.dim)
    assert embedder.embed_texts(["a person"]).shape == (1, embedder.dim)


def test_a_wrong_resolution_in_the_manifest(tiny_pack_copy: Path) -> None:
    manifest = read_manifest(tiny_pack_copy / "pack.toml")
    write_manifest(replace(manifest, resolution=64), tiny_pack_copy / "pack.toml")
    with pytest.raises(PackError, match="says resolution 64"):
        Pack.open(tiny_pack_copy).generator()


def test_a_pack_may_have_an_encoder_from_elsewhere(tiny_pack_copy: Path) -> None:
    from cfclip.editing import Session
    from cfclip.encoders import ProjectionConfig, StyleEncoder, StyleEncoderConfig, save_encoder
    from cfclip.generators import StyleGAN2, save_generator

    manifest = Pack.open(tiny_pack_copy).manifest
    config = replace(Pack.open(tiny_pack_copy).generator().config, w_dim=128)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = StyleGAN2(config)
        encoder = StyleEncoder(StyleEncoderConfig("e4e", generator.num_ws, width=16))
    save_generator(generator, tiny_pack_copy / "generator.safetensors")
    save_encoder(encoder, tiny_pack_copy / "encoder.safetensors")
    assemble_pack(tiny_pack_copy, manifest)
    session = Session.open(tiny_pack_copy)
    picture = session.sample(1)[0].image
    alone = session.invert(picture, ProjectionConfig(steps=0))
    refined = session.invert(picture, ProjectionConfig(steps=5))
    assert alone.latents.shape == (generator.num_ws, 128)
    assert not torch.equal(alone.latents, refined.latents)


def test_an_encoder_of_another_generator(tiny_pack_copy: Path) -> None:
    from cfclip.encoders import LatentEncoder, save_encoder

    path = tiny_pack_copy / "encoder.safetensors"
    config = Pack.open(tiny_pack_copy).encoder().config
    save_encoder(LatentEncoder(replace(config, num_ws=config.num_ws + 1)), path)
    pack = assemble_pack(tiny_pack_copy, read_manifest(tiny_pack_copy / "pack.toml"))
    with pytest.raises(PackError, match=r"encoder\.safetensors has \(num_ws, w_dim\)"):
        pack.encoder()


@pytest.mark.parametrize("damage", ["missing", "extra", "misshapen"])
@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("generator.safetensors", "generator"),
        ("encoder.safetensors", "encoder"),
        ("clip/open_clip_model.safetensors", "embedder"),
    ],
)
def test_wrong_tensors_are_named_even_if_their_hashes_are_right(
    tiny_pack_copy: Path, name: str, part: str, damage: str
) -> None:
    path = tiny_pack_copy / name
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    # One without a namesake inside a longer name, so that the message must mean it.
    tensor = max((key for key in tensors if tensors[key].ndim), key=len)
    if damage == "missing":
        del tensors[tensor]
    elif damage == "extra":
        tensor = "stowaway"
        tensors[tensor] = torch.zeros(3)
    else:
        tensors[tensor] = torch.zeros(*tensors[tensor].shape, 2)
    save_file(tensors, path, metadata=header)
    pack = assemble_pack(tiny_pack_copy, read_manifest(tiny_pack_copy / "pack.toml"))
    with pytest.raises(CheckpointError) as caught:
        getattr(pack, part)()
    assert tensor in str(caught.value)
