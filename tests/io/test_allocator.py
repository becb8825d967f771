"""Large blocks of memory: given back to the system each time, or kept."""

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
from cfclip.io import keep_large_blocks
print({call})
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):  # until the heap has grown
    torch.ones(1 << 25)
before = faults()
for _ in range(4):
    torch.ones(1 << 25)
print(faults() - before)
"""
PAGES = (1 << 27) // 4096
"""Of one block."""
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")


def run(call: str, **variables: str) -> tuple[str, int]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    code = [sys.executable, "-c", FAULTS.format(call=call)]
    told = subprocess.run(code, env=environment, capture_output=True, text=True, check=True).stdout
    kept, faults = told.split()
    return kept, int(faults)


@glibc
def test_blocks_that_are_kept_cost_no_new_pages() -> None:
    kept, faults = run("keep_large_blocks()")
    assert kept == "True"
    assert faults < PAGES


@glibc
def test_a_users_own_setting_stays() -> None:
    assert run("keep_large_blocks()", MALLOC_MMAP_MAX_="100")[0] == "False"
