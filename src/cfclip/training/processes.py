"""A training on several processes that work as one.

Every process holds the same weights, draws the same global batch, and computes its share of it; the
gradients are added up. As shares are of one batch, and every draw follows from the place in it, the
number of processes changes a run by no more than the rounding of sums.

What the processes exchange goes through accelerate, started by torchrun. Each exchange begins with
a meeting, at which all learn whether one of them wants to stop or has failed: nobody waits for a
process that has given up.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from importlib.util import find_spec

import torch
from torch import Tensor

from cfclip.errors import CfclipError, InputError, TrainingError, reason_of
from cfclip.training.launch import Launch

_WELL, _STOPS, _FAILED = range(3)
_REASON_BYTES = 500
_PATIENCE = timedelta(days=7)
"""How long one waits for another, which may have a folder of pictures to invert. That one has died
shows at once: its connections close, and torchrun ends the others."""


class Processes:
    """One process, which is alone: it does all the work, and nobody waits.

    Attributes:
        index, count: its place, from 0 on, and how many there are.
    """

    index = 0
    count = 1

    @property
    def first(self) -> bool:
        """Whether this one writes and speaks for all."""
        return self.index == 0

    def share_of(self, size: int) -> range:
        """What this process computes of a batch: its rows, of which the first have no fewer.

        >>> Processes().share_of(5)
        range(0, 5)
        """
        return range(-(-size * self.index // self.count), -(-size * (self.index + 1) // self.count))

    def agree(self, goes_on: bool = True) -> bool:
        """Whether all want to go on. Raises `TrainingError` where another process has failed."""
        return goes_on

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Put the sum over all processes into each tensor, float32 and on the device of the run.

        Raises `TrainingError` as `agree` does.
        """

    def hand_out(self, data: bytes | memoryview = b"") -> bytes | memoryview:
        """What the first process gives, for all. Raises `TrainingError` as `agree` does."""
        return data


ALONE = Processes()


class OtherProcessError(TrainingError):
    """Another process has failed, or is gone."""


class JoinedProcesses(Processes):
    """One of several processes.

    Args:
        launch: its place among them.
        device: where they compute: "cpu", or "cuda", of which each takes the one of its place.

    Attributes:
        device: where this one computes.

    Raises:
        InputError: without accelerate, or for a device that cannot be shared out.
    """

    def __init__(self, launch: Launch, device: str) -> None:
        self.index, self.count = launch.index, launch.count
        self.device = _device_of(launch, device)
        if find_spec("accelerate") is None:
            raise InputError(
                f"training on {self.count} processes needs accelerate (pip install "
                "'cfclip[train]'); without it, start one process"
            )
        from accelerate import PartialState

        on_cpu = device == "cpu"
        # What is told goes between the CPUs, gradients between the GPUs.
        backend = {} if on_cpu else {"backend": "cpu:gloo,cuda:nccl"}
        self._state = PartialState(cpu=on_cpu, timeout=_PATIENCE, **backend)
        self._parent = os.getppid()
        self._exchanging = False

    def agree(self, goes_on: bool = True) -> bool:
        # Without the launcher nobody would end this one.
        goes_on = goes_on and os.getppid() == self._parent
        with self._exchange():
            return self._meet(_WELL if goes_on else _STOPS)

    def add(self, tensors: Sequence[Tensor]) -> None:
        from accelerate.utils import reduce

        with self._exchange():
            self._meet(_WELL)
            summed = reduce(torch.cat([tensor.flatten() for tensor in tensors]), "sum")
        parts = summed.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def hand_out(self, data: bytes | memoryview = b"") -> memoryview:
        from accelerate.utils import broadcast

        with self._exchange():
            self._meet(_WELL)
            size = int(broadcast(torch.tensor([len(data)])))
            held = torch.empty(size, dtype=torch.uint8)
            if self.first and size:
                held.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
            return memoryview(broadcast(held).numpy()) if size else memoryview(b"")

    def report_failure(self, error: BaseException) -> None:
        """Let the others know, at their next meeting, that this one has failed.

        Not where it failed in an exchange: the others are in it, and see the connection close.
        """
        if not self._exchanging:
            with suppress(RuntimeError, CfclipError):
                self._meet(_FAILED, _reason(error))

    def leave(self) -> None:
        """No more exchanges: close the connections, which else may abort the end of the process.

        After a broken exchange between GPUs that could wait for ever, and is left to the end.
        """
        if not self._exchanging or self.device == "cpu":
            self._state.destroy_process_group()

    @contextmanager
    def _exchange(self) -> Iterator[None]:
        self._exchanging = True
        try:
            yield
        except RuntimeError as error:  # what a closed connection raises
            raise OtherProcessError(
                "another process of this training is gone; the last good checkpoint is kept, "
                "start them again with --resume"
            ) from error
        except OtherProcessError:
            self._exchanging = False  # all know, and nobody is in it any more
            raise
        self._exchanging = False

    def _meet(self, state: int, reason: str = "") -> bool:
        from accelerate.utils import reduce

        message = reason.encode("utf-8", "replace")[:_REASON_BYTES]
        notes = torch.zeros(self.count, 1 + _REASON_BYTES, dtype=torch.uint8)
        notes[self.index, 0] = state
        notes[self.index, 1 : 1 + len(message)] = torch.tensor(list(message), dtype=torch.uint8)
        notes = reduce(notes, "sum")
        failed = (notes[:, 0] == _FAILED).nonzero().flatten().tolist()
        if failed and state != _FAILED:
            text = bytes(notes[failed[0], 1:].tolist()).rstrip(b"\0").decode("utf-8", "replace")
            raise OtherProcessError(f"process {failed[0] + 1} of {self.count}: {text}")
        return not bool(notes[:, 0].any())


@contextmanager
def joined(device: str) -> Iterator[tuple[Processes, str]]:
    """The processes of a training that this one is of, and the device that it computes on.

    If one of them fails, all leave with an error; they end together. Raises `InputError` as
    `JoinedProcesses` does.
    """
    launch = Launch.of_environment()
    if launch.count == 1:
        yield ALONE, device
        return
    processes = JoinedProcesses(launch, device)
    try:
        yield processes, processes.device
        processes.agree()
    except OtherProcessError:
        raise
    except BaseException as error:
        processes.report_failure(error)
        raise
    finally:
        processes.leave()


def _device_of(launch: Launch, device: str) -> str:
    if device == "cpu":
        return device
    if device != "cuda":
        raise InputError(
            f"device is {device!r}, but {launch.count} processes share out cpu or cuda; give one "
            "of these"
        )
    known = torch.cuda.device_count()
    if launch.local_index >= known:
        raise InputError(
            f"process {launch.local_index + 1} on this machine has no GPU of its own, there are "
            f"{known}; start fewer processes"
        )
    return f"cuda:{launch.local_index}"


def _reason(error: BaseException) -> str:
    kind = "" if isinstance(error, CfclipError) else f"{type(error).__name__}: "
    return kind + reason_of(error)
