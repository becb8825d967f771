"""`cfclip doctor`."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from cfclip.apps.options import FAILED, OK, OnPack
from cfclip.errors import one_line

if TYPE_CHECKING:
    from cfclip.apps.diagnosis import Diagnosis

_WIDTH = 17


@dataclass(frozen=True)
class Doctor(OnPack):
    """Check the installation: versions, machine, packs, and an edit of ten seconds at most.

    What it prints can be pasted into a bug report: it names no user and no folder.
    """

    def run(self) -> int:
        """Look, try, tell; fails with one line if anything is broken."""
        from cfclip.apps.diagnosis import SELF_TEST_SECONDS, diagnose

        console = self.console
        with console.progress("self-test") as update:
            diagnosis = diagnose(self.pack, self.device, SELF_TEST_SECONDS, update)
        test = diagnosis.self_test
        speed = None if test is None else round(test.steps_per_second, 2)
        content = {**asdict(diagnosis), "steps_per_second": speed}
        console.result(content, *_lines(diagnosis))
        if diagnosis.problems:
            console.error("; ".join(diagnosis.problems))
            return FAILED
        return OK


def _lines(diagnosis: "Diagnosis") -> Iterator[str]:
    for name, value in _facts(diagnosis):
        yield f"{name:<{_WIDTH}}{one_line(value)}"


def _gigabytes(size: float | None) -> str:
    return "unknown" if size is None else f"{size} GB"


def _facts(diagnosis: "Diagnosis") -> Iterator[tuple[str, str]]:
    yield from diagnosis.versions.items()
    machine = diagnosis.machine
    yield "system", f"{machine['system']} {machine['architecture']}"
    yield "cores", f"{machine['cores']}, {machine['usable_cores']} of them usable"
    yield "threads", str(machine["threads"])
    total, available = machine["memory_gigabytes"], machine["available_memory_gigabytes"]
    yield "memory", f"{_gigabytes(total)}, {_gigabytes(available)} available"
    yield "gpu", ", ".join(machine["gpus"] or ()) or "none"
    for pack in diagnosis.packs:
        whole = f"{pack.version}, whole, {pack.fingerprint}"
        yield f"pack {pack.name}", whole if pack.fingerprint else "broken"
    test = diagnosis.self_test
    if test is None:
        yield "self-test", "failed"
    else:
        yield "self-test", f"{test.pack} on {test.device}: opened in {test.load_seconds} s"
        yield "", f"{test.steps} steps in {test.edit_seconds} s ({test.stop_reason})"
        yield "speed", f"{test.steps_per_second:.2f} steps a second"
    for problem in diagnosis.problems:
        yield "problem", problem
