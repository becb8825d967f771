import sys

import pytest
import torch

from cfclip.evaluation.memory import peak_memory

_MIB = 2**20


def test_the_peak_is_that_of_the_block() -> None:
    def peak(mebibytes: int) -> float | None:
        with peak_memory(torch.device("cpu")) as found:
            torch.ones(mebibytes * _MIB // 4)
        return found.mebibytes

    small = peak(1)
    if small is None:
        assert not sys.platform.startswith("linux") or not _can_clear()
        pytest.skip("this system does not tell the peak of a part of a process' life")
    large, after = peak(256), peak(1)
    assert large is not None
    assert after is not None
    assert large - small > 200
    assert after < large - 200


def _can_clear() -> bool:
    try:
        with open("/proc/self/clear_refs", "w") as stream:
            stream.write("5")
    except OSError:
        return False
    return True
