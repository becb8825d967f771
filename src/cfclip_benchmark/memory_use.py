"""The most memory that a piece of work takes."""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_CLEAR_PEAK = "5"
_KIB, _MIB = 2**10, 2**20


@dataclass
class Peak:
    """What `peak_memory` measured."""

    mebibytes: float | None = None
    """Models and everything else included; None where the system does not tell."""


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Measure the most memory in use during the block.

    On CUDA what PyTorch holds on the device; elsewhere what is resident of this process, whatever
    made it so, which only Linux tells of a part of the process' life. What earlier work has freed
    is given back first, as far as the allocator can: it is not of the block.
    """
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak.mebibytes = torch.cuda.max_memory_allocated(device) / _MIB
        return
    gc.collect()
    with suppress(OSError, AttributeError):  # of glibc alone
        ctypes.CDLL(None).malloc_trim(0)
    cleared = False
    with suppress(OSError):
        _CLEAR.write_text(_CLEAR_PEAK)
        cleared = True
    yield peak
    if cleared:
        with suppress(OSError):
            lines = _STATUS.read_text().splitlines()
            resident = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
            peak.mebibytes = int(resident[0]) * _KIB / _MIB if resident else None
