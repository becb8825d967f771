"""`python -m recipes.avatars <command> [options]`: the steps that make the shipped pack."""

import logging
import sys
from importlib import import_module

import tyro

from cfclip.errors import CfclipError

# Command -> where its options live: a frozen dataclass with a `run` method, imported only when
# the command is asked for.
COMMANDS: dict[str, str] = {
    "render": "recipes.avatars.render_command:Render",
    "train-probes": "recipes.avatars.train_probes:TrainProbes",
    "train-clip": "recipes.avatars.train_clip:TrainClip",
    "average-clips": "recipes.avatars.average_clips:AverageClips",
    "train-generator": "recipes.avatars.train_generator:TrainGenerator",
    "train-encoder": "recipes.avatars.train_encoder:TrainEncoder",
    "evaluate": "recipes.avatars.evaluate:Evaluate",
    "measure-starts": "recipes.avatars.measure_starts:MeasureStarts",
    "measure-training": "recipes.avatars.measure_training:MeasureTraining",
    "train-mappers": "recipes.avatars.train_mappers:TrainMappers",
    "publish-results": "recipes.avatars.publish_results:PublishResults",
    "page": "recipes.avatars.edit_sheet:Page",
    "assemble": "recipes.avatars.assemble:Assemble",
    "fit-text-map": "recipes.avatars.fit_avatar_text_map:FitTextMap",
}


def main(arguments: list[str] | None = None) -> None:
    """Runs the command named by the first argument with the options that follow it."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] not in COMMANDS:
        commands = ", ".join(COMMANDS)
        print(f"usage: python -m recipes.avatars <command> [--help]\ncommands: {commands}")
        raise SystemExit(0 if given in (["-h"], ["--help"]) else 2)
    module, _, name = COMMANDS[given[0]].partition(":")
    options = getattr(import_module(module), name)
    command = tyro.cli(options, args=given[1:], prog=f"python -m recipes.avatars {given[0]}")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        command.run()
    except (CfclipError, FileNotFoundError) as error:
        print(f"{given[0]}: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
