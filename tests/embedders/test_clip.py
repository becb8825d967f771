import copy

import pytest
import torch
from golden_cases import RELATIVE_TOLERANCE, golden, relative_error
from open_clip.tokenizer import SimpleTokenizer

from cfclip.embedders import build_clip_model, fill_templates, imagenet_templates
from cfclip.embedders import embedder as base
from cfclip.embedders.clip import ClipEmbedder, load_clip
from cfclip.errors import InputError
from cfclip.io import load_tensors
from cfclip.tensors import resize_images

OPENAI_TINY = {
    "embed_dim": 64,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16, "head_width": 64},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 64,
        "heads": 1,
        "layers": 2,
    },
}
# With these statistics an image in [-1, 1] enters the model as it is, like the stored one.
HALF = (0.5, 0.5, 0.5)


def pictures(batch: int = 2, size: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, 3, size, size, generator=generator) * 2 - 1


@pytest.fixture(scope="module")
def openai_case():
    parameters, arrays, _ = golden("openai_clip_tiny")
    model = build_clip_model(OPENAI_TINY)
    load_tensors(model, parameters, "openai_clip_tiny")
    return ClipEmbedder(model, SimpleTokenizer(), HALF, HALF), arrays


class TestOpenaiReference:
    def test_tokens(self, openai_case):
        embedder, arrays = openai_case
        tokens = embedder.tokenize([str(text) for text in arrays["texts"]])
        assert torch.equal(tokens, torch.as_tensor(arrays["tokens"]))

    def test_image_features(self, openai_case):
        embedder, arrays = openai_case
        features = embedder.image_features(torch.as_tensor(arrays["image"]))
        assert relative_error(features, arrays["image_features"]) < RELATIVE_TOLERANCE

    def test_text_features(self, openai_case):
        embedder, arrays = openai_case
        features = embedder.text_features([str(text) for text in arrays["texts"]])
        assert relative_error(features, arrays["text_features"]) < RELATIVE_TOLERANCE

    def test_logits(self, openai_case):
        embedder, arrays = openai_case
        images = embedder.embed_images(torch.as_tensor(arrays["image"]))
        texts = embedder.embed_texts([str(text) for text in arrays["texts"]])
        logits = embedder.model.logit_scale.exp() * images @ texts.T
        assert relative_error(logits, arrays["logits_per_image"]) < RELATIVE_TOLERANCE

    def test_quick_gelu_matters(self, openai_case):
        embedder, arrays = openai_case
        plain = build_clip_model({**OPENAI_TINY, "quick_gelu": False})
        load_tensors(plain, embedder.model.state_dict(), "openai_clip_tiny")
        other = ClipEmbedder(plain, embedder.tokenizer, HALF, HALF)
        features = other.image_features(torch.as_tensor(arrays["image"]))
        assert relative_error(features, arrays["image_features"]) > 10 * RELATIVE_TOLERANCE

    def test_feature_maps_of_a_vision_transformer(self, openai_case):
        embedder, _ = openai_case
        maps = embedder.image_feature_maps(pictures())
        assert [tuple(m.shape) for m in maps] == [(2, 64, 4, 4)] * 2


class TestImages:
    def test_unit_length_and_shape(self, embedder):
        embeddings = embedder.embed_images(pictures(3))
        assert embeddings.shape == (3, embedder.dim)
        assert embeddings.dtype == torch.float32
        assert torch.allclose(embeddings.norm(dim=-1), torch.ones(3))

    def test_batch_independence(self, embedder):
        images = pictures(3)
        together = embedder.embed_images(images)
        maps = embedder.image_feature_maps(images)
        for b in range(3):
            alone = images[b : b + 1]
            assert torch.allclose(together[b : b + 1], embedder.embed_images(alone), atol=1e-5)
            for whole, own in zip(maps, embedder.image_feature_maps(alone), strict=True):
                assert torch.allclose(whole[b : b + 1], own, atol=1e-4)

    def test_normalisation_happens_once_with_the_folders_statistics(self, embedder):
        mean, std = (x.flatten().tolist() for x in (embedder.image_mean, embedder.image_std))
        assert mean == pytest.approx([0.6, 0.5, 0.4])
        assert std == pytest.approx([0.3, 0.25, 0.2])
        entering = torch.empty(0)

        def keep(module, arguments):
            nonlocal entering
            entering = arguments[0]

        embedder.model.visual.register_forward_pre_hook(keep)
        embedder.embed_images(torch.ones(1, 3, 64, 64))
        expected = [(1 - m) / s for m, s in zip(mean, std, strict=True)]
        assert entering[0, :, 0, 0].tolist() == pytest.approx(expected)

    def test_other_sizes_are_resized(self, embedder):
        images = pictures(1, size=96)
        expected = embedder.embed_images(resize_images(images, 64))
        assert torch.allclose(embedder.embed_images(images), expected)

    def test_gradient_reaches_the_image_and_no_parameter(self, embedder):
        images = pictures(1, size=80).requires_grad_()
        embedder.embed_images(images)[0, 0].backward()
        assert images.grad is not None
        assert images.grad.isfinite().all()
        assert images.grad.abs().max() > 0
        assert all(p.grad is None and not p.requires_grad for p in embedder.parameters())

    def test_training_mode_is_refused(self, embedder):
        embedder.train()
        assert not any(module.training for module in embedder.modules())

    def test_feature_maps_are_unit_length_per_position_and_differentiable(self, embedder):
        images = pictures().requires_grad_()
        maps = embedder.image_feature_maps(images)
        assert [m.shape[-1] for m in maps] == [16, 8, 4, 2]
        for m in maps:
            lengths = m.norm(dim=1)
            assert lengths.max() <= 1 + 1e-5
            assert lengths.median() > 0.99
        sum(m[:, 0].sum() for m in maps).backward()
        assert images.grad is not None
        assert images.grad.isfinite().all()

    def test_calls_are_counted(self, embedder):
        embedder.embed_images(pictures(2))
        embedder.image_feature_maps(pictures(1))
        assert embedder.image_calls == 3

    @pytest.mark.parametrize("shape", [(3, 64, 64), (1, 4, 64, 64)])
    def test_wrong_shapes(self, embedder, shape):
        with pytest.raises(InputError, match="images have shape"):
            embedder.embed_images(torch.zeros(shape))

    def test_an_image_encoder_without_maps_says_so(self, embedder):
        class Plain(torch.nn.Module):
            image_size = 64
            output_dim = 16

        model = torch.nn.Module()
        model.visual = Plain()
        with pytest.raises(InputError, match="Plain shows no feature maps"):
            ClipEmbedder(model, None, HALF, HALF).image_feature_maps(pictures())


