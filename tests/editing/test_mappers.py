"""Trained mappers with the tiny pack: opening, choosing a prompt, editing any number of sources."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from cfclip.editing import OpenedMethod, Session, Source, open_mapper
from cfclip.editors import (
    BEST,
    LAST,
    TextMapper,
    TextMapperConfig,
    load_text_mapper,
    save_text_mapper,
)
from cfclip.errors import CheckpointError, InputError
from cfclip.packs import assemble_pack
from cfclip.provenance import file_origin, read_record
from cfclip.tensors import pil_from_signed
from cfclip.training.initial import new_mapper

PROMPTS = ("green hair", "blue skin")


def mapper_of(session: Session, step_scale: float = 0.5) -> TextMapper:
    generator = session.generator
    shape = TextMapperConfig(
        num_ws=generator.num_ws,
        w_dim=generator.w_dim,
        text_dim=session.embedder.dim,
        step_scale=step_scale,
    )
    return new_mapper(shape, 0).eval().requires_grad_(False)


def about(session: Session, **changes: Any) -> dict[str, Any]:
    models = session.pack.mapped_models
    facts = {"pack": "tiny", "pack_version": "1", "models": models, "prompts": list(PROMPTS)}
    return {**facts, "step": 3, **changes}


@pytest.fixture(scope="module")
def session(tiny_pack: Path) -> Session:
    return Session.open(tiny_pack)


@pytest.fixture(scope="module")
def file(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mapper") / BEST
    save_text_mapper(mapper_of(session), path, about(session))
    return path


@pytest.fixture(scope="module")
def mapper(session: Session, file: Path) -> OpenedMethod:
    return session.method("mapper", [file])


@pytest.fixture(scope="module")
def sources(session: Session) -> list[Source]:
    return session.sample(5)


def difference(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of two pictures' pixels."""
    pixels = [
        torch.frombuffer(bytearray(i.tobytes()), dtype=torch.uint8).int() for i in (one, other)
    ]
    return int((pixels[0] - pixels[1]).abs().max())


# Editing


def test_an_edit_is_that_of_the_mapper(
    session: Session, mapper: OpenedMethod, sources: list[Source]
) -> None:
    results = session.apply(mapper, sources, "green hair", 0.5)
    text = session.embedder.text_features(["green hair"])[0]
    for source, result in zip(sources, results, strict=True):
        edited = mapper_of(session).edit(source.latents[None], text, 0.5)
        (expected,) = pil_from_signed(session.generator.synthesis(edited))
        assert difference(result.image, expected) <= 1
        assert difference(result.image, source.image) > 5
        torch.testing.assert_close(source.latents + 0.5 * result.offset, edited[0])
        assert result.image.size == (32, 32)
        assert result.prompts == ("green hair",)
        assert result.name == f"{source.name}_green-hair"


def test_strength_scales_and_0_changes_nothing(
    session: Session, mapper: OpenedMethod, sources: list[Source]
) -> None:
    (whole,) = session.apply(mapper, sources[0], "green hair")
    (none,) = session.apply(mapper, sources[0], "green hair", 0.0)
    assert difference(none.image, sources[0].image) <= 1
    assert difference(whole.at_strength(0.0).image, sources[0].image) <= 1
    assert difference(none.at_strength(1.0).image, whole.image) <= 1
    (backwards,) = session.apply(mapper, sources[0], "green hair", -1.0)
    assert difference(backwards.image, whole.image) > 5
    with pytest.raises(InputError, match="strength is 1000"):
        session.apply(mapper, sources[0], "green hair", 1000.0)


def test_prompts_make_different_edits(
    session: Session, mapper: OpenedMethod, sources: list[Source]
) -> None:
    hair, skin = (session.apply(mapper, sources[0], prompt)[0] for prompt in PROMPTS)
    assert difference(hair.image, skin.image) > 5


def test_pictures_do_not_influence_each_other(
    session: Session, mapper: OpenedMethod, sources: list[Source]
) -> None:
    together = session.apply(mapper, sources, "green hair")
    for source, result in zip(sources, together, strict=True):
        (alone,) = session.apply(mapper, source, "green hair")
        assert difference(alone.image, result.image) <= 1
        torch.testing.assert_close(alone.offset, result.offset)


@pytest.mark.parametrize("count", [1, 15, 16, 17, 1001])
def test_none_is_lost_at_the_end_of_a_batch(
    session: Session, mapper: OpenedMethod, sources: list[Source], count: int
) -> None:
    many = [replace(sources[i % 5], name=f"picture-{i}") for i in range(count)]
    before = session.embedder.text_calls
    results = session.apply(mapper, many, "green hair", batch=16)
    assert [result.name for result in results] == [f"picture-{i}_green-hair" for i in range(count)]
    assert {result.record["batch"] for result in results} <= {16, count % 16}
    assert session.embedder.text_calls <= before + 1
    for result in (results[0], results[-1]):
        expected = sources[int(result.name.split("-")[1].split("_")[0]) % 5]
        assert torch.equal(result.latents, expected.latents)


def test_all_kinds_of_pictures(
    session: Session, file: Path, sources: list[Source], tmp_path: Path
) -> None:
    path = tmp_path / "me.png"
    sources[0].image.save(path)
    given = [path, str(path), sources[1].image, "sample:3", sources[2], sources[3].latents]
    results = session.apply(file, given, "green hair")
    assert [result.name.split("_")[0].split("-")[0] for result in results] == [
        *("me", "me", "image", "sample", "sample", "latents")
    ]
    with pytest.raises(InputError, match="no images"):
        session.apply(file, [], "green hair")
    with pytest.raises(InputError, match="batch is 0"):
        session.apply(file, given[3:], "green hair", batch=0)


