import json
import os
import subprocess
import sys

import pytest

_PEAKS = """
import json, torch
from cfclip_benchmark.memory_use import peak_memory

def peak(mebibytes):
    with peak_memory(torch.device("cpu")) as found:
        torch.ones(mebibytes * 2**20 // 4)
    return found.mebibytes

print(json.dumps([peak(1), peak(256), peak(1)]))
"""
_KEPT = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
"""With these the allocator keeps what is freed."""


@pytest.mark.parametrize("kept", [{}, _KEPT])
def test_the_peak_is_that_of_the_block(kept: dict[str, str]) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _PEAKS],
        env={**os.environ, **kept},
        capture_output=True,
        text=True,
        check=True,
    )
    small, large, after = json.loads(run.stdout)
    if small is None:
        assert not sys.platform.startswith("linux") or not _can_clear()
        pytest.skip("this system does not tell the peak of a part of a process' life")
    assert large - small > 200
    assert after < large - 200


def _can_clear() -> bool:
    try:
        with open("/proc/self/clear_refs", "w") as stream:
            stream.write("5")
    except OSError:
        return False
    return True
