"""The training of a text mapper on tiny models: what is learnt, kept, resumed and refused."""

import json
import math
import resource
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from full_disk import room_for
from tiny_models import TEMPLATES, tiny_generator
from tiny_training import (
    TASK,
    PowerCut,
    assert_same,
    assert_same_mappers,
    cut_after,
    stop_after,
    tensors_of,
    text_features,
    tiny_config,
    tiny_run,
    tiny_trainer,
)

from cfclip.editors import (
    BEST,
    LAST,
    EditTexts,
    TextMapperConfig,
    load_text_mapper,
    mapper_file,
    text_mapper_metadata,
)
from cfclip.errors import CheckpointError, InputError, TrainingError
from cfclip.optim import Progress
from cfclip.training import CHECKPOINT, LOG, board, sampled_latents
from cfclip.training.initial import new_mapper
from cfclip.training.mapper_objective import TOTAL
from cfclip.training.trainer import GRADIENT, MapperTrainer, train


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MapperTrainer]:
    """A run that was never stopped, and its folder."""
    out = tmp_path_factory.mktemp("whole")
    return out, tiny_run(out)


# What is trained


@pytest.mark.parametrize("optimizer", ["ranger", "adamw"])
def test_training_lowers_the_validation_loss(tmp_path: Path, optimizer: str) -> None:
    before = tiny_trainer().validate().terms[TOTAL]
    # Few steps, and so long ones.
    lr = 30.0 if optimizer == "ranger" else 1.0
    trainer = tiny_run(tmp_path, steps=30, optimizer=optimizer, lr=lr, average=0.5)
    assert trainer.validate().terms[TOTAL] < before


def test_only_the_mapper_changes(whole: tuple[Path, MapperTrainer]) -> None:
    _, trainer = whole
    assert all(p.grad is not None for p in trainer.mapper.parameters())
    frozen = (trainer.objective._generator, trainer.objective._embedder, trainer.averaged)
    assert not any(p.requires_grad or p.grad is not None for m in frozen for p in m.parameters())
    for found, first in zip(
        trainer.mapper.state_dict().values(),
        tiny_trainer().mapper.state_dict().values(),
        strict=True,
    ):
        assert not torch.equal(found, first)


