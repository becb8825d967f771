"""The `cfclip` command: one table of subcommands, whose options are generated from dataclasses."""

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from typing import Annotated, Any, Protocol, Union

import tyro

from cfclip.apps.apply import Apply
from cfclip.apps.batch import Batch
from cfclip.apps.bench import Bench
from cfclip.apps.console import Console, logs_told, silence_pillow, told_plainly
from cfclip.apps.convert import Convert
from cfclip.apps.doctor import Doctor
from cfclip.apps.edit import Edit, Rerun
from cfclip.apps.fit_global_directions import FitGlobalDirections
from cfclip.apps.fit_text_map import FitTextMap
from cfclip.apps.grid import Grid
from cfclip.apps.inspect import Inspect
from cfclip.apps.options import (
    BROKEN_PIPE,
    FAILED,
    INTERRUPTED,
    OK,
    pack_in,
    pack_settings,
    training_in,
)
from cfclip.apps.packs import Packs
from cfclip.apps.pictures import Invert, Sample
from cfclip.apps.texts import without_dashes
from cfclip.apps.train import Train
from cfclip.apps.tune import Tune
from cfclip.apps.web.command import Web
from cfclip.embedders.hub import check_hub_address
from cfclip.errors import (
    MEMORY_REMEDY,
    CfclipError,
    InputError,
    out_of_memory,
    reason_of,
    short_place,
    shown,
)
from cfclip.training.launch import Launch
from cfclip.training.training_config import TrainingConfig


class Command(Protocol):
    """A parsed subcommand."""

    def run(self) -> int:
        """Do it; returns the exit status."""


COMMANDS: dict[str, type[Command]] = {
    "edit": Edit,
    "sample": Sample,
    "invert": Invert,
    "packs": Packs,
    "rerun": Rerun,
    "fit-text-map": FitTextMap,
    "fit-global-directions": FitGlobalDirections,
    "train": Train,
    "apply": Apply,
    "batch": Batch,
    "web": Web,
    "bench": Bench,
    "tune": Tune,
    "convert": Convert,
    "grid": Grid,
    "inspect": Inspect,
    "doctor": Doctor,
}

ALIASES = {"pack": "packs"}
"""Other names of commands, for whoever speaks of one pack."""

_OF_TWO_WORDS = {"packs", "grid"}
"""Commands of which the second word says what they do."""

_LONGEST_ARGUMENT = 10_000
"""Above any path or text; the parser of options would show all of what it cannot parse."""
_COMPLETION = "--tyro-print-completion"

_DESCRIPTION = """Edit pictures with text, including into what the generator has never seen.

  cfclip edit sample:7 "green hair" --out out
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 2 for an error, 130 for Ctrl-C.

    `--help` and usage errors leave by `SystemExit`, as argument parsers do. Of the processes of one
    training, the first speaks for all.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["train"] and Launch.of_environment().index:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            return _main(given)
    return _main(given)


def _main(given: list[str]) -> int:
    silence_pillow()
    with logs_told():
        return _run(given, Console(quiet="--quiet" in given, as_json=False))


def _run(given: list[str], console: Console) -> int:
    try:
        if given == ["--version"]:
            from cfclip.version import __version__

            console.result({"version": __version__}, f"cfclip {__version__}")
            return OK
        check_hub_address()
        with console.library_warnings():
            return parse(given).run()
    except CfclipError as error:
        console.error(str(error))
        return FAILED
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        console.error(f"not enough memory; {MEMORY_REMEDY}")
        return FAILED
    except KeyboardInterrupt:
        console.error("interrupted; nothing was lost")
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has read enough, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:  # of a place that no code knew to be odd: a name too long, a full disk
        if error.filename is None:
            raise
        place = short_place(os.fsdecode(error.filename))
        console.error(f"cannot use {place}: {reason_of(error)}; name another place")
        return FAILED


def parse(arguments: Sequence[str]) -> Command:
    """The command of a command line. Raises `InputError` for a setting out of its limits."""
    arguments = [ALIASES.get(each, each) for each in arguments[:1]] + list(arguments[1:])
    words = 2 if _OF_TWO_WORDS & set(arguments[:1]) else 1
    arguments = without_dashes(arguments, words)
    for place, argument in enumerate(arguments, 1):
        if len(argument) > _LONGEST_ARGUMENT:
            raise InputError(
                f"argument {place} has {len(argument):,} characters, {shown(argument)}; at most "
                f"{_LONGEST_ARGUMENT:,} can be a text or a path"
            )
    commands = _command_type(pack_in(arguments), training_in(arguments))
    # Help tells the defaults of a pack, and usage errors what was given: anybody's texts.
    with nullcontext() if _COMPLETION in arguments else told_plainly():
        command: Command = tyro.cli(
            commands,
            prog="cfclip",
            description=_DESCRIPTION,
            args=arguments,
            config=(
                tyro.conf.OmitSubcommandPrefixes,
                tyro.conf.FlagCreatePairsOff,
                tyro.conf.HelptextFromCommentsOff,
            ),
        )
    return command


def _command_type(pack: str, training: TrainingConfig) -> Any:
    """The union of all subcommands, with the defaults of a pack and of a training."""
    edit, projection = pack_settings(pack)
    missing: Any = tyro.MISSING
    defaults: dict[str, dict[str, Any]] = {
        "edit": {"default": Edit(missing, out=missing, settings=edit, projection=projection)},
        "invert": {"default": Invert(missing, out=missing, projection=projection)},
        "fit-text-map": {"default": FitTextMap(missing, out=missing, projection=projection)},
        "train": {"default": Train(out=missing, settings=training, projection=projection)},
        "apply": {"default": Apply(missing, missing, projection=projection)},
        "batch": {"default": Batch(missing, out=missing, settings=edit, projection=projection)},
        "bench": {"default": Bench(out=missing, projection=projection)},
        "tune": {"default": Tune(out=missing, projection=projection)},
    }
    choices = [
        Annotated[command, tyro.conf.subcommand(name, **defaults.get(name, {}))]
        for name, command in COMMANDS.items()
    ]
    return Union[tuple(choices)]  # noqa: UP007  # a union made from a table
