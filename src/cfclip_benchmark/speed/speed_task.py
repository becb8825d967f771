"""One line of a measurement, in a process of its own so that its memory is that line's.

`python -m cfclip_benchmark.speed.speed_task JOB`, which `speed_processes` starts. What it does and
what it tells are JSON: the job has the sizes of a plan, and work and way unless it is the machine
that is measured; of what is told, a line each, "step" is for each step done, and the last one has
"found" or "failed".
"""

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import torch

from cfclip.errors import CfclipError, failure_line
from cfclip.io import keep_large_blocks, parse_json
from cfclip.settings import Precision
from cfclip.tensors import has_bfloat16
from cfclip_benchmark.measured_pages import processor_name
from cfclip_benchmark.memory_use import peak_memory
from cfclip_benchmark.speed.operations import OperationCounter, machine_rate, wait_for
from cfclip_benchmark.speed.speed_lines import Rates
from cfclip_benchmark.speed.speed_plan import Plan
from cfclip_benchmark.speed.speed_works import SpeedTask, Watch

COUNTED_STEPS, UNTIMED_STEPS = 2, 1
"""The first of each kind has what comes before the first step."""
_GIGABYTE_IN_MEBIBYTES = 1e9 / 2**20

Tell = Callable[[dict[str, Any]], None]


def measured_rates(device: torch.device) -> Rates:
    """The machine, and its rate in each precision that it is fast in."""
    precisions: list[Precision] = ["float32"]
    if has_bfloat16(device):
        precisions.append("bfloat16")
    name = f"{processor_name()}, {torch.get_num_threads()} threads"
    if device.type == "cuda":
        name = f"{torch.cuda.get_device_name(device)} ({name})"
    return Rates(
        machine=name,
        torch=str(torch.__version__),
        python=platform.python_version(),
        operations={each: machine_rate(device, each) for each in precisions},
    )


def measured_task(plan: Plan, work: str, way: str, tell: Tell) -> dict[str, Any]:
    """What `Line` has, but for the floor.

    Raises `InputError` for sizes that cannot work.
    """
    device = torch.device(plan.device)
    task = SpeedTask(plan, work, way)
    counter, counts = OperationCounter(), list[float]()
    with counter:
        task.steps(_until(COUNTED_STEPS, counts, lambda: counter.operations, tell))
    times = list[float]()

    def now() -> float:
        wait_for(device)
        return time.perf_counter()

    with peak_memory(device) as peak:
        task.steps(_until(UNTIMED_STEPS + plan.repeats, times, now, tell))
    seconds = [after - before for before, after in pairwise(times)]
    memory = peak.mebibytes
    return {
        "work": work,
        "way": way,
        "precision": task.precision,
        "seconds": statistics.median(seconds) / task.at_once,
        "memory": None if memory is None else memory / _GIGABYTE_IN_MEBIBYTES,
        "operations": round((counts[-1] - counts[-2]) / task.at_once),
    }


def _until(steps: int, values: list[float], look: Callable[[], float], tell: Tell) -> Watch:
    """Looks after each of so many steps."""

    def watch() -> bool:
        values.append(look())
        tell({"step": len(values)})
        return len(values) < steps

    return watch


def main(text: str) -> int:
    """Do a job; the exit status is 0 if it came to an end, however."""
    keep_large_blocks()

    def tell(content: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(content) + "\n")
        sys.stdout.flush()

    job = parse_json(text)
    plan = Plan(**job["plan"])
    try:
        if "work" in job:
            tell({"found": measured_task(plan, job["work"], job["way"], tell)})
        else:
            tell({"found": asdict(measured_rates(torch.device(plan.device)))})
    except (CfclipError, MemoryError, RuntimeError) as error:
        tell({"failed": failure_line(error)})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
