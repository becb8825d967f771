"""How much memory there is, on systems of several kinds: `cfclip doctor` tells it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from cfclip.io.memory import Memory, machine_memory

MIB, GIB = 1 << 20, 1 << 30
MEMINFO = f"""MemTotal:       {16 * GIB // 1024} kB
MemFree:        {GIB // 1024} kB
MemAvailable:   {12 * GIB // 1024} kB
HugePages_Total:       0
"""


def system(root: Path, files: Mapping[str, object]) -> Path:
    for name, content in {"proc/meminfo": MEMINFO, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/memory"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, Memory(16 * GIB, 12 * GIB)),  # not the single one that is free
        (
            # A container that sees its own group as the outermost; files in memory are given up.
            {
                "proc/self/cgroup": "0::/",
                f"{V2}/memory.max": 4 * GIB,
                f"{V2}/memory.current": 3 * GIB,
                f"{V2}/memory.stat": f"anon {GIB}\ninactive_file {2 * GIB}",
            },
            Memory(4 * GIB, 3 * GIB),
        ),
        (
            # A service without a limit in a slice that has one.
            {
                "proc/self/cgroup": "0::/user.slice/a.service",
                f"{V2}/user.slice/a.service/memory.max": "max",
                f"{V2}/user.slice/a.service/memory.current": GIB,
                f"{V2}/user.slice/memory.max": 2 * GIB,
                f"{V2}/user.slice/memory.current": 2 * GIB,
            },
            Memory(2 * GIB, 0),
        ),
        (
            # Version 1, in a container that cannot see the group by its path.
            {
                "proc/self/cgroup": "5:cpu:/\n4:memory:/docker/abc\n0::/",
                f"{V1}/memory.limit_in_bytes": GIB,
                f"{V1}/memory.usage_in_bytes": 900 * MIB,
                f"{V1}/memory.stat": f"total_inactive_file {100 * MIB}",
            },
            Memory(GIB, GIB - 800 * MIB),
        ),
        (
            # Version 1 without a limit, which it tells as a number that no machine has.
            {
                "proc/self/cgroup": "4:memory:/a",
                f"{V1}/a/memory.limit_in_bytes": 9223372036854771712,
                f"{V1}/a/memory.usage_in_bytes": GIB,
            },
            Memory(16 * GIB, 12 * GIB),
        ),
        ({"proc/self/cgroup": "0::/../a\nx\n:::"}, Memory(16 * GIB, 12 * GIB)),
    ],
)
def test_the_lowest_limit_counts(
    tmp_path: Path, files: Mapping[str, object], expected: Memory
) -> None:
    assert machine_memory(system(tmp_path, files)) == expected


def test_a_system_that_does_not_tell(tmp_path: Path) -> None:
    found = machine_memory(tmp_path)
    assert found.available is None
    assert found.total == machine_memory(tmp_path / "nothing").total


def test_this_machine() -> None:
    found = machine_memory()
    assert found.total is not None
    assert found.available is not None
    assert 0 < found.available < found.total
