"""The text map of a pack, and maps of files that are used with one."""

from pathlib import Path

import pytest
import torch
from tiny_models import tiny_text_map

from cfclip.editors import save_text_map
from cfclip.errors import CheckpointError, PackError
from cfclip.packs import TEXT_MAP_FILE, Pack, assemble_pack


@pytest.fixture
def without(tiny_pack_copy: Path) -> Pack:
    """The tiny pack without its text map."""
    pack = Pack.open(tiny_pack_copy)
    (tiny_pack_copy / TEXT_MAP_FILE).unlink()
    return assemble_pack(tiny_pack_copy, pack.manifest)


def test_a_map_in_the_pack(tiny_pack: Path) -> None:
    pack = Pack.open(tiny_pack)
    text_map = pack.text_map()
    assert text_map.config.models == pack.mapped_models
    assert sorted(pack.mapped_models) == [
        "clip/bpe_merges.txt.gz",
        "clip/open_clip_config.json",
        "clip/open_clip_model.safetensors",
        "generator.safetensors",
    ]
    assert torch.equal(text_map.weight, tiny_text_map().weight)


def test_a_pack_without_one_says_how_to_make_it(without: Pack) -> None:
    with pytest.raises(PackError) as caught:
        without.text_map()
    remedy = "cfclip fit-text-map FOLDER --pack tiny --out MAP.safetensors"
    assert f"pack 'tiny' has no text map; make one from pictures with captions ({remedy})" in str(
        caught.value
    )


def test_a_map_of_a_file(without: Pack, tmp_path: Path) -> None:
    path = tmp_path / "map.safetensors"
    save_text_map(tiny_text_map(models=without.mapped_models, seed=1), path)
    assert torch.equal(without.text_map(file=path).weight, tiny_text_map(seed=1).weight)
    with pytest.raises(CheckpointError, match="there is no linear text map file"):
        without.text_map(file=tmp_path / "nonesuch.safetensors")


@pytest.mark.parametrize(
    ("name", "width", "message"),
    [
        (
            "generator.safetensors",
            16,
            r"other models .* \(other generator\.safetensors\); make one",
        ),
        ("clip/bpe_merges.txt.gz", 16, r"\(other clip/bpe_merges\.txt\.gz\)"),
        (None, 8, "from 16 to 8 numbers, these models need one from 16 to 16"),
    ],
)
def test_maps_for_other_models(
    without: Pack, tmp_path: Path, name: str | None, width: int, message: str
) -> None:
    models = without.mapped_models
    if name is not None:
        models[name] = "0" * 64
    path = tmp_path / "map.safetensors"
    save_text_map(tiny_text_map(w_dim=width, models=models), path)
    with pytest.raises(CheckpointError, match=message):
        without.text_map(file=path)


def test_a_new_encoder_does_not_make_the_map_stale(tiny_pack_copy: Path) -> None:
    pack = Pack.open(tiny_pack_copy)
    (tiny_pack_copy / "encoder.safetensors").unlink()
    assert assemble_pack(tiny_pack_copy, pack.manifest).text_map().config.fuses
