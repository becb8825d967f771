"""One process of a tiny training, and starting several: `python tiny_process.py OUT OPTIONS`."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent
TIMEOUT = 600.0
SPOILT = "spoilt by the test"


@dataclass(frozen=True)
class Ended:
    """What has become of a process."""

    status: int
    told: list[dict[str, Any]]
    """Step and terms of each step, then the hash of the weights."""
    errors: str

    @property
    def curve(self) -> list[dict[str, float]]:
        """The terms of each step."""
        return [row["terms"] for row in self.told if "terms" in row]

    @property
    def weights(self) -> str:
        """A hash of all that a checkpoint holds."""
        return str(self.told[-1]["weights"])


class Together:
    """Processes of one training that no launcher watches over: each has to end by itself.

    Args:
        count: how many.
        command: what each of them runs.
        variables: of their environment.
    """

    def __init__(
        self, count: int, command: list[str], variables: Mapping[str, str] | None = None
    ) -> None:
        self.processes = [
            subprocess.Popen(
                [sys.executable, *command],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment({**(variables or {}), **place}),
            )
            for place in _places(count)
        ]

    def wait(self) -> list[Ended]:
        """Until all have ended; those that hang are killed, and fail the test."""
        try:
            found = [process.communicate(timeout=TIMEOUT) for process in self.processes]
        finally:
            for process in self.processes:
                process.kill()
        return [
            Ended(process.returncode, [json.loads(line) for line in _objects(out)], errors)
            for process, (out, errors) in zip(self.processes, found, strict=True)
        ]


def train_together(count: int, out: Path, **options: Any) -> Together:
    """A tiny training on several processes; see `main` for what is no setting of it."""
    return Together(count, [str(TESTS / "tiny_process.py"), str(out), json.dumps(options)])


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """That of a process which finds what this one finds, with some more variables."""
    path = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **variables}


def _places(count: int) -> list[dict[str, str]]:
    """What torchrun tells each process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [{**shared, "RANK": str(i), "LOCAL_RANK": str(i)} for i in range(count)]


def _objects(out: str) -> list[str]:
    return [line for line in out.splitlines() if line.startswith("{")]


def main(out: Path, options: dict[str, Any]) -> int:
    """Train. `at_step: [index, step, deed]` makes a process "fail", "stop" or be "kill"ed there."""
    from tiny_training import tensors_of, tiny_run

    from cfclip.errors import CfclipError, InputError
    from cfclip.optim import Progress
    from cfclip.training import joined

    index, step, deed = options.pop("at_step", (0, -1, ""))
    seconds = options.pop("checkpoint_seconds", 1e9)
    try:
        with joined("cpu") as (processes, _):

            def watch(progress: Progress) -> bool:
                print(json.dumps({"step": progress.step, "terms": progress.terms}), flush=True)
                if (processes.index, progress.step) != (index, step):
                    return True
                if deed == "fail":
                    raise InputError(SPOILT)
                if deed == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                return False

            trainer = tiny_run(out, watch, seconds, processes, **options)
        digest = hashlib.sha256(b"".join(t.numpy().tobytes() for t in tensors_of(trainer)))
        print(json.dumps({"weights": digest.hexdigest()}), flush=True)
        return 0
    except CfclipError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), json.loads(sys.argv[2])))
