"""Command lines with an odd option, and odd variables of the environment."""

import re
from functools import cache
from random import Random

from fuzzing.command import output_of
from fuzzing.doors import share_of
from fuzzing.odd_values import NUMBERS, PATHS, TEXTS, words
from fuzzing.scene import TEXT

_OUT = ("--pack", "tiny", "--out", "out")
_QUICK = ("--steps", "1", "--augmentations", "1", "--projection.steps", "0")
_TRAINING = (*_QUICK, *words("--batch 2 --validate-every 1 --validation 2 --samples 6"))
_BENCH = ("--pack", "tiny", "--quick", "--images", "1", "--prompts", "prompts.toml")
_ONE_METHOD = ("--methods", "cfclip-optimisation")

COMMANDS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("edit",): ("faces/sample-0.png", TEXT, *_OUT, *_QUICK),
    ("sample",): _OUT,
    ("invert",): ("faces/sample-0.png", *_OUT, "--projection.steps", "1"),
    ("packs", "list"): (),
    ("packs", "show"): ("tiny",),
    ("packs", "create"): (
        *("--name", "made", "--generator", "weights/generators/own.safetensors", "--clip", "clip"),
        *("--source-text", "face", "--out", "out"),
    ),
    ("packs", "download"): ("ffhq", "--downloads", "kept", "--out", "out"),
    ("rerun",): ("edit/sample-3_green-hair.json", "--pack", "tiny", "--out", "out"),
    ("fit-text-map",): (
        *("captioned", "--pack", "tiny", "--out", "fitted.safetensors"),
        *("--projection.steps", "0", "--inversions", "out"),
    ),
    ("fit-global-directions",): (
        *("--pack", "tiny", "--out", "measured.safetensors", "--images", "1", "--batch", "40"),
    ),
    ("parts",): ("sample:1", *_OUT),
    ("train",): ("--text", TEXT, *_OUT, *_TRAINING),
    ("apply",): ("mapper", "sample:1", "--text", TEXT, *_OUT),
    ("batch",): ("sample:1-2", "--text", TEXT, "--mapper", "mapper", "--workers", "1", *_OUT),
    ("bench",): (*_BENCH, *_ONE_METHOD, "--judge-clip", "tiny/clip", "--out", "out"),
    ("tune",): (*_BENCH, *_ONE_METHOD, "--trials", "1", "--out", "out"),
    ("convert",): ("weights/generators/own.safetensors", "out.safetensors", "--licence", "mine"),
    ("grid", "contact"): ("faces", "sample:1", "--pack", "tiny", "--out", "out.png"),
    ("grid", "strengths"): (
        *("sample:1", "--text", TEXT, "--pack", "tiny", "--out", "out.png", "--steps", "1"),
    ),
    ("grid", "compare"): (
        *("sample:1", "--text", TEXT, "--pack", "tiny", "--out", "out.png", "--steps", "1"),
    ),
    ("grid", "curves"): ("run", "--out", "out.png"),
    ("inspect",): ("pictures/marked.png",),
    ("doctor",): ("--pack", "tiny"),
}
"""Each command with arguments that it does its work with, soon. `web` serves until it is stopped,
and has an attack of its own; `bench-speed` and `bench-ruler` take longer than a case may, and
`fit-parts` writes to the pack that the other cases use."""

_VARIABLES = (
    *("CFCLIP_PACKS", "XDG_CACHE_HOME", "HOME", "TMPDIR", "RANK", "WORLD_SIZE", "LOCAL_RANK"),
    *("MASTER_ADDR", "MASTER_PORT", "http_proxy", "https_proxy", "COLUMNS", "TERM", "NO_COLOR"),
)
_OPTION = re.compile(r"(--[a-z][a-z0-9.-]*)")
_LEFT_OUT = {"--help", "--open"}


@cache
def options_of(command: tuple[str, ...]) -> tuple[str, ...]:
    """The options that the help of a command tells of."""
    _, out, _ = output_of([*command, "--help"])
    found = dict.fromkeys(_OPTION.findall(out))
    return tuple(option for option in found if option not in _LEFT_OUT)


def with_odd_option(random: Random) -> tuple[list[str], str, dict[str, str]]:
    """A command line, what is odd about it, and variables of its environment."""
    shares = [share_of(" ".join(each)) for each in COMMANDS]
    (command,) = random.choices(list(COMMANDS), weights=shares)
    given = list(COMMANDS[command])
    chance = random.random()
    if chance < 0.06:
        name = random.choice(_VARIABLES)
        value = _environment_value(random)
        return [*command, *given], f"{name}={value[:60]!r}", {name: value}
    if chance < 0.2 and given and not given[0].startswith("--"):
        place = random.randrange(next((i for i, g in enumerate(given) if g.startswith("--")), 1))
        given[place] = value = _value(random)
        return [*command, *given], f"{value[:60]!r} as argument {place + 1}", {}
    if chance < 0.25:
        place = random.randrange(len(given) + 1)
        value = _value(random)
        return [*command, *given[:place], value, *given[place:]], f"also {value[:60]!r}", {}
    options = options_of(command)
    option = random.choice(options)
    value = _value(random)
    attached = random.random() < 0.5
    added = [f"{option}={value}"] if attached else [option, value]
    return [*command, *given, *added], f"{option} {value[:60]!r}", {}


def _value(random: Random) -> str:
    chance = random.random()
    if chance < 0.45:
        value = random.choice(NUMBERS)
    else:
        value = random.choice(PATHS if chance < 0.75 else TEXTS)
    # No process can be given a null byte, which ends an argument, or half a character.
    return value.replace("\0", "0").replace("\ud800", "?")


def _environment_value(random: Random) -> str:
    value = _value(random)
    return value if len(value) < 4000 else value[:4000]
