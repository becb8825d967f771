"""Whether the C library keeps the large blocks of memory that a process gives back.

glibc gives each block above 32 MB back to the system at once and takes it anew, and the system has
to clear every page: at 1024 px, where each tensor is 128 MB, a third to a half of all time. This is
a setting of the whole process: the program makes it, never the library on import.
"""

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Of `mallopt`, in glibc's malloc.h."""
_SETTINGS = {
    # The memory at the end of the heap that is kept; the most that the call takes, 2 GB.
    _TRIM_THRESHOLD: (1 << 31) - 1,
    # Blocks that are mapped, each for itself.
    _MMAP_MAX: 0,
}
_OWN_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "GLIBC_TUNABLES")
"""Variables by which somebody has decided it already."""


def keep_large_blocks() -> bool:
    """Let glibc reuse large blocks; whether it does so now.

    Elsewhere than on Linux with glibc, or where the environment sets glibc's allocator, nothing
    changes.
    """
    if any(name in os.environ for name in _OWN_SETTINGS):
        return False
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018  # others have a mallopt of other meaning
        mallopt = libc.mallopt
    except (AttributeError, OSError, TypeError):  # no such function, or no such library
        return False
    return all(mallopt(name, value) for name, value in _SETTINGS.items())
