"""The methods: each opens, edits, and says what it is."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_methods import BLUE, GREEN, files, opened

from cfclip.editing import Session, open_mapper, open_method
from cfclip.editing.methods import METHODS, styleclip_optimisation
from cfclip.editors import LAST, EditRequest, LatentOptimisation, load_text_mapper
from cfclip.errors import CheckpointError, InputError, PackError
from cfclip.packs import TEXT_MAP_FILE, Pack, assemble_pack
from cfclip.training import logged_seconds

MAPPERS = ("mapper", "cfclip-mapper", "styleclip-mapper", "directional-mapper")


@pytest.fixture(scope="module")
def session(tiny_pack: Path) -> Session:
    return Session.open(tiny_pack)


@pytest.fixture(scope="module")
def request_of_two(session: Session) -> EditRequest:
    manifest = session.pack.manifest
    return EditRequest(
        latents=torch.stack([source.latents for source in session.sample(2)]),
        prompts=(GREEN,),
        source_text=manifest.source_text,
        templates=manifest.templates,
        unrealistic_text=manifest.unrealistic_text,
        aspects=manifest.aspects,
        indices=(0, 0),
    )


@pytest.mark.parametrize("name", METHODS)
def test_every_method_edits_each_picture_as_if_alone(
    session: Session, method_files: Path, request_of_two: EditRequest, name: str
) -> None:
    settings = {"beta": 0.01} if name == "styleclip-global" else {}
    method = opened(name, session, method_files, **settings)
    assert method.name == name
    result = method.edit(request_of_two)
    assert result.images.shape == (2, 3, 32, 32)
    assert bool(torch.isfinite(result.offset).all())
    assert bool(result.offset.flatten(1).any(1).all())
    source = session.generator.synthesis(request_of_two.latents)
    torch.testing.assert_close(result.at_strength(0.0), source, atol=1e-4, rtol=1e-4)
    for row in range(2):
        one = replace(request_of_two, latents=request_of_two.latents[row : row + 1], indices=(0,))
        alone = method.edit(one)
        torch.testing.assert_close(alone.offset[0], result.offset[row], atol=2e-3, rtol=1e-2)


def test_the_seconds_of_training(session: Session, method_files: Path, tmp_path: Path) -> None:
    def seconds(name: str) -> float | None:
        return opened(name, session, method_files).seconds_of_training

    for name in (
        "optimisation",
        "cfclip-optimisation",
        "styleclip-optimisation",
        "directional-optimisation",
    ):
        assert seconds(name) == 0.0
    assert seconds("logit-text-map") is None  # nobody timed the fit of the pack's map
    runs = [logged_seconds(each) for each in files("styleclip-mapper", method_files)]
    assert len(runs) == 2
    assert seconds("styleclip-mapper") == pytest.approx(sum(each or 0.0 for each in runs))
    assert all((seconds(name) or 0.0) > 0.0 for name in (*MAPPERS, "styleclip-global"))
    copied = tmp_path / "mapper.safetensors"
    copied.write_bytes((method_files / "text" / LAST).read_bytes())
    assert open_method("cfclip-mapper", session.pack, {}, [copied]).seconds_of_training is None


def test_baselines_do_not_take_the_defaults_of_the_pack(
    session: Session, method_files: Path
) -> None:
    def config(name: str, **settings: Any) -> Any:
        method = open_method(name, session.pack, settings)
        (editor,) = method.editors
        assert isinstance(editor, LatentOptimisation)
        assert method.settings == asdict(editor.config)
        return editor.config

    assert config("cfclip-optimisation").steps == 3  # of the tiny pack
    styleclip = config("styleclip-optimisation")
    assert styleclip.steps == 300
    for name, value in styleclip_optimisation(session.generator).items():
        assert getattr(styleclip, name) == value
    assert config("styleclip-optimisation", lr=0.2).lr == 0.2
    assert (config("logit-text-map").start, config("logit-text-map").steps) == ("text-map", 100)
    assert config("directional-optimisation").objective == "directional"


def test_a_mapper_edits_by_what_it_was_trained_for(
    session: Session, method_files: Path, request_of_two: EditRequest
) -> None:
    method = opened("styleclip-mapper", session, method_files)
    for prompt, run in ((GREEN, "styleclip-green"), (BLUE, "styleclip-blue")):
        result = method.edit(replace(request_of_two, prompts=(prompt,)))
        mapper = load_text_mapper(method_files / run / "best.safetensors")
        features = session.embedder.text_features([prompt])[0]
        expected = mapper.offset(request_of_two.latents, features)
        torch.testing.assert_close(result.offset, expected)
    for prompts in (("red hair",), (GREEN, BLUE)):
        with pytest.raises(InputError, match="no mapper of styleclip-mapper was trained for"):
            method.edit(replace(request_of_two, prompts=prompts))
    weaker = opened("cfclip-mapper", session, method_files, strength=0.5)
    assert weaker.settings == {"strength": 0.5, "region": "off", "parts": ""}
    half = weaker.edit(request_of_two)
    torch.testing.assert_close(half.at_strength(0.5), half.images)
    assert (half.steps, half.history, half.strength) == ((0, 0), ({}, {}), 0.5)


def test_a_mask_confines_a_mapper(
    session: Session, method_files: Path, request_of_two: EditRequest
) -> None:
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., :16, :] = 1.0
    result = opened("cfclip-mapper", session, method_files).edit(replace(request_of_two, mask=mask))
    assert torch.equal(result.images[..., 16:, :], result.source_images[..., 16:, :])
    assert not torch.equal(result.images[..., :16, :], result.source_images[..., :16, :])


@pytest.mark.parametrize(
    ("name", "settings", "taken", "message"),
    [
        (
            "styleclip",
            {},
            (),
            "method is 'styleclip', expected one of optimisation, mapper",
        ),
        ("styleclip-optimisation", {"speed": 1}, (), "unknown setting speed; known are strength"),
        ("styleclip-optimisation", {"lr": -1.0}, (), "lr is -1.0"),
        ("styleclip-optimisation", {}, ("text",), "1 files are given for .*, expected 0"),
        ("styleclip-global", {}, (), "0 files are given for styleclip-global, expected 1"),
        ("styleclip-global", {"beta": 2.0}, ("channels.safetensors",), "beta is 2.0"),
        ("cfclip-mapper", {}, (), "0 files are given for cfclip-mapper, expected 1 or more"),
        ("cfclip-mapper", {"steps": 1}, ("text",), "unknown setting steps; known are strength"),
        ("cfclip-mapper", {}, ("styleclip-green",), r"no text mapper, .* \(--mapper text\)"),
        ("styleclip-mapper", {}, ("text",), r"no latent mapper, which styleclip-mapper takes"),
        ("styleclip-mapper", {}, ("directional-green",), "trained with objective 'directional', w"),
        ("styleclip-mapper", {}, ("latent",), "trained with changed_pixels 8.0, which styleclip-"),
        ("directional-mapper", {}, ("styleclip-green",), "--preset directional-mapper"),
    ],
)
def test_what_does_not_fit_is_named(
    session: Session,
    method_files: Path,
    name: str,
    settings: dict[str, Any],
    taken: tuple[str, ...],
    message: str,
) -> None:
    with pytest.raises(InputError, match=message):
        open_method(name, session.pack, settings, [method_files / each for each in taken])


def test_models_that_are_missing_or_others(
    session: Session, method_files: Path, tmp_path: Path, tiny_pack_copy: Path
) -> None:
    with pytest.raises(CheckpointError, match="there is no mapper"):
        open_method("cfclip-mapper", session.pack, {}, [tmp_path / "nonesuch"])
    with pytest.raises(CheckpointError, match="there is no channel statistics file"):
        open_method("styleclip-global", session.pack, {}, [tmp_path / "nonesuch.safetensors"])
    pack = Pack.open(tiny_pack_copy)
    (tiny_pack_copy / TEXT_MAP_FILE).unlink()
    without = assemble_pack(tiny_pack_copy, pack.manifest)
    with pytest.raises(PackError, match="pack 'tiny' has no text map"):
        open_method("logit-text-map", without)


def test_an_opened_method_has_its_settings(session: Session, method_files: Path) -> None:
    method = opened("optimisation", session, method_files)
    for more in ({"steps": 5}, {"files": ["nonesuch"]}, {"text_map": "nonesuch"}, {"nonsense": 5}):
        with pytest.raises(InputError, match="those of the opened method"):
            session.edit("sample:5", GREEN, method=method, **more)


def test_what_cannot_be_applied_is_named(session: Session, method_files: Path) -> None:
    mapper: Any = open_mapper(session.pack, method_files / "text")
    with pytest.raises(InputError, match="cannot apply a MapperEdit; give a folder, a file, or"):
        session.apply(mapper, "sample:5", GREEN)
