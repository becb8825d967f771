"""Packs made of files that were trained elsewhere."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from clip_origins import openai_tensors
from domain_files import centred_generator, write_domain, write_encoder
from full_disk import room_for

from cfclip.editing import Session
from cfclip.embedders import load_clip
from cfclip.errors import CheckpointError, InputError, PackError
from cfclip.generators import StyleGAN2, save_generator
from cfclip.packs import Pack, PackParts, capabilities_of, create_pack


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("domain")
    write_domain(folder)
    return folder


@pytest.fixture
def parts(domain: Path) -> PackParts:
    return PackParts(
        name="dogs",
        generator=domain / "generator.safetensors",
        clip=str(domain / "clip.pt"),
        source_text="dog",
        licence="MIT",
    )


def test_a_pack_that_edits(parts: PackParts, domain: Path, tmp_path: Path) -> None:
    told: list[str] = []
    created = create_pack(parts, tmp_path / "packs", told.append)
    assert created.warnings == ()
    assert "CLIP with QuickGELU: it is one of OpenAI's archives" in told
    assert [path.name for path in (tmp_path / "packs").iterdir()] == ["dogs"]
    session = Session.open(tmp_path / "packs" / "dogs")
    result = session.edit("sample:1", "blue dog", steps=3)
    assert result.record["source_text"] == "dog"
    assert result.offset.abs().max() > 0
    inverted = session.invert(result.source)
    assert inverted.latents.shape == (session.generator.num_ws, session.generator.w_dim)


def test_models_come_through_unchanged(parts: PackParts, domain: Path, tmp_path: Path) -> None:
    pack = create_pack(parts, tmp_path).pack
    own, theirs = pack.generator().state_dict(), centred_generator().state_dict()
    assert all(torch.equal(own[name], value) for name, value in theirs.items())
    texts = ["blue dog", "a cat"]
    assert torch.equal(
        pack.embedder().text_features(texts), load_clip(domain / "clip.pt").text_features(texts)
    )
    assert pack.manifest.resolution == 16
    assert "generator.safetensors (SHA-256 " in pack.manifest.origin
    assert str(domain) not in (pack.folder / "pack.toml").read_text()


def test_weights_of_half_precision_are_stored_in_it(parts: PackParts, tmp_path: Path) -> None:
    from clip_origins import write_archive

    write_archive(tmp_path / "half.pt", {n: v.half() for n, v in openai_tensors().items()})
    half = replace(parts, clip=str(tmp_path / "half.pt"), name="half")
    sizes = [
        (create_pack(each, tmp_path).pack.folder / "clip" / "open_clip_model.safetensors")
        .stat()
        .st_size
        for each in (parts, half)
    ]
    assert sizes[1] < 0.6 * sizes[0]


def test_encoder_identity_and_statistics(parts: PackParts, domain: Path, tmp_path: Path) -> None:
    full = replace(parts, encoder=domain / "encoder.safetensors", identity=domain / "identity.pth")
    pack = create_pack(full, tmp_path).pack
    assert pack.has_encoder
    faces = pack.identity()(torch.zeros(2, 3, 16, 16))
    assert faces.shape == (2, 8)
    statistics = pack.latent_statistics()
    assert statistics is not None
    z = torch.randn(4096, 16, generator=torch.Generator().manual_seed(9))
    w = pack.generator().mapping(z)[:, 0]
    assert (statistics.mean - w.mean(0)).norm() < 0.1 * statistics.spread
    assert torch.allclose(statistics.std, w.std(0), rtol=0.1)
    able = capabilities_of(pack.manifest)
    assert any("by its encoder" in line for line in able.can)
    assert any("identity" in line for line in able.can)
    assert any("text map" in line for line in able.cannot)


def test_without_them_it_says_so(parts: PackParts, tmp_path: Path) -> None:
    pack = create_pack(parts, tmp_path).pack
    able = capabilities_of(pack.manifest)
    assert any("optimisation alone" in line for line in able.can)
    assert any("no encoder" in line for line in able.cannot)
    with pytest.raises(PackError, match="no identity network"):
        pack.identity()
    assert pack.identity_file is None


def test_what_is_odd_is_told(parts: PackParts, tmp_path: Path) -> None:
    generator = centred_generator()
    generator.w_avg.add_(5.0)
    save_generator(generator, tmp_path / "odd.safetensors")
    created = create_pack(
        replace(parts, generator=tmp_path / "odd.safetensors", licence="not stated"), tmp_path
    )
    assert len(created.warnings) == 2
    assert "spreads from that of 10000 samples" in created.warnings[0]
    assert "licence of the weights is not stated" in created.warnings[1]


def test_names_that_are_taken(
    parts: PackParts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_pack(parts, tmp_path)
    before = (tmp_path / "dogs" / "pack.toml").read_bytes()
    with pytest.raises(InputError, match=r"dogs exists; choose another --name or --out"):
        create_pack(parts, tmp_path)
    assert (tmp_path / "dogs" / "pack.toml").read_bytes() == before
    with pytest.raises(InputError, match="there is a pack 'avatars' already"):
        create_pack(replace(parts, name="avatars"), tmp_path)
    monkeypatch.setenv("CFCLIP_PACKS", str(tmp_path))
    create_pack(replace(parts, name="cats"), tmp_path)
    assert Pack.open("cats").folder == tmp_path / "cats"
    with pytest.raises(PackError, match="name 'Dogs!' is not"):
        create_pack(replace(parts, name="Dogs!"), tmp_path)


def test_nothing_is_left_of_what_fails(parts: PackParts, domain: Path, tmp_path: Path) -> None:
    place = tmp_path / "packs"
    generator = centred_generator()
    write_encoder(tmp_path / "encoder.safetensors", generator, generator.num_ws + 2)
    with pytest.raises(CheckpointError, match=r"gives latents of .*\(8, 16\).*takes \(6, 16\)"):
        create_pack(replace(parts, encoder=tmp_path / "encoder.safetensors"), place)
    with pytest.raises(CheckpointError):
        create_pack(replace(parts, identity=domain / "clip.pt"), place)
    with pytest.raises(InputError, match="tokens"):
        create_pack(replace(parts, source_text="dog " * 90), place)
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("room", [1000, 400_000])  # for no model, and for the generator alone
def test_a_full_disk_leaves_nothing(parts: PackParts, tmp_path: Path, room: int) -> None:
    place = tmp_path / "packs"
    with room_for(room), pytest.raises(InputError, match=r"cannot write .*dogs: "):
        create_pack(parts, place)
    assert list(place.iterdir()) == []


def test_generators_that_cannot_be_used(parts: PackParts, tmp_path: Path) -> None:
    grey = StyleGAN2(replace(centred_generator().config, img_channels=1))
    save_generator(grey, tmp_path / "grey.safetensors")
    with pytest.raises(CheckpointError, match="pictures of 1 channels"):
        create_pack(replace(parts, generator=tmp_path / "grey.safetensors"), tmp_path)
    flat = centred_generator()
    for layer in flat.mapping_layers:
        layer.weight.zero_()
    save_generator(flat, tmp_path / "flat.safetensors")
    with pytest.raises(CheckpointError, match="it was not trained"):
        create_pack(replace(parts, generator=tmp_path / "flat.safetensors"), tmp_path)
    with pytest.raises(CheckpointError):
        create_pack(replace(parts, generator=tmp_path / "none.pkl"), tmp_path)


def test_a_trimmed_vocabulary_comes_along(
    parts: PackParts, tiny_pack: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_pack / "clip", tmp_path / "clip")
    narrow = replace(
        parts, clip=str(tmp_path / "clip"), source_text="an avatar", templates=("a picture of {}",)
    )
    pack = create_pack(narrow, tmp_path / "packs").pack
    assert "clip/bpe_merges.txt.gz" in pack.manifest.files
    expected = load_clip(tiny_pack / "clip").text_features(["green hair"])
    assert torch.equal(pack.embedder().text_features(["green hair"]), expected)