def test_results_are_saved_like_those_of_an_edit(
    session: Session, mapper: OpenedMethod, file: Path, tmp_path: Path
) -> None:
    (result,) = session.apply(mapper, "sample:1", "green hair")
    files = result.save(tmp_path, strengths=[0.5, 1.0])
    assert all(path.is_file() for path in files.all)
    record = json.loads(files.record.read_text())
    assert (record["kind"], record["method"]) == ("edit", "mapper")
    assert record["files"] == [{**file_origin(file), "step": 3}]
    assert record["settings"] == {"strength": 1.0, "region": "off", "parts": ""}
    assert record["source"] == {"kind": "sample", "seed": 1, "truncation_psi": 0.7}
    assert [each["strength"] for each in record["outputs"]] == [0.5, 1.0]
    assert read_record(files.record).method == "mapper"


def test_global_random_state_stays(session: Session, file: Path, sources: list[Source]) -> None:
    before = torch.get_rng_state()
    session.apply(file, sources, "green hair")
    assert torch.equal(torch.get_rng_state(), before)


# Which prompt


def test_prompts_are_chosen(session: Session, file: Path) -> None:
    mapper = open_mapper(session.pack, file)
    assert mapper.choose(("green  hair", "green hair")) == ("green hair",)
    assert mapper.choose((), every=True) == PROMPTS
    assert mapper.varied(prompts=("a smile",)).choose(()) == ("a smile",)
    many = mapper.varied(prompts=tuple(f"text {i}" for i in range(12)))
    for each, shown in ((mapper, "'green hair', 'blue skin'"), (many, "'text 9' and 2 more")):
        with pytest.raises(InputError, match=rf"trained for \d+ texts, .*--all-texts.*{shown}$"):
            each.choose(())
    with pytest.raises(InputError, match="not both"):
        mapper.choose(("green hair",), every=True)
    with pytest.raises(InputError, match="empty"):
        mapper.choose((" ",))


def test_other_prompts_are_a_warning(session: Session, mapper: OpenedMethod) -> None:
    (result,) = session.apply(mapper, "sample:1", "a grean smile")
    assert any("'grean' (nearest: green" in warning for warning in result.warnings)
    assert any("was not trained for 'a grean smile'" in warning for warning in result.warnings)
    (result,) = session.apply(mapper, "sample:1", "green hair")
    assert result.warnings == ()


# What is refused


def test_the_better_mapper_of_a_folder_is_taken(
    session: Session, file: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="has no mapper yet"):
        open_mapper(session.pack, tmp_path)
    save_text_mapper(load_text_mapper(file), tmp_path / LAST, about(session, step=9))
    assert open_mapper(session.pack, tmp_path).origin["step"] == 9
    save_text_mapper(load_text_mapper(file), tmp_path / BEST, about(session, step=5))
    assert open_mapper(session.pack, tmp_path).origin["step"] == 5
    with pytest.raises(CheckpointError, match=r"there is no mapper .*cfclip train"):
        open_mapper(session.pack, tmp_path / "nothing")


def test_a_mapper_for_other_models_is_refused(
    session: Session, file: Path, tiny_pack_copy: Path
) -> None:
    config = tiny_pack_copy / "clip" / "open_clip_config.json"
    config.write_text(config.read_text() + "\n")
    other = assemble_pack(tiny_pack_copy, session.pack.manifest)
    with pytest.raises(CheckpointError) as caught:
        open_mapper(other, file)
    assert "other clip/open_clip_config.json" in str(caught.value)
    assert "it is one for pack tiny 1" in str(caught.value)


@pytest.mark.parametrize("facts", [{}, {"models": {}}, {"models": {"a": "b"}, "prompts": []}])
def test_a_mapper_that_does_not_say_what_it_is_for_is_refused(
    session: Session, tmp_path: Path, facts: dict[str, Any]
) -> None:
    path = tmp_path / "mapper.safetensors"
    save_text_mapper(mapper_of(session), path, facts)
    with pytest.raises(CheckpointError, match="give a mapper that cfclip train made"):
        open_mapper(session.pack, path)


def test_a_mapper_of_other_sizes_is_refused(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "mapper.safetensors"
    shape = TextMapperConfig(num_ws=8, w_dim=8, text_dim=16)
    save_text_mapper(new_mapper(shape, 0), path, about(session))
    with pytest.raises(CheckpointError, match=r"has \(num_ws, w_dim, text_dim\) \(8, 8, 16\)"):
        open_mapper(session.pack, path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        open_mapper(session.pack, path)


# Speed


@pytest.mark.slow
def test_applying_takes_hardly_longer_than_rendering(tmp_path: Path) -> None:
    session = Session.open("avatars")
    generator = session.generator
    save_text_mapper(mapper_of(session), tmp_path / BEST, about(session))
    mapper = session.method("mapper", [tmp_path], region="off")
    confined = session.method("mapper", [tmp_path], region="parts")
    sources = session.sample(48)
    groups = torch.stack([source.latents for source in sources]).split(16)

    @torch.no_grad()
    def bare() -> None:
        for latents in groups:
            generator.synthesis(latents)

    def edited(method: OpenedMethod = mapper) -> None:
        results = session.apply(method, sources, "green hair", batch=16)
        assert len(results) == 48

    def used(work: Any, *arguments: Any) -> float:
        began = time.process_time()
        work(*arguments)
        return time.process_time() - began

    bare(), edited()
    # Processor time, and the least of several: other work on the machine slows single runs.
    rendering = min(used(bare) for _ in range(5))
    assert min(used(edited) for _ in range(5)) <= 1.3 * rendering
    # Source and edit are rendered, and both are told apart into parts.
    assert min(used(edited, confined) for _ in range(5)) <= 5.0 * rendering
