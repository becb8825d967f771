import json
import subprocess
import sys

import pytest

_PEAKS = """
import json, torch
from cfclip.evaluation.memory import peak_memory

def peak(mebibytes):
    with peak_memory(torch.device("cpu")) as found:
        torch.ones(mebibytes * 2**20 // 4)
    return found.mebibytes

print(json.dumps([peak(1), peak(256), peak(1)]))
"""


def test_the_peak_is_that_of_the_block() -> None:
    # In a process of its own: one that has freed much before would be given that memory again.
    run = subprocess.run([sys.executable, "-c", _PEAKS], capture_output=True, text=True, check=True)
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