def test_global_random_state_stays(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    tiny_run(tmp_path, steps=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_seeds_decide_the_weights() -> None:
    shape = TextMapperConfig(num_ws=6, w_dim=16, text_dim=16)
    first = new_mapper(shape, 0).state_dict()
    again = new_mapper(shape, 0).state_dict()
    other = new_mapper(shape, 1).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["fusion.weight"], other["fusion.weight"])


def test_prompts_take_turns_and_latents_are_drawn() -> None:
    task = EditTexts(prompts=("a", "b", "c", "d"), source_text="a face", templates=TEMPLATES)
    trainer = tiny_trainer(task, batch=3)
    turns = Counter(p for step in range(8) for p in trainer.batch(step)[1].tolist())
    assert turns == {0: 6, 1: 6, 2: 6, 3: 6}
    latents, *_ = trainer.batch(0)
    assert latents.shape == (3, 6, 16)
    known = {row.numpy().tobytes() for row in trainer.latents.training[:, 0]}
    drawn = {w.numpy().tobytes() for step in range(8) for w in trainer.batch(step)[0][:, 0]}
    assert drawn <= known
    assert len(drawn) > 8
    assert torch.equal(trainer.batch(5)[0], trainer.batch(5)[0])


def test_text_codes_are_computed_once_for_prompts_that_are_shared() -> None:
    trainer = tiny_trainer(batch=6)
    seen: list[int] = []
    network = next(iter(trainer.mapper.text_mappers.values()))
    network.register_forward_hook(lambda _, inputs, output: seen.append(len(inputs[0])))
    trainer.compute_gradients(0)
    assert seen == [2]


def test_encoders_are_called_as_often_as_needed(tmp_path: Path) -> None:
    trainer = tiny_trainer(steps=3, validate_every=3, batch=3, augmentations=2, validation=4)
    embedder = trainer.objective._embedder
    texts = embedder.text_calls
    train(trainer, tmp_path, {})
    assert embedder.text_calls == texts  # all of them were embedded before the first step
    # Each source once, each edit in two perspectives: three steps and one validation.
    assert embedder.image_calls == 3 * (3 + 2 * 3) + (4 + 2 * 4)


def test_long_gradients_are_cut() -> None:
    trainer = tiny_trainer(max_gradient=1e-5)
    length = trainer.compute_gradients(0)[GRADIENT]
    assert length > 1e-5  # as it was
    cut = torch.stack([p.grad.norm() for p in trainer.mapper.parameters() if p.grad is not None])
    assert float(cut.norm()) == pytest.approx(1e-5, rel=1e-2)
    free = tiny_trainer(max_gradient=0.0)
    free.compute_gradients(0)
    norms = torch.stack([p.grad.norm() for p in free.mapper.parameters() if p.grad is not None])
    assert float(norms.norm()) == pytest.approx(length, rel=1e-4)


def test_validation_is_the_same_each_time_and_only_looks() -> None:
    trainer = tiny_trainer(validation=20)  # more than one batch of them
    before = [value.clone() for value in tensors_of(trainer)]
    first, second = trainer.validate(), trainer.validate()
    assert first.terms == second.terms
    assert first.sources.shape == first.edited.shape == (8, 3, 16, 16)
    assert first.prompts[:3] == ("green hair", "blue skin", "green hair")
    assert all(torch.equal(a, b) for a, b in zip(tensors_of(trainer), before, strict=True))


def test_validation_does_not_depend_on_how_many_are_rendered_at_a_time() -> None:
    whole, parts = tiny_trainer(validation=20), tiny_trainer(validation=20)
    parts._at_once = 3  # as for pictures that are much larger
    first, second = whole.validate(), parts.validate()
    assert second.terms == pytest.approx(first.terms, rel=1e-4)
    assert second.prompts == first.prompts
    torch.testing.assert_close(second.edited, first.edited)
    torch.testing.assert_close(second.sources, first.sources)


def test_gradients_do_not_depend_on_how_many_are_taken_at_a_time() -> None:
    whole, parts = tiny_trainer(batch=4), tiny_trainer(batch=4)
    parts._at_once = 3
    assert parts.compute_gradients(0) == pytest.approx(whole.compute_gradients(0), rel=1e-4)
    for one, other in zip(whole.mapper.parameters(), parts.mapper.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad, rtol=1e-3, atol=1e-6)


def test_a_fast_training_is_near_the_exact_one() -> None:
    # Of a mapper that has not learnt, the change that other objectives look at is mere rounding.
    exact = tiny_trainer(objective="global")
    fast = tiny_trainer(precision="bfloat16", objective="global")
    one, other = exact.compute_gradients(0), fast.compute_gradients(0)
    assert other[TOTAL] == pytest.approx(one[TOTAL], rel=0.02)
    assert other[TOTAL] != one[TOTAL]
    gradients = [each.grad for each in fast.mapper.parameters() if each.grad is not None]
    assert {each.dtype for each in gradients} == {torch.float32}


def test_groups_that_are_off_are_not_edited(tmp_path: Path) -> None:
    trainer = tiny_run(tmp_path, steps=1, groups=("coarse",))
    latents, *_ = trainer.batch(0)
    edited = trainer.averaged.edit(latents, text_features(trainer)[0])
    assert torch.equal(edited[:, 4:], latents[:, 4:])
    assert not torch.equal(edited[:, :4], latents[:, :4])
    with pytest.raises(InputError, match="a generator with num_ws 6 has coarse, medium"):
        tiny_trainer(groups=("fine",))


# What is written


def test_a_run_leaves_its_best_and_its_last_mapper(whole: tuple[Path, MapperTrainer]) -> None:
    out, trainer = whole
    names = {path.name for path in out.iterdir()}
    assert names == {CHECKPOINT, BEST, LAST, LOG, board.FOLDER}
    last = load_text_mapper(out / LAST)
    for name, value in last.state_dict().items():
        assert torch.equal(value, trainer.average.values[name])
    about = text_mapper_metadata(out / BEST)
    assert about["step"] == trainer.best.step
    assert about["validation"] == trainer.best.loss
    assert text_mapper_metadata(out / LAST)["step"] == 6
    assert mapper_file(out) == out / BEST
    row = json.loads((out / LOG).read_text().splitlines()[-1])
    assert {"clip_nce", "latent_l2", TOTAL, GRADIENT, "validation"} < set(row)
    assert list((out / board.FOLDER).iterdir())


def test_the_best_is_only_replaced_by_a_better_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = tiny_trainer(steps=4, validate_every=1)
    losses = iter([3.0, 1.0, 2.0, 1.0])
    validate = trainer.validate

    def pretend() -> object:
        found = validate()
        found.terms[TOTAL] = next(losses)
        return found

    monkeypatch.setattr(trainer, "validate", pretend)
    outcome = train(trainer, tmp_path, {})
    assert (outcome.best_step, outcome.best_loss) == (2, 1.0)
    assert text_mapper_metadata(tmp_path / BEST)["step"] == 2


def test_curves_are_optional(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    trainer = tiny_trainer(steps=1)
    outcome = train(trainer, tmp_path, {})
    assert not outcome.curves
    assert outcome.finished
    assert not (tmp_path / board.FOLDER).exists()


# Stopping and going on


@pytest.mark.parametrize("optimizer", ["ranger", "adamw"])
def test_a_stopped_run_resumes_bit_for_bit(tmp_path: Path, optimizer: str) -> None:
    options = {"optimizer": optimizer, "steps": 9, "weight_decay": 0.01}
    expected = tiny_run(tmp_path / "whole", **options)
    for step in (2, 3, 7):  # before, at and after a validation
        tiny_run(tmp_path / "stopped", stop_after(step), **options)
    found = tiny_run(tmp_path / "stopped", **options)
    assert_same(found, expected)
    assert_same_mappers(tmp_path / "stopped", tmp_path / "whole")


def test_a_power_cut_is_made_good(tmp_path: Path, whole: tuple[Path, MapperTrainer]) -> None:
    with pytest.raises(PowerCut):
        tiny_run(tmp_path, cut_after(5), checkpoint_seconds=0.0)
    found = tiny_run(tmp_path)
    assert_same(found, whole[1])
    assert_same_mappers(tmp_path, whole[0])


def test_a_stopped_run_has_a_mapper_too(tmp_path: Path) -> None:
    tiny_run(tmp_path, stop_after(2))
    assert text_mapper_metadata(mapper_file(tmp_path))["step"] == 2
    assert mapper_file(tmp_path) == tmp_path / LAST


def test_other_settings_are_refused(tmp_path: Path) -> None:
    tiny_run(tmp_path, stop_after(2))
    with pytest.raises(CheckpointError, match=r"\(lr None, now 0.1\)"):
        tiny_run(tmp_path, lr=0.1)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    def spoil(progress: Progress) -> None:
        if progress.step == 2:
            with torch.no_grad():
                trainer.mapper.fusion.bias.fill_(torch.nan)

    trainer = tiny_trainer()
    with pytest.raises(TrainingError, match=r"became nan at step 2 .*last good checkpoint is kept"):
        train(trainer, tmp_path, {}, callback=spoil, checkpoint_seconds=0.0)
    resumed = tiny_trainer()
    train(resumed, tmp_path, {})
    assert all(bool(torch.isfinite(value).all()) for value in tensors_of(resumed))


def test_a_gradient_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    trainer = tiny_trainer()
    before = [value.clone() for value in tensors_of(trainer)]
    trainer.mapper.fusion.weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(TrainingError, match=r"gradient became (nan|inf) at step 0"):
        train(trainer, tmp_path, {})
    assert all(torch.equal(a, b) for a, b in zip(tensors_of(trainer), before, strict=True))


def test_a_disk_that_fills_up_keeps_what_was_there(
    tmp_path: Path, whole: tuple[Path, MapperTrainer]
) -> None:
    tiny_run(tmp_path, stop_after(3))
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with room_for(len(kept[CHECKPOINT]) // 2), pytest.raises(TrainingError, match="cannot write"):
        tiny_run(tmp_path, checkpoint_seconds=0.0)
    assert (tmp_path / CHECKPOINT).read_bytes() == kept[CHECKPOINT]
    assert_same(tiny_run(tmp_path), whole[1])


def test_a_disk_too_full_for_anything_is_told_before_the_first_step(tmp_path: Path) -> None:
    with room_for(1000), pytest.raises(TrainingError, match=CHECKPOINT):
        tiny_run(tmp_path, lambda progress: pytest.fail("a step was made"))


def test_a_disk_too_full_for_the_best_mapper_keeps_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_run(tmp_path, stop_after(4))
    before = (tmp_path / BEST).read_bytes()
    trainer = tiny_trainer()
    improves = trainer.best.improves

    def improves_on_a_full_disk(loss: float, step: int) -> bool:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        return improves(-1.0, step)

    monkeypatch.setattr(trainer.best, "improves", improves_on_a_full_disk)
    with room_for(10**9), pytest.raises(TrainingError, match=f"cannot write .*{BEST}"):
        train(trainer, tmp_path, {"settings": {}})
    assert (tmp_path / BEST).read_bytes() == before


# Going on from another mapper


def test_a_training_can_start_from_an_earlier_one(whole: tuple[Path, MapperTrainer]) -> None:
    start = load_text_mapper(whole[0] / LAST)
    more = EditTexts(prompts=(*TASK.prompts, "a smile"), source_text="a face", templates=TEMPLATES)
    trainer = tiny_trainer(more, start, steps=2)
    for name, value in start.state_dict().items():
        assert torch.equal(trainer.mapper.state_dict()[name], value)
    trainer.compute_gradients(0)
    trainer.update(0)
    assert not any(parameter.requires_grad for parameter in start.parameters())
    # What it knew it still knows before it has learnt anything new.
    assert trainer.batch(0)[1].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"num_ws": 8}, "num_ws 8, expected 6"),
        ({"w_dim": 8}, "w_dim 8, expected 16"),
        ({"text_dim": 8}, "text_dim 8, expected 16"),
        ({"groups": ("coarse",)}, "groups"),
    ],
)
def test_a_start_of_other_sizes_is_refused(changes: dict[str, object], name: str) -> None:
    shape = {"num_ws": 6, "w_dim": 16, "text_dim": 16, **changes}
    with pytest.raises(InputError, match=f"the mapper to start from has {name}"):
        tiny_trainer(start=new_mapper(TextMapperConfig(**shape), 0))  # type: ignore[arg-type]


def test_latents_of_all_layers_are_trained_on_as_they_are() -> None:
    generator, config = tiny_generator(), tiny_config()
    sets = sampled_latents(generator, config)
    wide = type(sets)(
        sets.training.expand(-1, 6, -1).clone(), sets.validation.expand(-1, 6, -1), "x"
    )
    trainer = tiny_trainer()
    expected = trainer.compute_gradients(0)
    trainer.latents = wide
    assert trainer.compute_gradients(0) == expected


def test_an_extension_that_is_stopped_goes_on_bit_for_bit(tmp_path: Path) -> None:
    for name, stop in (("whole", 12), ("stopped", 8)):
        tiny_run(tmp_path / name, steps=6)
        tiny_run(tmp_path / name, stop_after(stop), steps=12)
    found, expected = (tiny_run(tmp_path / name, steps=12) for name in ("stopped", "whole"))
    assert_same(found, expected)
    assert_same_mappers(tmp_path / "stopped", tmp_path / "whole")
    assert found.schedule.extended == (6,)
