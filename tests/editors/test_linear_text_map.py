"""The linear text map: its files, its fusions, and edits that start from it."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import TEMPLATES, sample_latents, tiny_embedder, tiny_generator, tiny_text_map
from torch import Tensor

from cfclip.editors import EditRequest, Fusion, Space
from cfclip.editors.latent_optimisation import LatentOptimisation, LatentOptimisationConfig
from cfclip.editors.linear_text_map import (
    LinearTextMap,
    LinearTextMapConfig,
    fused_offset,
    load_text_map,
    save_text_map,
)
from cfclip.embedders.clip import ClipEmbedder
from cfclip.errors import CheckpointError, InputError
from cfclip.generators import StyleGAN2

CONFIG = LatentOptimisationConfig(
    start="text-map", steps=2, lr=0.1, augmentations=1, distortion=0.0, patience=0
)
FUSIONS = get_args(Fusion)


@pytest.fixture(scope="module")
def generator() -> StyleGAN2:
    return tiny_generator()


@pytest.fixture(scope="module")
def embedder() -> ClipEmbedder:
    return tiny_embedder()


@pytest.fixture(scope="module")
def text_map() -> LinearTextMap:
    return tiny_text_map()


@pytest.fixture(scope="module")
def request_of_two(generator: StyleGAN2) -> EditRequest:
    # In W+: each layer with a code of its own.
    layers = torch.randn(2, generator.num_ws, 16, generator=torch.Generator().manual_seed(5))
    return EditRequest(
        latents=sample_latents(generator, 2) + 0.1 * layers,
        prompts=("green hair",),
        source_text="avatar",
        templates=TEMPLATES,
        unrealistic_text="glitch",
    )


# The file


def test_a_saved_map_is_read_back(text_map: LinearTextMap, tmp_path: Path) -> None:
    path = tmp_path / "map.safetensors"
    save_text_map(text_map, path, {"pictures": 20})
    read = load_text_map(path)
    assert read.config == text_map.config
    for name, tensor in text_map.state_dict().items():
        assert torch.equal(read.state_dict()[name], tensor)
    assert not any(tensor.requires_grad for tensor in read.state_dict().values())


def test_loading_leaves_the_random_state_alone(text_map: LinearTextMap, tmp_path: Path) -> None:
    save_text_map(text_map, tmp_path / "map.safetensors")
    state = torch.random.get_rng_state()
    load_text_map(tmp_path / "map.safetensors")
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bias": None}, "missing bias"),
        ({"more": torch.zeros(1)}, "unknown more"),
        ({"weight": torch.zeros(3, 3)}, r"weight has shape \(3, 3\), expected \(16, 16\)"),
        ({"bias": torch.full((16,), torch.nan)}, "bias holds values that are not finite"),
    ],
)
def test_other_tensors_are_refused(
    text_map: LinearTextMap, tmp_path: Path, change: dict[str, Tensor | None], message: str
) -> None:
    from safetensors import safe_open

    path = tmp_path / "map.safetensors"
    save_text_map(text_map, path)
    with safe_open(path, "pt") as handle:
        metadata = handle.metadata()
    tensors = {**load_file(path), **change}
    save_file({n: t for n, t in tensors.items() if t is not None}, path, metadata)
    with pytest.raises(CheckpointError, match=message):
        load_text_map(path)


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "map.safetensors"
    with pytest.raises(CheckpointError, match="there is no linear text map file"):
        load_text_map(path)
    path.write_bytes(b"x")
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        load_text_map(path)
    save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="is not a linear text map"):
        load_text_map(path)
    good = {"format": "cfclip.linear_text_map.v1"}
    for config in ("{}", '{"text_dim": "2", "w_dim": 2}', '{"text_dim": 2, "w_dim": -2}', "no"):
        save_file({"weight": torch.zeros(1)}, path, {**good, "config": config})
        with pytest.raises(CheckpointError, match="no usable linear text map configuration"):
            load_text_map(path)


# Fusion


def test_added_and_fused_are_the_formulas(text_map: LinearTextMap) -> None:
    draws = torch.Generator().manual_seed(0)
    texts, w = torch.randn(2, 16, generator=draws), torch.randn(3, 16, generator=draws)
    mapped = texts @ text_map.weight.T + text_map.bias
    centre = w[0]
    torch.testing.assert_close(text_map.added(texts, centre), mapped.sum(0) - 2 * centre)
    expected = sum(
        torch.cat([w, m.expand(3, -1)], 1) @ text_map.fusion_weight.T + text_map.fusion_bias
        for m in mapped
    )
    torch.testing.assert_close(text_map.fused(texts, w), expected)
    # What becomes of one source does not depend on the others.
    torch.testing.assert_close(text_map.fused(texts, w)[1:2], text_map.fused(texts, w[1:2]))


def test_a_new_map_changes_nothing() -> None:
    fresh = LinearTextMap(LinearTextMapConfig(4, 3, fuses=True))
    assert not fresh.fused(torch.ones(2, 4), torch.ones(5, 3)).any()


def test_where_the_offsets_are_centred(
    generator: StyleGAN2,
    embedder: ClipEmbedder,
    text_map: LinearTextMap,
    request_of_two: EditRequest,
) -> None:
    def offset(fusion: Fusion, **changes: object) -> Tensor:
        request = replace(request_of_two, **changes)  # type: ignore[arg-type]
        return fused_offset(text_map, fusion, generator, embedder, request)

    mapped = text_map(embedder.embed_texts(["green hair", "avatar"]))
    torch.testing.assert_close(offset("add"), (mapped[:1] - generator.w_avg).expand(2, -1))
    torch.testing.assert_close(offset("difference"), (mapped[:1] - mapped[1:]).expand(2, -1))
    assert not offset("difference", prompts=("avatar",)).any()
    both = offset("difference", prompts=("green hair", "blue skin"))
    torch.testing.assert_close(
        both, offset("difference") + offset("difference", prompts=("blue skin",))
    )


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_bare_texts_are_all_that_is_embedded_more(
    generator: StyleGAN2, text_map: LinearTextMap, request_of_two: EditRequest, fusion: Fusion
) -> None:
    embedder = tiny_embedder()
    editor = LatentOptimisation(generator, embedder, replace(CONFIG, fusion=fusion), text_map)
    editor.edit(request_of_two)
    bare = {"add": 1, "difference": 2, "concatenate": 1}[fusion]
    assert embedder.text_calls == 2 * len(TEMPLATES) + bare
    assert embedder.image_calls == 2 + 2 * (CONFIG.steps + 1)
    editor.edit(request_of_two)
    assert embedder.text_calls == 2 * len(TEMPLATES) + bare

    plain = replace(request_of_two, templates=("{}",))
    embedder = tiny_embedder()
    LatentOptimisation(generator, embedder, CONFIG, text_map).edit(plain)
    assert embedder.text_calls == 2  # bare already


# Edits that start from it


def first_step(
    space: Space, fusion: Fusion = "add", **settings: object
) -> LatentOptimisationConfig:
    """Settings whose result is the start: the callback stops before the first update counts."""
    return replace(CONFIG, space=space, fusion=fusion, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("space", get_args(Space))
def test_an_edit_starts_from_the_fused_code_in_every_space(
    generator: StyleGAN2,
    embedder: ClipEmbedder,
    text_map: LinearTextMap,
    request_of_two: EditRequest,
    space: Space,
    fusion: Fusion,
) -> None:
    editor = LatentOptimisation(
        generator, embedder, first_step(space, fusion, fusion_strength=0.5), text_map
    )
    result = editor.edit(request_of_two, lambda progress: False)
    assert result.steps == (0, 0)
    moved = fused_offset(text_map, fusion, generator, embedder, request_of_two)
    expected = generator.synthesis(request_of_two.latents + 0.5 * moved[:, None])
    torch.testing.assert_close(result.images, expected, atol=1e-4, rtol=1e-4)
    # Strength 0 still is the source.
    torch.testing.assert_close(
        result.at_strength(0.0), generator.synthesis(request_of_two.latents), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("space", get_args(Space))
def test_the_latent_penalty_counts_from_the_source(
    generator: StyleGAN2,
    embedder: ClipEmbedder,
    text_map: LinearTextMap,
    request_of_two: EditRequest,
    space: Space,
) -> None:
    editor = LatentOptimisation(generator, embedder, first_step(space), text_map)
    result = editor.edit(request_of_two, lambda progress: False)
    for row, history in enumerate(result.history):
        expected = float(result.offset[row].square().mean())
        assert history["latent_l2"][0] == pytest.approx(expected, rel=1e-5)
        assert expected > 0


@pytest.mark.parametrize("space", get_args(Space))
def test_layers_confine_the_start(
    generator: StyleGAN2,
    embedder: ClipEmbedder,
    text_map: LinearTextMap,
    request_of_two: EditRequest,
    space: Space,
) -> None:
    editor = LatentOptimisation(generator, embedder, first_step(space, layers="1,3-4"), text_map)
    result = editor.edit(request_of_two, lambda progress: False)
    moved = fused_offset(text_map, "add", generator, embedder, request_of_two)
    latents = request_of_two.latents.clone()
    latents[:, [1, 3, 4]] += moved[:, None]
    torch.testing.assert_close(result.images, generator.synthesis(latents), atol=1e-4, rtol=1e-4)
    if space != "w":  # whose one offset has no entries of its own for the layers left out
        total = sum(float(each.square().sum()) for each in result.layer_offsets)
        unmoved = [0, 2, 5] if space == "w_plus" else [0, 3, 7]
        assert total > 0
        assert not any(result.layer_offsets[layer].any() for layer in unmoved)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_images_are_edited_alone_as_in_a_batch(
    generator: StyleGAN2,
    embedder: ClipEmbedder,
    text_map: LinearTextMap,
    request_of_two: EditRequest,
    fusion: Fusion,
) -> None:
    editor = LatentOptimisation(generator, embedder, replace(CONFIG, fusion=fusion), text_map)
    together = editor.edit(request_of_two)
    for index in range(2):
        latents = request_of_two.latents[index : index + 1]
        alone = editor.edit(replace(request_of_two, latents=latents, indices=(index,)))
        # An untrained CLIP sees almost no difference between two pictures, so the last bits of
        # its embeddings weigh a thousandfold; another picture's gradient would move it by a tenth.
        torch.testing.assert_close(alone.offset[0], together.offset[index], atol=2e-3, rtol=1e-3)


def test_the_start_matters_and_the_source_is_the_default(
    generator: StyleGAN2,
    embedder: ClipEmbedder,
    text_map: LinearTextMap,
    request_of_two: EditRequest,
) -> None:
    plain = replace(CONFIG, start="source")
    with_map = LatentOptimisation(generator, embedder, plain, text_map).edit(request_of_two)
    without = LatentOptimisation(generator, embedder, plain).edit(request_of_two)
    fused = LatentOptimisation(generator, embedder, CONFIG, text_map).edit(request_of_two)
    assert torch.equal(with_map.offset, without.offset)
    assert not torch.allclose(fused.offset, without.offset, atol=1e-2)
    assert LatentOptimisationConfig().start == "source"


def test_what_does_not_fit_is_named(
    generator: StyleGAN2, embedder: ClipEmbedder, request_of_two: EditRequest
) -> None:
    def refused(text_map: LinearTextMap | None, fusion: Fusion = "add") -> str:
        editor = LatentOptimisation(generator, embedder, replace(CONFIG, fusion=fusion), text_map)
        with pytest.raises(InputError) as caught:
            editor.edit(request_of_two)
        return str(caught.value)

    assert "there is no text map" in refused(None)
    other = tiny_text_map(text_dim=8, w_dim=16)
    assert "from 8 to 16 numbers, these models need one from 16 to 16" in refused(other)
    plain = LinearTextMap(LinearTextMapConfig(16, 16))
    assert "fitted without pairs of a source and its edit" in refused(plain, "concatenate")
