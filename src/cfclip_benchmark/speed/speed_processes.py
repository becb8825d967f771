"""A measurement: one line after another, each in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from cfclip.errors import CfclipError, InputError, reason_of
from cfclip.io import FormatError, parse_json
from cfclip.optim import Progress
from cfclip.tensors import checked_device
from cfclip_benchmark.speed.random_models import generator_sizes
from cfclip_benchmark.speed.speed_lines import Line, Rates, Unmeasured
from cfclip_benchmark.speed.speed_plan import DEVICE_TYPES, Plan
from cfclip_benchmark.speed.speed_task import COUNTED_STEPS, UNTIMED_STEPS

_TASK = "cfclip_benchmark.speed.speed_task"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def measured_lines(
    plan: Plan, callback: Callable[[Progress], object] | None = None
) -> Iterator[Rates | Line | Unmeasured]:
    """What a plan comes to, first the rates of the machine, then its tasks in order.

    Args:
        plan: the works, ways and sizes.
        callback: called after each step, of all that there are.

    Raises:
        InputError: a device that is not there or cannot be measured, a resolution that StyleGAN2
            does not have; all before anything is measured.
        CfclipError: the rates of the machine cannot be measured.
    """
    generator_sizes(plan)
    device = checked_device(plan.device)
    if device.type not in DEVICE_TYPES:
        raise InputError(f"device is {plan.device}, expected one of {', '.join(DEVICE_TYPES)}")
    each = COUNTED_STEPS + UNTIMED_STEPS + plan.repeats
    done, steps = 0, each * len(plan.tasks)

    def told(step: int) -> None:
        if callback is not None:
            callback(Progress(done + step, steps))

    told(0)
    found, failed = _ended(plan, {}, told)
    if found is None:
        raise CfclipError(f"the rate of the machine could not be measured: {failed}")
    rates = Rates(**found)
    yield rates
    for work, way in plan.tasks:
        found, failed = _ended(plan, {"work": work, "way": way}, told)
        done += each
        if found is None:
            yield Unmeasured(work, way, failed)
        else:
            yield Line(**found, floor=found["operations"] / rates.operations[found["precision"]])


def _ended(
    plan: Plan, task: Mapping[str, str], told: Callable[[int], None]
) -> tuple[dict[str, Any] | None, str]:
    """What a process has found, or None and why not; its steps are told."""
    sizes = {name: value for name, value in asdict(plan).items() if name not in ("works", "ways")}
    job = json.dumps({"plan": sizes, **task})
    threads = {} if plan.threads is None else dict.fromkeys(_THREADS, str(plan.threads))
    steps, content = 0, dict[str, Any]()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            # Nothing is imported from the working folder, which may be anyone's.
            [sys.executable, "-P", "-m", _TASK, job],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **threads},
            start_new_session=True,  # Ctrl-C is for us, who end it
        )
        assert process.stdout is not None
        try:
            with process.stdout:
                for line in process.stdout:
                    with suppress(FormatError):  # of a library
                        content = parse_json(line)
                    if "step" in content:
                        steps += 1
                        told(steps)
            status = process.wait()
        finally:
            process.kill()
            process.wait()
        if "found" in content or "failed" in content:
            return content.get("found"), str(content.get("failed", ""))
        if status < 0:
            return None, "its process was killed, which the system does where memory runs out"
        errors.seek(0)
        last = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
        return None, f"its process ended with status {status}: {reason_of(CfclipError(last))}"
