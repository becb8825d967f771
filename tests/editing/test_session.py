"""The facade: sampling, inverting, editing, saving and making an edit again, on the tiny pack."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from cfclip import (
    EditResult,
    InputError,
    LatentOptimisationConfig,
    PackError,
    ProjectionConfig,
    Session,
    rerun,
)
from cfclip.editing import parse_sample_spec
from cfclip.editing.latent_sources import latents_of
from cfclip.editing.results import edit_results
from cfclip.editors import EditRequest, LatentOptimisation
from cfclip.provenance import image_sha256
from cfclip.tensors import pil_from_signed

PROMPT = "green hair"
SHORT = {"steps": 2}


@pytest.fixture(scope="module")
def session(tiny_pack: Path) -> Session:
    return Session.open(tiny_pack)


@pytest.fixture(scope="module")
def edited(session: Session) -> EditResult:
    return session.edit("sample:1", PROMPT)


@pytest.fixture
def picture(session: Session, tmp_path: Path) -> Path:
    path = tmp_path / "me.png"
    session.sample(1, seed=5)[0].image.resize((48, 40)).save(path)
    return path


def pixels(image: Image.Image) -> bytes:
    return image.convert("RGB").tobytes()


# Sampling


def test_samples_do_not_depend_on_their_number(session: Session) -> None:
    several = session.sample(3, seed=4)
    alone = session.sample(1, seed=5)[0]
    assert torch.equal(several[1].latents, alone.latents)
    assert pixels(several[1].image) == pixels(alone.image)
    assert [source.name for source in several] == ["sample-4", "sample-5", "sample-6"]


def test_samples_differ_by_seed_and_truncation(session: Session) -> None:
    one, other = session.sample(2, seed=1)
    near = session.sample(1, seed=1, truncation_psi=0.1)[0]
    assert not torch.equal(one.latents, other.latents)
    mean = session.generator.w_avg
    assert (near.latents - mean).norm() < (one.latents - mean).norm()


def test_work_leaves_the_global_random_state_alone(session: Session, edited: EditResult) -> None:
    before = torch.get_rng_state()
    session.sample(2, seed=3)
    session.edit("sample:3", PROMPT, **SHORT)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    "arguments", [(0, 0), (1, -1), (1, 2**63), (1, 0, -0.1), (1, 0, 1.5), (1, 0, float("nan"))]
)
def test_samples_out_of_limits(session: Session, arguments: tuple[int, int]) -> None:
    with pytest.raises(InputError):
        session.sample(*arguments)


@pytest.mark.parametrize("spec", ["sample:", "sample:a", "sample:-1", "sample:5-3", "sample:1-2-3"])
def test_malformed_sample_specs(session: Session, spec: str) -> None:
    with pytest.raises(InputError, match="sample"):
        session.edit(spec, PROMPT)


def test_several_samples_are_no_single_picture(session: Session) -> None:
    assert len(parse_sample_spec("sample:1-3")) == 3
    with pytest.raises(InputError, match="several"):
        session.invert("sample:1-3")


# Inversion


def test_inversion_of_a_file(session: Session, picture: Path) -> None:
    source = session.invert(picture)
    assert source.image.size == source.reconstruction.size == (32, 32)
    assert source.latents.shape == (session.generator.num_ws, session.generator.w_dim)
    assert source.name == "me"
    assert source.psnr is not None
    assert any("could not be reproduced" in warning for warning in source.warnings)


def test_inversion_takes_the_given_settings(session: Session, picture: Path) -> None:
    seen: list[int] = []
    config = ProjectionConfig(steps=1, warn_below_psnr=0.0)
    source = session.invert(picture, config, lambda step: seen.append(step.step))
    assert seen == [0, 1]
    assert source.warnings == ()
    assert source.inversion is not None
    assert source.inversion["settings"]["steps"] == 1


def test_inversion_in_a_batch_is_that_of_each(session: Session, picture: Path) -> None:
    batch = session.invert([picture, "sample:2", picture])
    alone = session.invert(picture)
    assert torch.equal(batch[2].latents, alone.latents)
    assert batch[1].psnr is None


def test_inversion_of_pixels_is_that_of_their_file(session: Session, picture: Path) -> None:
    with Image.open(picture) as opened:
        opened.load()
    assert torch.equal(session.invert(opened).latents, session.invert(picture).latents)


# Editing


def test_an_edit_changes_the_picture_and_tells_all(session: Session, edited: EditResult) -> None:
    assert edited.image.size == (32, 32)
    assert pixels(edited.image) != pixels(edited.source)
    assert edited.source is edited.reconstruction  # a sample is exact
    assert edited.offset.shape == edited.latents.shape
    assert edited.steps == 3  # the pack's default
    assert set(edited.history) == {"clip_nce", "latent_l2", "total"}
    assert all(len(values) == edited.steps + 1 for values in edited.history.values())
    assert edited.warnings == ()
    assert edited.prompts == (PROMPT,)


def test_the_same_edit_again_is_the_same(session: Session, edited: EditResult) -> None:
    again = session.edit("sample:1", PROMPT)
    other = session.edit("sample:1", PROMPT, seed=1)
    assert pixels(again.image) == pixels(edited.image)
    assert torch.equal(again.offset, edited.offset)
    assert not torch.equal(other.offset, edited.offset)


def test_strength_renders_without_optimising(session: Session, edited: EditResult) -> None:
    before = session.embedder.image_calls
    assert pixels(edited.at_strength(0).image) == pixels(edited.reconstruction)
    assert pixels(edited.at_strength(1).image) == pixels(edited.image)
    weak = edited.at_strength(0.5)
    assert (weak.strength, edited.strength) == (0.5, 1.0)
    assert pixels(weak.image) not in (pixels(edited.image), pixels(edited.source))
    assert session.embedder.image_calls == before
    with pytest.raises(InputError, match="strength"):
        edited.at_strength(float("nan"))


def test_a_batch_is_edited_like_each_alone(session: Session, edited: EditResult) -> None:
    batch = session.edit(["sample:0", "sample:1"], PROMPT)
    # Adam makes more of the last bits that a batch decides.
    assert torch.allclose(batch[1].offset, edited.offset, atol=1e-3)
    assert batch[1].record["batch"] == 2


def test_every_kind_of_image(session: Session, edited: EditResult, picture: Path) -> None:
    source = session.sample(1, seed=1)[0]
    from_source = session.edit(source, PROMPT)
    from_latents = session.edit(source.latents, PROMPT)
    assert torch.equal(from_source.offset, edited.offset)
    assert torch.equal(from_latents.offset, edited.offset)
    with Image.open(picture) as opened:
        opened.load()
    mixed = session.edit([opened, source, str(picture)], PROMPT, **SHORT)
    assert torch.allclose(mixed[0].latents, mixed[2].latents, atol=1e-5)


@pytest.mark.parametrize("image", [3, None, b"x", ["sample:1", 4]])
def test_other_kinds_are_refused(session: Session, image: object) -> None:
    with pytest.raises(InputError, match="cannot edit"):
        session.edit(image if isinstance(image, list) else [image], PROMPT)  # type: ignore[list-item]


def test_no_image_no_text(session: Session) -> None:
    with pytest.raises(InputError, match="no images"):
        session.edit([], PROMPT)
    with pytest.raises(InputError, match="no images"):
        session.invert([])
    with pytest.raises(InputError, match="no text"):
        session.edit("sample:1", [])


@pytest.mark.parametrize("text", ["", "  ", "x" * 10_000, "a\x00b"])
def test_unusable_prompts(session: Session, text: str) -> None:
    with pytest.raises(InputError):
        session.edit("sample:1", text)


def test_unknown_words_are_a_warning(session: Session) -> None:
    result = session.edit("sample:1", ["grean hair", "a zebra"], **SHORT)
    (warning,) = result.warnings
    assert "'grean' (nearest: green" in warning
    assert "'zebra'" in warning
    assert result.prompts == ("grean hair", "a zebra")


@pytest.mark.parametrize(
    "settings",
    [
        {"stepz": 3},
        {"steps": 0},
        {"steps": "3"},
        {"steps": 2.5},
        {"layers": "0-99"},
        {"objective": "magic"},
        {"seed": -1},
        {"seed": 1.5},
        {"source_text": ""},
    ],
)
def test_settings_are_checked(session: Session, settings: dict[str, object]) -> None:
    with pytest.raises(InputError):
        session.edit("sample:1", PROMPT, **settings)  # type: ignore[call-overload]


def test_settings_reach_the_edit(session: Session) -> None:
    result = session.edit("sample:1", PROMPT, steps=1, layers="0-1", lr=1, strength=2.0)
    assert result.steps == 1
    assert result.offset[2:].abs().max() == 0
    assert result.strength == 2.0
    assert result.record["settings"]["lr"] == 1.0


def test_a_bare_prompt_is_embedded_without_templates(tiny_pack: Path, tmp_path: Path) -> None:
    session = Session.open(tiny_pack)
    result = session.edit("sample:1", PROMPT, bare_prompt=True, steps=1)
    assert session.embedder.text_calls == 2  # with the source text; the check embeds nothing more
    record = result.save(tmp_path).record
    assert rerun(record, pack=tiny_pack).identical


def test_a_callback_stops_the_edit(session: Session) -> None:
    result = session.edit("sample:1", PROMPT, steps=9, callback=lambda progress: progress.step < 2)
    assert result.steps == 2
    assert not result.interrupted
    assert "stopped after 2 steps" in result.warnings[-1]


def test_interruption_keeps_the_last_good_result(session: Session) -> None:
    def press_ctrl_c(progress: object) -> None:
        if progress.step == 2:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    result = session.edit("sample:1", PROMPT, steps=9, callback=press_ctrl_c)
    stopped = session.edit("sample:1", PROMPT, steps=9, callback=lambda p: p.step < 2)
    assert result.interrupted
    assert pixels(result.image) == pixels(stopped.image)
    assert "interrupted" in result.warnings[-1]


def test_interrupting_an_inversion_raises(session: Session, picture: Path) -> None:
    def press_ctrl_c(step: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.invert(picture, callback=press_ctrl_c)


def test_a_mask_confines_the_edit(session: Session, tmp_path: Path) -> None:
    mask = Image.new("L", (32, 32), 0)
    mask.paste(255, (0, 0, 16, 32))
    mask.save(tmp_path / "mask.png")
    by_file = session.edit("sample:1", PROMPT, mask=tmp_path / "mask.png")
    by_image = session.edit("sample:1", PROMPT, mask=mask)
    right = (16, 0, 32, 32)
    assert pixels(by_file.image.crop(right)) == pixels(by_file.source.crop(right))
    assert pixels(by_file.image) != pixels(by_file.source)
    assert pixels(by_file.image) == pixels(by_image.image)
    with pytest.raises(InputError, match="black"):
        session.edit("sample:1", PROMPT, mask=Image.new("L", (32, 32), 0))


def test_a_mask_is_black_where_it_is_transparent(session: Session) -> None:
    mask = Image.new("L", (32, 32), 0)
    mask.paste(255, (0, 0, 16, 32))
    painted = Image.new("RGBA", (32, 32), (255, 255, 255, 0))
    painted.paste((255, 255, 255, 255), (0, 0, 16, 32))
    made = [session.edit("sample:1", PROMPT, mask=each) for each in (mask, painted)]
    assert pixels(made[0].image) == pixels(made[1].image)
    assert "they are shown black" in " ".join(made[1].warnings)


def test_nameless_sources_of_one_batch_have_names_of_their_own(session: Session) -> None:
    images = [source.image for source in session.sample(2, seed=1)]
    latents = [source.latents for source in session.sample(2, seed=1)]
    names = [result.name for result in session.edit([*images, *latents], PROMPT, **SHORT)]
    assert len(set(names)) == len(names)


def test_each_picture_of_a_batch_keeps_its_own_mask(session: Session) -> None:
    sources = session.sample(2, seed=1)
    request = EditRequest(
        latents=torch.stack([source.latents for source in sources]),
        prompts=(PROMPT,),
        source_text="an avatar",
        templates=("{}",),
        mask=torch.stack([torch.zeros(1, 32, 32), torch.ones(1, 32, 32)]),
    )
    config = LatentOptimisationConfig(**SHORT)
    edit = LatentOptimisation(session.generator, session.embedder, config).edit(request)
    before = pil_from_signed(edit.source_images)
    facts = {"prompts": [PROMPT]}
    first, second = edit_results(edit, sources, facts, ())
    assert pixels(first.image) == pixels(before[0])
    assert pixels(second.image) != pixels(before[1])


# Opening


def test_unknown_packs_and_devices(tiny_pack: Path) -> None:
    with pytest.raises(PackError, match="unknown pack 'nonesuch'"):
        Session.open("nonesuch")
    for device in ("gpu", "meta", "cuda:99"):
        with pytest.raises(InputError, match="device"):
            Session.open(tiny_pack, device=device)


def test_pack_without_an_encoder(tiny_pack_copy: Path, picture: Path) -> None:
    from cfclip.packs import ENCODER_FILE, MANIFEST_FILE, assemble_pack, read_manifest

    (tiny_pack_copy / ENCODER_FILE).unlink()
    assemble_pack(tiny_pack_copy, read_manifest(tiny_pack_copy / MANIFEST_FILE))
    assert Session.open(tiny_pack_copy).invert(picture).psnr is not None


def test_defaults_of_a_pack_that_do_not_fit(tiny_pack_copy: Path) -> None:
    manifest = tiny_pack_copy / "pack.toml"
    manifest.write_text(manifest.read_text().replace("steps = 3", "stepz = 3", 1))
    with pytest.raises(PackError, match=r"defaults of pack 'tiny'.*stepz"):
        Session.open(tiny_pack_copy).edit("sample:1", PROMPT)


# Saving


def test_save_writes_image_strip_and_record(edited: EditResult, tmp_path: Path) -> None:
    files = edited.save(tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {p.name for p in files.all}
    assert files.record.name == "sample-1_green-hair.json"
    with Image.open(files.images[0]) as image:
        assert pixels(image) == pixels(edited.image)
    record = json.loads(files.record.read_text())
    assert record["outputs"][0]["pixels_sha256"] == image_sha256(edited.image)
    assert record["settings"]["steps"] == 3
    assert record["loss"]["total"] == record["history"]["total"][-1]


def test_save_never_replaces(edited: EditResult, tmp_path: Path) -> None:
    (tmp_path / "sample-1_green-hair_strip.png").write_text("mine")
    with pytest.raises(InputError, match="exists"):
        edited.save(tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
    edited.save(tmp_path, overwrite=True)
    with pytest.raises(InputError, match="name"):
        edited.save(tmp_path, name="../outside")


def test_save_to_what_is_no_folder(edited: EditResult, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write"):
        edited.save(tmp_path / "file")


# Again


def test_rerun_of_a_file_source_is_identical(
    session: Session, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(session.pack.folder.parent))
    result = session.edit(picture, PROMPT, 3, mask=picture, strength=1.5, source_text="a face")
    record = result.save(tmp_path, strengths=[0.5, 1.5]).record
    again = rerun(record)
    assert again.identical
    assert again.strengths == (0.5, 1.5)
    assert again.differences == ()
    assert pixels(again.result.image) == pixels(result.image)

    moved = picture.rename(tmp_path / "moved.png")
    with pytest.raises(InputError, match="--image"):
        rerun(record)
    assert rerun(record, image=moved, mask=moved).identical

    Image.new("RGB", (32, 32)).save(moved)
    with pytest.raises(InputError, match="not the image of the record"):
        rerun(record, image=moved, mask=moved)


def test_rerun_of_pixels_latents_and_stopped_edits(
    session: Session, picture: Path, tmp_path: Path
) -> None:
    pack = session.pack.folder
    with Image.open(picture) as opened:
        opened.load()
    record = session.edit(opened, PROMPT, **SHORT).save(tmp_path / "pixels").record
    with pytest.raises(InputError, match="without a file"):
        rerun(record, pack=pack)
    assert rerun(record, pack=pack, image=picture).identical

    latents = session.sample(1, seed=8)[0].latents
    record = session.edit(latents, PROMPT, **SHORT).save(tmp_path / "latents").record
    assert rerun(record, pack=pack).identical

    stopped = session.edit("sample:1", PROMPT, steps=9, callback=lambda p: p.step < 2)
    again = rerun(stopped.save(tmp_path / "stopped").record, pack=pack)
    assert again.identical
    assert again.result.steps == 2


def test_rerun_refuses_another_pack(edited: EditResult, tiny_pack_copy: Path) -> None:
    manifest = tiny_pack_copy / "pack.toml"
    manifest.write_text(manifest.read_text().replace('version = "1"', 'version = "2"'))
    record = edited.save(tiny_pack_copy.parent / "out").record
    with pytest.raises(PackError, match=r"not the one of the record \(other pack.toml\)"):
        rerun(record, pack=tiny_pack_copy)


def test_rerun_refuses_what_is_no_record(edited: EditResult, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    for text in ("", "{", "[]", "{}", '{"kind": "edit"}', '{"kind": "edit", "format": 1}'):
        path.write_text(text)
        with pytest.raises(InputError):
            rerun(path)
    with pytest.raises(InputError, match="cannot read"):
        rerun(tmp_path / "nonesuch.json")
    good = json.loads(edited.save(tmp_path / "out").record.read_text())
    for name in good:
        if name in ("versions", "loss", "history", "warnings", "seconds", "stop_reason", "strip"):
            continue
        # Older records lack these.
        if name in ("interrupted", "text_map", "method", "files", "confined_to"):
            continue
        with pytest.raises(InputError):
            rerun({key: value for key, value in good.items() if key != name})
    with pytest.raises(InputError, match="format 2"):
        rerun({**good, "format": 2})


def test_damaged_latents_of_a_record() -> None:
    for entry in ({"float32": "AA", "shape": [1, 1]}, {"float32": "AAAAAA==", "shape": [2, 2]}):
        with pytest.raises(InputError, match="damaged"):
            latents_of(entry)
