"""The `cfclip` command: one table of subcommands, whose options are generated from dataclasses."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout, suppress
from dataclasses import MISSING, fields
from pkgutil import resolve_name
from typing import Annotated, Any, Protocol, Union
from urllib.parse import urlsplit

import tyro

from cfclip.apps.console import Console, library_logs, plain_prints, silence_pillow
from cfclip.apps.options import (
    BROKEN_PIPE,
    FAILED,
    INTERRUPTED,
    OK,
    FastOption,
    fast_device_in,
    faster,
    method_in,
    pack_in,
    pack_settings,
    training_in,
)
from cfclip.errors import (
    MEMORY_REMEDY,
    CfclipError,
    InputError,
    out_of_memory,
    reason_of,
    short_place,
    shown,
)
from cfclip.io import keep_large_blocks


class Command(Protocol):
    """A parsed subcommand."""

    def run(self) -> int:
        """Do it; returns the exit status."""


COMMANDS = {
    "edit": "edit:Edit",
    "sample": "pictures:Sample",
    "invert": "pictures:Invert",
    "packs": "packs:Packs",
    "rerun": "rerun:RerunEdit",
    "fit-text-map": "fit_text_map:FitTextMap",
    "fit-global-directions": "fit_global_directions:FitGlobalDirections",
    "fit-parts": "fit_parts:FitParts",
    "parts": "show_parts:ShowParts",
    "train": "train:Train",
    "apply": "apply:Apply",
    "batch": "batch:Batch",
    "web": "web.command:Web",
    "bench": "bench:Bench",
    "bench-ruler": "bench_ruler:BenchRuler",
    "bench-speed": "bench_speed:BenchSpeed",
    "tune": "tune:Tune",
    "convert": "convert:Convert",
    "grid": "grid:Grid",
    "inspect": "inspect:Inspect",
    "doctor": "doctor:Doctor",
}
"""Name of each command to its module in this folder and its class, imported when it is named."""

ALIASES = {"pack": "packs"}
"""Other names of commands, for whoever speaks of one pack."""

_OF_TWO_WORDS = {"packs", "grid"}
"""Commands of which the second word says what they do."""

_LONGEST_ARGUMENT = 10_000
"""Above any path or text; the parser of options would show all of what it cannot parse."""
_COMPLETION = "--tyro-print-completion"
_TEXT_OPTIONS = ("--text", "--source-text", "--unrealistic-text")
_OPTIONS_END = "--"

_DESCRIPTION = """Edit pictures with text, including into what the generator has never seen.

  cfclip edit sample:7 "green hair" --out out
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 2 for an error, 130 for Ctrl-C.

    `--help` and usage errors leave by `SystemExit`, as argument parsers do. Of the processes of one
    training, the first speaks for all.
    """
    if arguments is None:  # the process is ours
        keep_large_blocks()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["train"]:
        from cfclip.training import Launch

        if Launch.of_environment().index:
            with _muted():
                return _main(given)
    return _main(given)


@contextmanager
def _muted() -> Iterator[None]:
    # A name of a file may have bytes that are no text.
    with (
        open(os.devnull, "w", errors="replace") as null,
        redirect_stdout(null),
        redirect_stderr(null),
    ):
        yield


def _main(given: list[str]) -> int:
    silence_pillow()
    with library_logs():
        return _run(given, Console(quiet="--quiet" in given, as_json=False))


def _run(given: list[str], console: Console) -> int:
    try:
        if given == ["--version"]:
            from cfclip.version import __version__

            console.result({"version": __version__}, f"cfclip {__version__}")
            return OK
        _check_hub_address()
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
    completion = _COMPLETION in arguments
    if arguments and arguments[0] in COMMANDS and not completion:
        command, defaults = _command(arguments[0], arguments)
        with _muted(), suppress(SystemExit):  # help and usage errors tell of all commands
            return _parsed(command, arguments[1:], **defaults)
    commands = []
    for name in COMMANDS:
        command, defaults = _command(name, arguments)
        commands.append(Annotated[command, tyro.conf.subcommand(name, **defaults)])
    # Help tells the defaults of a pack, and usage errors what was given: anybody's texts.
    with nullcontext() if completion else plain_prints():
        union: Any = Union[tuple(commands)]  # noqa: UP007  # made from a table
        return _parsed(union, arguments, prog="cfclip", description=_DESCRIPTION)


def without_dashes(arguments: Sequence[str], commands: int) -> list[str]:
    """A command line whose texts may begin with "-", in a form that the parser takes.

    The parser takes a word that begins with "-" for an option, so the text of an option is tied to
    it by "=". It wants all words that are no options in one piece: those after "--" and those
    before the first option are joined behind the options.

    Args:
        arguments: what was typed.
        commands: how many words at its beginning name the command.

    >>> without_dashes(["apply", "run", "a.png", "--text", "-5 degrees"], 1)
    ['apply', 'run', 'a.png', '--text=-5 degrees']
    >>> without_dashes(["edit", "a.png", "--out", "b", "--", "-x"], 1)
    ['edit', '--out', 'b', '--', 'a.png', '-x']
    """
    typed = list(arguments)
    end = typed.index(_OPTIONS_END) if _OPTIONS_END in typed else len(typed)
    options, rest = typed[:end], typed[end + 1 :]
    joined: list[str] = []
    for word in options:
        if joined and joined[-1] in _TEXT_OPTIONS and not _is_option(word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    if end == len(typed):
        return joined
    name, others = joined[:commands], joined[commands:]
    places = [place for place, word in enumerate(others) if _is_option(word)]
    first = places[0] if places else len(others)
    return [*name, *others[first:], _OPTIONS_END, *others[:first], *rest]


def _is_option(word: str) -> bool:
    return word.startswith("--") and not any(map(str.isspace, word.partition("=")[0]))


def _parsed(command: Any, arguments: Sequence[str], **more: Any) -> Command:
    parsed: Command = tyro.cli(
        command,
        args=arguments,
        config=(
            tyro.conf.OmitSubcommandPrefixes,
            tyro.conf.FlagCreatePairsOff,
            tyro.conf.HelptextFromCommentsOff,
        ),
        **more,
    )
    return parsed


def _command(name: str, arguments: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    """The class of a command, and its `default` if it has those of a pack or of a training."""
    command: Any = resolve_name(f"{__package__}.{COMMANDS[name]}")
    options = fields(command)
    if "projection" not in {each.name for each in options}:
        return command, {}
    fast_on = fast_device_in(arguments) if issubclass(command, FastOption) else None
    edit, projection = pack_settings(pack_in(arguments), method_in(arguments), fast_on)
    of_pack: dict[str, Any] = {"projection": projection, "settings": edit}
    if name == "train":
        of_pack["settings"] = faster(training_in(arguments), fast_on)
    required = [each for each in options if each.default is each.default_factory is MISSING]
    default = command(
        **{each.name: tyro.MISSING for each in required},
        **{each.name: of_pack[each.name] for each in options if each.name in of_pack},
    )
    return command, {"default": default}


def _check_hub_address() -> None:
    """Raise `InputError` if the variable HF_ENDPOINT is set to what is no address.

    The hub's client, which open_clip imports, cannot even be imported then.
    """
    address = os.environ.get("HF_ENDPOINT", "")
    try:
        urlsplit(address)
    except ValueError as error:
        raise InputError(
            f"HF_ENDPOINT is {shown(address)}, which is no address ({reason_of(error)}); unset it "
            "or set it to one that begins with https://"
        ) from error