class TestTexts:
    def test_unit_length_and_order(self, embedder):
        texts = ["green hair", "avatar", "green hair"]
        embeddings = embedder.embed_texts(texts)
        assert embeddings.shape == (3, embedder.dim)
        assert torch.allclose(embeddings.norm(dim=-1), torch.ones(3))
        assert torch.equal(embeddings[0], embeddings[2])
        assert not torch.allclose(embeddings[0], embeddings[1])
        assert not embeddings.requires_grad

    def test_each_text_is_encoded_once(self, embedder):
        filled = fill_templates(imagenet_templates()[:5], "hair")
        first = embedder.embed_texts([*filled, filled[0]])
        assert embedder.text_calls == 5
        assert torch.equal(embedder.embed_texts(filled), first[:5])
        assert embedder.text_calls == 5
        embedder.text_features([filled[1], "avatar"])
        assert embedder.text_calls == 6

    def test_a_cached_text_is_never_taken_for_another(self, embedder):
        fresh = copy.deepcopy(embedder)
        embedder.embed_texts(["green hair", "purple hair"])
        for text in ("purple hair", "green hair", "Green hair"):
            assert torch.allclose(
                embedder.embed_texts([text]), fresh.embed_texts([text]), atol=1e-6
            )

    def test_the_cache_forgets_the_text_used_longest_ago(self, embedder, monkeypatch):
        monkeypatch.setattr(base, "TEXT_CACHE_SIZE", 2)
        embedder.embed_texts(["a", "of"])
        embedder.embed_texts(["a"])
        embedder.embed_texts(["with"])
        assert embedder.text_calls == 3
        embedder.embed_texts(["a"])
        assert embedder.text_calls == 3
        embedder.embed_texts(["of"])
        assert embedder.text_calls == 4

    def test_what_the_cache_holds_does_not_change_a_bit_of_other_texts(self, embedder):
        texts = [f"a person with {word} hair" for word in ("green", "blue", "red", "pink", "grey")]
        together = embedder.text_features(texts)
        embedder._texts.clear()
        embedder.text_features(texts[3:4])
        assert torch.equal(embedder.text_features(texts), together)

    def test_moving_the_model_empties_the_cache(self, embedder):
        embedder.embed_texts(["a"])
        embedder.to("cpu")
        embedder.embed_texts(["a"])
        assert embedder.text_calls == 2

    def test_many_texts_go_in_pieces(self, embedder, monkeypatch):
        expected = copy.deepcopy(embedder).embed_texts(["a", "of", "with", "hair"])
        monkeypatch.setattr(base, "_TEXT_BATCH", 3)
        found = embedder.embed_texts(["a", "of", "with", "hair"])
        assert torch.allclose(found, expected, atol=1e-6)

    def test_a_text_that_would_be_cut_is_an_error(self, embedder):
        embedder.embed_texts(["hair " * 30])
        with pytest.raises(
            InputError, match="33 tokens with its start and end, CLIP reads at most 32"
        ):
            embedder.embed_texts(["avatar", "hair " * 31])
        assert embedder.text_calls == 1

    def test_reserved_marks_are_an_error(self, embedder):
        with pytest.raises(InputError, match="a mark that CLIP reserves"):
            embedder.embed_texts(["green <end_of_text> hair"])

    def test_no_text_and_a_bare_string_are_errors(self, embedder):
        with pytest.raises(InputError, match="texts is empty"):
            embedder.embed_texts([])
        with pytest.raises(InputError, match="expected a list"):
            embedder.embed_texts("green hair")


def test_statistics_are_checked(embedder):
    with pytest.raises(InputError, match="must have 3 numbers"):
        ClipEmbedder(embedder.model, embedder.tokenizer, HALF[:2], HALF)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no/such/folder", "is no CLIP that can be opened; give a folder"),
        ("ViT-B-32-quickgelu:nobody", "its tags are"),
        ("ViT-B-31:openai", "no model 'ViT-B-31'"),
        ("ViT-B-32-quickgelu:laion2b_s34b_b79k", "no model|use ViT-B-32:laion2b_s34b_b79k"),
    ],
)
def test_unknown_sources(source, message):
    with pytest.raises(InputError, match=message):
        load_clip(source)
