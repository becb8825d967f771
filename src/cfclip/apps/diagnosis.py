"""What a bug report needs to know of an installation, and whether an edit works on it.

Nothing here names a user or a folder: what is collected is meant to be pasted where all can read.
Free of torch until it is looked for, since a torch that does not load is one of the findings.
"""

import getpass
import math
import os
import platform
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cfclip.errors import CfclipError, InputError
from cfclip.io import machine_memory
from cfclip.packs import PACKS_VARIABLE, Pack, available_packs
from cfclip.version import __version__

SELF_TEST_SECONDS = 10.0
SELF_TEST_TEXT = "green hair"
SELF_TEST_SOURCE = "sample:0"

_LIBRARIES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "open_clip_torch": "open_clip",
    "numpy": "numpy",
    "pillow": "PIL",
}
"""Distribution to the module by which it is loaded."""
_NOT_INSTALLED = "not installed"

_A_FOLDER = "<folder>"
_GIGABYTE = 1e9


@dataclass(frozen=True)
class PackState:
    """A pack that can be opened by name, or cannot."""

    name: str
    version: str
    """Empty if the pack cannot be opened."""
    fingerprint: str
    """SHA-256 of its `pack.toml`, after every file was checked against it; empty likewise."""


@dataclass(frozen=True)
class SelfTest:
    """One short edit."""

    pack: str
    device: str
    load_seconds: float
    """From nothing to the models in memory and the picture made."""
    steps: int
    edit_seconds: float
    """Of the steps alone."""
    stop_reason: str

    @property
    def steps_per_second(self) -> float:
        """The speed that another machine can be compared by."""
        return self.steps / self.edit_seconds if self.edit_seconds else 0.0


@dataclass(frozen=True)
class Diagnosis:
    """All findings."""

    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    """Numbers are gigabytes where named so; what cannot be found out is None."""
    packs: tuple[PackState, ...]
    self_test: SelfTest | None
    """None if it could not be done."""
    problems: tuple[str, ...]
    """What is broken, one line each."""


def diagnose(
    pack: str | Path = "avatars",
    device: str = "cpu",
    seconds: float = SELF_TEST_SECONDS,
    callback: Callable[[Any], object] | None = None,
) -> Diagnosis:
    """Look at the installation, check every pack, and make an edit of at most `seconds`.

    What is broken becomes a line of `problems`; nothing is raised but `KeyboardInterrupt`.

    Args:
        pack: name or folder of the pack to edit with.
        device: where to edit.
        seconds: after these the edit is stopped, but not before its first step.
        callback: sees the progress of the edit.
    """
    versions, broken = _versions()
    packs, spoilt = _packs()
    test, failed = None, []
    if not broken:  # else the edit would only tell of the same again
        try:
            test = _self_test(pack, device, seconds, callback)
        except Exception as error:  # whatever is wrong with this machine is to be told
            failed = [f"the self-test failed: {_reason(error)}"]
    given = (str(pack),) if os.sep in str(pack) else ()
    problems = tuple(anonymous(line, given) for line in (*broken, *spoilt, *failed))
    return Diagnosis(versions, _machine(), packs, test, problems)


def anonymous(text: str, places: Iterable[str] = ()) -> str:
    """`text` without folders that tell of a user: `places`, those of packs, the home, the name.

    Anything below the home folder is cut as a whole, as far as its name has no space.
    """
    for place in sorted((*places, *_places()), key=len, reverse=True):  # they hold one another
        text = text.replace(place, _A_FOLDER)
    for home in {str(each) for each in _homes()}:
        text = re.sub(re.escape(home) + r"(?![\w-])[^\s'\",;:()]*", _A_FOLDER, text)
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container without users
        return text
    return re.sub(rf"(?<=[/\\]){re.escape(user)}(?![\w-])", "<user>", text)


