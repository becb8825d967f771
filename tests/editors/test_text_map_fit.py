"""Fitting a text map to pairs, made up and of tiny models."""

from dataclasses import replace

import pytest
import torch
from tiny_models import sample_latents, tiny_embedder, tiny_generator

from cfclip.editors import FEWEST, NO_SOURCE, TextMapFitConfig, TextMapPairs, fit_text_map
from cfclip.errors import InputError

MODELS = {"generator.safetensors": "0" * 64}
COLOURS = ("red", "green", "blue", "brown", "black", "grey", "pink", "white")
PARTS = ("hair", "skin", "lips", "brows", "clothes", "eyes")


def made_up(pictures: int = 60, captions: int = 2, edits: int = 30) -> TextMapPairs:
    """Codes that are linear in their captions, up to noise; edits add what their text says."""
    draws = torch.Generator().manual_seed(0)
    truth = torch.randn(6, 4, generator=draws)
    described = torch.arange(pictures).repeat(captions)
    meaning = torch.randn(pictures, 6, generator=draws)
    texts = meaning[described] + 0.1 * torch.randn(len(described), 6, generator=draws)
    latents = meaning @ truth + 0.1 * torch.randn(pictures, 4, generator=draws) + 2.0
    told = torch.randn(edits, 6, generator=draws)
    sources = torch.randint(pictures, (edits,), generator=draws)
    return TextMapPairs(
        latents=torch.cat([latents, latents[sources] + told @ truth]),
        texts=torch.cat([texts, told]),
        pictures=torch.cat([described, pictures + torch.arange(edits)]),
        sources=torch.cat([torch.full_like(described, NO_SOURCE), sources]),
    )


def test_captions_explain_the_codes_of_pictures_that_were_held_out() -> None:
    text_map, report = fit_text_map(made_up(edits=0), TextMapFitConfig(penalty=0.01), MODELS)
    assert report.explained is not None
    assert report.explained > 0.9
    assert (report.pictures, report.captions, report.edits) == (60, 120, 0)
    assert report.fusion_loss is report.fusion_explained is None
    assert text_map.config.models == MODELS
    assert not text_map.config.fuses


def test_the_projection_learns_what_edits_change() -> None:
    text_map, report = fit_text_map(made_up(200, edits=100), TextMapFitConfig(penalty=0.01), MODELS)
    assert report.edits == 100
    assert report.fusion_explained is not None
    assert report.fusion_explained > 0.9
    assert text_map.config.fuses


def test_few_edits_give_no_projection() -> None:
    pairs = made_up(edits=FEWEST - 1)
    text_map, report = fit_text_map(pairs, TextMapFitConfig(holdout=0.0), MODELS)
    assert report.edits == FEWEST - 1
    assert not text_map.config.fuses
    enough = fit_text_map(made_up(edits=FEWEST), TextMapFitConfig(holdout=0.0), MODELS)
    assert enough[0].config.fuses


def test_the_fit_is_that_of_its_seed() -> None:
    state = torch.random.get_rng_state()
    first, second, other = (
        fit_text_map(made_up(), TextMapFitConfig(seed=seed), MODELS)[0] for seed in (0, 0, 1)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first.weight, second.weight)
    assert not torch.equal(first.weight, other.weight)  # other pictures are held out


def test_nothing_held_out_is_nothing_measured() -> None:
    _, report = fit_text_map(made_up(), TextMapFitConfig(holdout=0.0), MODELS)
    assert report.explained is report.fusion_explained is None


def test_adam_agrees_with_ridge_on_texts_and_codes_of_models() -> None:
    texts = [f"{colour} {part}" for colour in COLOURS for part in PARTS]
    rows = torch.arange(len(texts))
    pairs = TextMapPairs(
        latents=sample_latents(tiny_generator(), len(texts)).mean(1),
        texts=tiny_embedder().embed_texts(texts),
        pictures=rows,
        sources=torch.where(rows % 2 == 0, NO_SOURCE, rows - 1),
    )
    reports = [
        fit_text_map(pairs, TextMapFitConfig(solver, holdout=0.0), MODELS)[1]
        for solver in ("ridge", "adam")
    ]
    assert reports[0].loss <= reports[1].loss <= 1.01 * reports[0].loss
    first, second = reports[0].fusion_loss, reports[1].fusion_loss
    assert first is not None
    assert second is not None
    assert second == pytest.approx(first, rel=0.01)


def test_too_few_pictures() -> None:
    with pytest.raises(InputError, match=f"19 pictures .* at least {FEWEST}"):
        fit_text_map(made_up(FEWEST - 1, edits=0), TextMapFitConfig(), MODELS)


@pytest.mark.parametrize(
    "change",
    [
        {"latents": torch.zeros(3)},
        {"texts": torch.zeros(3, 2, 1)},
        {"pictures": torch.zeros(2, dtype=torch.int64)},
        {"sources": torch.zeros(2, dtype=torch.int64)},
    ],
)
def test_pairs_that_do_not_fit_together(change: dict[str, torch.Tensor]) -> None:
    with pytest.raises(InputError, match="shape"):
        replace(made_up(), **change)


@pytest.mark.parametrize(
    ("name", "value"), [("solver", "sgd"), ("penalty", 0.0), ("holdout", 0.95), ("seed", -1)]
)
def test_settings_out_of_limits(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{name} is {value!r}, "):
        TextMapFitConfig(**{name: value})  # type: ignore[arg-type]
