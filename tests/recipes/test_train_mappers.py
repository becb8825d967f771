"""The mappers that the page of results compares."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cfclip.apps.cli import parse
from cfclip.apps.train import Train
from cfclip.errors import InputError
from cfclip_benchmark import read_variants
from recipes.avatars.train_mappers import TrainMappers, trainings

RECIPE = Path(__file__).parents[2] / "recipes" / "avatars"


def test_the_runs_that_variants_name_are_trained() -> None:
    names = [each.name for each in trainings()]
    assert len(set(names)) == len(names)
    for file in ("single_mappers.toml", "mapper_ablations.toml"):
        for variant in read_variants(RECIPE / file):
            for path in variant.files:
                assert any(Path("runs", name).is_relative_to(path) for name in names)


def test_every_training_is_understood_and_differs_from_the_others() -> None:
    commands = [TrainMappers().command(each) for each in trainings()]
    understood = [parse(command) for command in commands]
    assert all(isinstance(each, Train) for each in understood)
    assert len({repr(each) for each in understood}) == len(commands)


def test_a_mapper_is_trained_and_goes_on(tiny_pack: Path, tmp_path: Path) -> None:
    train = TrainMappers(tmp_path, ("single/green-hair",), steps=2, pack=str(tiny_pack))
    (tmp_path / "single" / "green-hair").mkdir(parents=True)  # as one that was stopped at once
    train.run()
    made = load_file(tmp_path / "single" / "green-hair" / "last.safetensors")
    train.run()  # has nothing left to do
    again = load_file(tmp_path / "single" / "green-hair" / "last.safetensors")
    assert all(torch.equal(again[name], weights) for name, weights in made.items())
    log = (tmp_path / "single" / "green-hair" / "log.jsonl").read_text()
    assert log.count('"validation"') == 1


def test_what_cannot_be_trained_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no mapper 'other'; known are validation, styleclip"):
        TrainMappers(only=("other",)).run()
    with pytest.raises(SystemExit, match="2"):
        TrainMappers(tmp_path, ("all",), pack="nonesuch").run()