def _places() -> list[str]:
    """Folders of packs, also as the user has named them."""
    named = [place for place in os.environ.get(PACKS_VARIABLE, "").split(os.pathsep) if place]
    with suppress(CfclipError):
        named += [str(folder) for folder in available_packs().values()]
    every = [each for place in named for each in (place, os.path.expanduser(place))]
    return [place for place in every if len(place) > 1]


def _homes() -> Iterable[Path]:
    try:
        home = Path.home()
    except RuntimeError:  # none can be determined
        return []
    return [each for each in (home, home.resolve()) if each != Path(each.anchor)]


def _versions() -> tuple[dict[str, str], list[str]]:
    """Of Python, cfclip and its libraries; and a line for each that is missing or does not load."""
    versions = {"python": platform.python_version(), "cfclip": __version__}
    problems = []
    for name, module in _LIBRARIES.items():
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = _NOT_INSTALLED
        try:
            import_module(module)
        except Exception as error:  # a library of the wrong build can raise anything
            problems.append(f"{name} does not load ({_reason(error)}); install cfclip again")
    return versions, problems


def _machine() -> dict[str, Any]:
    affinity, memory = getattr(os, "sched_getaffinity", None), machine_memory()
    facts: dict[str, Any] = {
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "usable_cores": os.cpu_count() if affinity is None else len(affinity(0)),
        "threads": None,
        "memory_gigabytes": _gigabytes(memory.total),
        "available_memory_gigabytes": _gigabytes(memory.available),
        "gpus": None,
    }
    try:
        torch = import_module("torch")
    except Exception:  # told among the versions
        return facts
    cuda = [torch.cuda.get_device_name(each) for each in range(torch.cuda.device_count())]
    mps = ["Apple MPS"] if torch.backends.mps.is_available() else []
    return {**facts, "threads": torch.get_num_threads(), "gpus": [*cuda, *mps]}


def _gigabytes(size: int | None) -> float | None:
    return None if size is None else round(size / _GIGABYTE, 1)


def _packs() -> tuple[tuple[PackState, ...], list[str]]:
    """Every pack, all of its files checked, and a line for each that cannot be used."""
    try:
        folders = available_packs()
    except CfclipError as error:
        return (), [str(error)]
    states, problems = [], []
    for name, folder in folders.items():
        try:
            opened = Pack.open(folder)
        except CfclipError as error:
            states.append(PackState(name, "", ""))
            problems.append(f"pack {name!r}: {error}")
        else:
            states.append(PackState(name, opened.manifest.version, opened.fingerprint))
    return tuple(states), problems


def _self_test(
    pack: str | Path, device: str, seconds: float, callback: Callable[[Any], object] | None
) -> SelfTest:
    """Edit a sample. Raises whatever goes wrong, `InputError` for a result that is none."""
    from cfclip.editing import Session
    from cfclip.optim import COMPLETED, CONVERGED, STOPPED

    began = time.perf_counter()
    session = Session.open(pack, device)
    (source,) = session.invert([SELF_TEST_SOURCE])
    loaded = time.perf_counter()

    def watch(progress: Any) -> bool:
        if callback is not None:
            callback(progress)
        return progress.step < 1 or time.perf_counter() - loaded < seconds

    result = session.edit(source, SELF_TEST_TEXT, callback=watch)
    if result.interrupted:
        raise KeyboardInterrupt
    regular = result.stop_reason in (COMPLETED, CONVERGED, STOPPED)
    if not regular or not math.isfinite(result.record["loss"].get("total", math.nan)):
        raise InputError(f"the edit ended after {result.steps} steps: {result.stop_reason}")
    return SelfTest(
        pack=session.pack.manifest.name,
        device=str(session.device),
        load_seconds=round(loaded - began, 2),
        steps=result.steps,
        edit_seconds=round(result.seconds, 2),
        stop_reason=result.stop_reason,
    )


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, CfclipError) else f"{type(error).__name__}: {text}"
