"""A case as a new process of Python, `python -m cfclip`, watched by its `sitecustomize`."""

import json
import os
import sys
from pathlib import Path

from fuzzing.cases import Case, Plan
from fuzzing.worker import FOLDER, SEEN, _to_files, begin, watch_of

_SECONDS, _MEGABYTES = 10.0, 700.0
"""What it takes to import torch and the rest, before a command begins."""
_VARIABLE = "CFCLIP_FUZZED_CASE"


def run_anew(plan: Plan, number: int, scene: Path, place: Path) -> int:
    """Make a case and become the process that runs it."""
    folder = place / FOLDER
    folder.mkdir(parents=True)
    case = plan.make(number, scene, folder)
    os.chdir(folder)
    _to_files(place)
    told = {"case": vars(case), "place": str(place), "scene": str(scene)}
    path = os.pathsep.join([str(Path(__file__).parent / "process"), *filter(None, sys.path)])
    variables = {
        **{**os.environ, **case.variables},
        **{_VARIABLE: json.dumps(told), "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        "TORCHINDUCTOR_CACHE_DIR": str(folder / ".torch"),  # which torch makes when imported
    }
    command = [sys.executable, "-m", "cfclip", *case.arguments]
    os.execve(command[0], command, variables)
    raise AssertionError("not reached")


def watch_this_process() -> None:
    """What `sitecustomize` calls in the process that a case is; elsewhere it does nothing."""
    if _VARIABLE not in os.environ:
        return
    told = json.loads(os.environ.pop(_VARIABLE))
    case, place = Case(**told["case"]), Path(told["place"])
    watch = watch_of(case, place / FOLDER, Path(told["scene"]), place / SEEN, imports=True)
    begin(case, place, _SECONDS, _MEGABYTES)
    watch.begin()
