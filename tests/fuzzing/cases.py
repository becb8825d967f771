"""The cases of a seed: the same number always gives the same one."""

import hashlib
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from fuzzing.byte_mutations import spoilt_bytes
from fuzzing.doors import PICTURES, TEXTS, WEIGHTS, Door, form_of
from fuzzing.odd_values import FIFO
from fuzzing.options import with_odd_option
from fuzzing.pictures import spoilt_picture
from fuzzing.text_mutations import spoilt_text

KINDS = ("hostile", "weights", "texts", "pictures", "options")
_SHARES = {"weights": 0.25, "texts": 0.36, "pictures": 0.17, "options": 0.22}
"""Of the cases that are not the corpus of hostile files."""
_BENCHMARK_SECONDS = 5.0
_NO_FILE_SHARE = 0.05
"""Of the files that are spoilt, those in whose place is a device, a pipe, a folder or nothing."""
_MOST_HOSTILE = 0.05
"""Share of that corpus in few cases; of many, all of it is tried."""


@dataclass(frozen=True)
class Case:
    """A command line and what lies in the folder that it is run in."""

    kind: str
    about: str
    """What is odd about it."""
    arguments: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of its environment."""
    named: bool = False
    """Whether the command line itself names what is odd: what a user asks for, however much it is
    and wherever it lies, is no attack."""

    @property
    def waits(self) -> bool:
        """Whether it may go on until it is interrupted: for what it was asked for, or a network."""
        return self.named or list(self.arguments[:2]) == ["packs", "download"]

    @property
    def seconds(self) -> float:
        """What the unspoilt command computes, where it is much."""
        return _BENCHMARK_SECONDS if self.arguments[0] in ("bench", "tune") else 0.0

    @property
    def command(self) -> str:
        """For a shell."""
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.variables.items()]
        return " ".join([*variables, "cfclip", *map(_quoted, self.arguments)])


def _quoted(argument: str) -> str:
    if argument.isprintable():
        return shlex.quote(argument)
    escaped = "".join(f"\\x{byte:02x}" for byte in os.fsencode(argument))
    return f"$'{escaped}'"


@dataclass(frozen=True)
class Plan:
    """Which cases are run.

    Args:
        seed: of all random draws.
        count: how many.
        hostile: names of the files of the hostile corpus.
    """

    seed: int
    count: int
    hostile: Sequence[str]

    def kind_of(self, number: int) -> str:
        """Kind of a case, spread evenly over all numbers."""
        hostile = self._hostile_count
        if hostile and number * hostile // self.count != (number + 1) * hostile // self.count:
            return "hostile"
        return Random(f"kind {self.seed} {number}").choices(
            list(_SHARES), weights=list(_SHARES.values())
        )[0]

    @property
    def _hostile_count(self) -> int:
        return min(len(self.hostile), int(_MOST_HOSTILE * self.count))

    def make(self, number: int, scene: Path, folder: Path) -> Case:
        """Fill the empty `folder` and say what is run in it."""
        random = Random(f"{self.seed} {number}")
        _odd_places(folder)
        kind = self.kind_of(number)
        if kind in ("hostile", "options"):
            link_scene(scene, folder)
        if kind == "hostile":
            rank = number * self._hostile_count // self.count
            name = self.hostile[rank * len(self.hostile) // self._hostile_count]
            return _of_hostile(name, random)
        if kind == "options":
            arguments, about, variables = with_odd_option(random)
            return Case(kind, about, arguments, variables, named=True)
        doors = {"weights": WEIGHTS, "texts": TEXTS, "pictures": PICTURES}[kind]
        (door,) = random.choices(doors, weights=[each.share for each in doors])
        return _through(door, kind, scene, folder, random)


def link_scene(scene: Path, folder: Path, copied: Sequence[str] = ()) -> None:
    """Links to all of the scene in `folder`, and copies of what is written to."""
    for path in scene.iterdir():
        if path.name not in copied:
            (folder / path.name).symlink_to(path)
        elif path.is_dir():
            shutil.copytree(path, folder / path.name)
        else:
            shutil.copyfile(path, folder / path.name)


def _odd_places(folder: Path) -> None:
    """What is no file, for those who name it."""
    os.mkfifo(folder / FIFO)
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nowhere")


def _of_hostile(name: str, random: Random) -> Case:
    file = f"hostile/{name}"
    commands = [["convert", file, "out.safetensors", "--licence", "mine"]]
    create = ["packs", "create", "--name", "made", "--source-text", "face", "--out", "out"]
    commands.append([*create, "--clip", "clip", "--generator", file])
    commands.append([*create, "--clip", file, "--generator", "weights/generators/own.safetensors"])
    commands.append(["apply", file, "sample:1", "--pack", "tiny", "--out", "out"])
    commands.append(["edit", "sample:1", "green hair", "--pack", "tiny", "--out", "out",
                     "--steps", "1", "--identity-network", file])  # fmt: skip
    return Case("hostile", name, random.choice(commands))


def _through(door: Door, kind: str, scene: Path, folder: Path, random: Random) -> Case:
    """A case of a door: its file is spoilt, what the command writes to is copied."""
    victims = sorted(scene.glob(door.victims))
    victim = random.choice(victims).relative_to(scene)
    link_scene(scene, folder, door.copied)
    if victim.parts[0] not in door.copied:
        _unlink_around(victim, scene, folder)
    file, arguments = folder / victim, door.arguments(victim)
    if random.random() < _NO_FILE_SHARE:
        return Case(kind, f"{victim} is {_replaced(file, random)}", arguments)
    data = file.read_bytes()
    form = form_of(victim)
    if form == "bytes":
        spoilt, told = spoilt_bytes(data, random)
    elif form == "picture":
        spoilt, told = spoilt_picture(data, random)
    else:
        spoilt, told = spoilt_text(data, form, random)
    file.write_bytes(spoilt)
    if door.seals:
        _seal(folder / door.seals, victim.relative_to(door.seals).as_posix(), data, spoilt)
    variables = {}
    if arguments[:2] == ["packs", "list"]:
        variables["CFCLIP_PACKS"] = door.copied[0]
    return Case(kind, f"{victim}: {told}", arguments, variables)


def _unlink_around(victim: Path, scene: Path, folder: Path) -> None:
    """Folders of links in place of a link to the folders that a file is in, and the file itself."""
    for parent in [*reversed(victim.parents)][1:]:
        (folder / parent).unlink()
        (folder / parent).mkdir()
        for path in (scene / parent).iterdir():
            (folder / parent / path.name).symlink_to(path)
    (folder / victim).unlink()
    shutil.copyfile(scene / victim, folder / victim)


def _replaced(file: Path, random: Random) -> str:
    """Something else in place of a file; what."""
    file.unlink()
    what = random.choice(("a pipe", "a folder", "a loop", "/dev/zero", "gone"))
    if what == "a pipe":
        os.mkfifo(file)
    elif what == "a folder":
        file.mkdir()
    elif what != "gone":
        file.symlink_to(file.name if what == "a loop" else what)
    return what


def _seal(pack: Path, name: str, data: bytes, spoilt: bytes) -> None:
    manifest = pack / "pack.toml"
    text = manifest.read_text()
    before, now = (hashlib.sha256(each).hexdigest() for each in (data, spoilt))
    assert before in text, name
    manifest.write_text(text.replace(before, now))
