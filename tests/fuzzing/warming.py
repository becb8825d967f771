"""Importing beforehand what commands import, so that no case pays for it."""

import gc
import importlib
import json
import os
import shutil
import sys
import warnings
from pathlib import Path

from fuzzing.cases import link_scene
from fuzzing.command import output_of
from fuzzing.doors import PICTURES, TEXTS, WEIGHTS
from fuzzing.options import COMMANDS, options_of
from fuzzing.scene import build_scene
from fuzzing.worker import fork_workers

_FAIL = ("packs download",)
"""Commands that are refused as they are: what they would fetch is not there."""
_LEFT_OUT = ("__main__", "fuzzing", "sitecustomize", "tensorboard", "gradio", "ray")


def prepare(work: Path, try_all: bool) -> tuple[Path, list[str]]:
    """Build the scene in `work` and import all that commands need; returns it, and with `try_all`
    the unspoilt command lines that do not succeed.

    Both is tried in a process that is thrown away: this one, which cases are forked from, never has
    a thread and never computes a gradient, after which torch refuses to work in a fork.
    """
    scene, found = work / "scene", work / "modules.json"
    process = os.fork()
    if not process:
        status = 1
        try:
            fork_workers()
            warnings.simplefilter("ignore")  # of torch, on what the scene is made by
            build_scene(scene)
            wrong = _try(scene, work / "tried", try_all)
            names = [name for name in sys.modules if not name.startswith(_LEFT_OUT)]
            found.write_text(json.dumps({"modules": names, "wrong": wrong}))
            status = 0
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            sys.stderr.flush()
            os._exit(status)
    _, status = os.waitpid(process, 0)
    if status:
        raise RuntimeError("the well-formed files could not be made")
    content = json.loads(found.read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in content["modules"]:
            try:
                importlib.import_module(name)
            except Exception:  # one that another makes, under a name of its own
                continue
    for command in COMMANDS:
        options_of(command)
    gc.freeze()  # or each fork would go through all of it, and so copy it
    return scene, content["wrong"]


def _try(scene: Path, place: Path, try_all: bool) -> list[str]:
    """The unspoilt command lines that do not succeed: spoilt ones would show nothing."""
    wrong = []
    lines: list[tuple[tuple[str, ...], list[str]]]
    lines = [((), [*command, *given]) for command, given in COMMANDS.items()]
    if try_all:
        doors = dict.fromkeys((*WEIGHTS, *TEXTS, *PICTURES))
        lines += [
            (door.copied, door.arguments(victim.relative_to(scene)))
            for door in doors
            for victim in sorted(scene.glob(door.victims))
        ]
    for copied, arguments in lines:
        folder = place / "folder"
        folder.mkdir(parents=True)
        link_scene(scene, folder, copied)
        os.chdir(folder)
        status, _, errors = output_of(arguments)
        if status and " ".join(arguments[:2]) not in _FAIL:
            wrong.append(f"{' '.join(arguments)}: status {status}, {errors.strip()[-300:]}")
        os.chdir(place)
        shutil.rmtree(folder)
    return wrong
