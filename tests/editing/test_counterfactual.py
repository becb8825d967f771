"""Counterfactual editing in one call, on the tiny pack."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from losses.embeddings import logit_loss
from PIL import Image
from tiny_models import tiny_text_map
from torch import Tensor

import cfclip
from cfclip import InputError, PackError, Session, counterfactual_editing
from cfclip.editors import save_text_map
from cfclip.embedders import fill_templates
from cfclip.packs import MANIFEST_FILE, TEXT_MAP_FILE, assemble_pack, read_manifest
from cfclip.tensors import pil_from_signed

TEXT = "green hair"
EXACT = {"augmentations": 1, "distortion": 0.0}
"""Without perspectives, so that a test can follow each step."""


@pytest.fixture(scope="module")
def session(tiny_pack: Path) -> Session:
    return Session.open(tiny_pack)


TERMS = ("similarity", "diversity", "realism")
"""Names of the terms in the history, in the order of alpha, beta, gamma."""


def pixels(image: Image.Image) -> Tensor:
    return torch.tensor(list(image.tobytes())).float()


def test_it_is_public() -> None:
    assert "counterfactual_editing" in cfclip.__all__


def test_it_follows_the_plain_gradient_from_the_fused_code(
    session: Session, tiny_pack: Path
) -> None:
    alpha, beta, gamma, rate = 2.0, 0.25, 0.5, 3.0
    edited = counterfactual_editing(
        "sample:1", TEXT, alpha, beta, gamma, 3, rate, pack=tiny_pack, **EXACT
    )
    manifest, generator, embedder = session.pack.manifest, session.generator, session.embedder
    texts = [
        embedder.embed_texts(fill_templates(manifest.templates, each))
        for each in (TEXT, manifest.source_text, manifest.unrealistic_text)
    ]
    source = session.sample(1, seed=1)[0].latents[None]
    mapped = session.pack.text_map()(embedder.embed_texts([TEXT]))
    w = source + mapped - generator.w_avg
    for _ in range(3):
        w = w.detach().requires_grad_(True)
        loss = logit_loss(embedder.embed_images(generator.synthesis(w)), *texts, alpha, beta, gamma)
        (gradient,) = torch.autograd.grad(loss, w)
        w = w - rate * gradient
    expected = pil_from_signed(generator.synthesis(w.detach()))[0]
    assert float((pixels(edited) - pixels(expected)).abs().max()) <= 1  # of 255: rounding


def test_it_seeks_the_text_and_leaves_original_and_broken_pictures(session: Session) -> None:
    """Each weight alone moves its own score the right way (the sign trap of METHOD, section 3)."""
    settings = {
        **{"objective": "logit", "optimizer": "sgd", "start": "text-map", "steps": 20, "lr": 1.0},
        **{"latent_l2": 0.0, "ramp_up": 0.0, "ramp_down": 0.0, "patience": 0, **EXACT},
    }
    least = 1e-9  # the objective needs some similarity
    for alpha, beta, gamma in ((1.0, 0.0, 0.0), (least, 1.0, 0.0), (least, 0.0, 1.0)):
        weights = {"alpha": alpha, "beta": beta, "gamma": gamma}
        history = session.edit("sample:1", TEXT, **settings, **weights).history  # type: ignore[call-overload]
        term = next(n for n, v in zip(TERMS, weights.values(), strict=True) if v > least)
        # "similarity" is the negative log-odds, so that all three fall.
        assert history[term][-1] < history[term][0]


def test_it_is_one_path_with_the_session(session: Session, tiny_pack: Path) -> None:
    picture = session.sample(1, seed=3)[0].image
    before = picture.tobytes()
    edited = counterfactual_editing(
        picture,
        TEXT,
        max_iterations=2,
        pack=tiny_pack,
        seed=4,
        t0="a face",
        tn="a broken face",
        optimizer="adam",
        fusion="difference",
    )
    assert picture.tobytes() == before
    same = session.edit(
        picture,
        TEXT,
        4,
        objective="logit",
        start="text-map",
        fusion="difference",
        source_text="a face",
        unrealistic_text="a broken face",
        optimizer="adam",
        steps=2,
        lr=1.0,
        latent_l2=0.0,
        ramp_up=0.0,
        ramp_down=0.0,
        patience=0,
    )
    assert (edited.mode, edited.size) == ("RGB", (32, 32))
    assert edited.tobytes() == same.image.tobytes()


def test_terms_that_confine_an_edit_are_only_added_when_asked_for(tiny_pack_copy: Path) -> None:
    def edited(**settings: float) -> bytes:
        return counterfactual_editing(
            "sample:1", TEXT, max_iterations=3, lr=3.0, pack=tiny_pack_copy, **settings
        ).tobytes()

    plain = edited()
    terms = {"latent_l2": 0.5, "changed_pixels": 8.0, "aspects": 30.0}
    manifest = read_manifest(tiny_pack_copy / MANIFEST_FILE)
    defaults = replace(manifest.defaults, edit={**manifest.defaults.edit, **terms})
    assemble_pack(tiny_pack_copy, replace(manifest, defaults=defaults))
    assert edited() == plain
    for name, weight in terms.items():
        assert edited(**{name: weight}) != plain


def test_it_is_confined_as_the_pack_says(tiny_pack_copy: Path) -> None:
    pack = Session.open(tiny_pack_copy).pack
    edit = {**pack.manifest.defaults.edit, "region": "changed"}
    defaults = replace(pack.manifest.defaults, edit=edit)
    assemble_pack(tiny_pack_copy, replace(pack.manifest, defaults=defaults))

    def edited(**settings: str) -> Tensor:
        given = {"pack": tiny_pack_copy, "max_iterations": 2, **EXACT, **settings}
        return pixels(counterfactual_editing("sample:1", TEXT, **given))

    source = pixels(Session.open(tiny_pack_copy).sample(1, 1)[0].image)
    confined, anywhere = edited(), edited(region="off")
    assert torch.equal(confined, edited(region="changed"))
    assert (confined - source).abs().mean() < (anywhere - source).abs().mean()


def test_a_map_of_ones_own_and_other_settings(
    session: Session, tiny_pack: Path, tmp_path: Path
) -> None:
    path = tmp_path / "map.safetensors"
    save_text_map(tiny_text_map(models=session.pack.mapped_models, seed=9), path)

    def edited(**settings: object) -> bytes:
        return counterfactual_editing(  # type: ignore[arg-type]
            "sample:1", TEXT, max_iterations=1, pack=tiny_pack, **settings
        ).tobytes()

    assert edited() == edited()
    assert edited(text_map=path) != edited()
    assert edited(start="source") != edited()
    assert edited(steps=1, fusion_strength=0.0) == edited(start="source")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"text": " "}, "the prompt is empty"),
        ({"alpha": 0.0}, "alpha is 0.0"),
        ({"beta": -1.0}, "beta is -1.0"),
        ({"gamma": float("nan")}, "gamma is nan"),
        ({"max_iterations": 0}, "steps is 0"),
        ({"lr": 0.0}, "lr is 0.0"),
        ({"optimizer": "ranger"}, "optimizer is 'ranger'"),
        ({"fusion": "mix"}, "fusion is 'mix'"),
        ({"t0": ""}, "the prompt is empty"),
        ({"tn": "\x00"}, "the prompt is empty"),
        ({"image": "nonesuch.png"}, "no file nonesuch.png"),
        ({"image": 3}, "cannot edit a int"),
        ({"image": ["sample:1"]}, "cannot edit a list"),
        ({"text": None}, "the prompt is a NoneType"),
        ({"seed": -1}, "seed is -1"),
        ({"lrs": 1.0}, "unknown setting lrs"),
        ({"text_map": "nonesuch.safetensors"}, "there is no linear text map file"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    tiny_pack: Path, arguments: dict[str, object], why: str
) -> None:
    given = {"image": "sample:1", "text": TEXT, "pack": tiny_pack, **arguments}
    with pytest.raises(cfclip.CfclipError) as caught:
        counterfactual_editing(**given)  # type: ignore[arg-type]
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pack_without_a_map(tiny_pack_copy: Path) -> None:
    (tiny_pack_copy / TEXT_MAP_FILE).unlink()
    assemble_pack(tiny_pack_copy, read_manifest(tiny_pack_copy / MANIFEST_FILE))
    with pytest.raises(PackError, match="cfclip fit-text-map FOLDER --pack tiny"):
        counterfactual_editing("sample:1", TEXT, pack=tiny_pack_copy)
    with pytest.raises(InputError, match="prompt is empty"):
        counterfactual_editing("sample:1", "", pack=tiny_pack_copy)
