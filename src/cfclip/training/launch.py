"""Whether this process is one of several that a launcher such as torchrun started.

Free of torch: the command line asks before anything else.
"""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Launch:
    """The place of a process among those that were started together."""

    index: int = 0
    """From 0 on; the first one speaks and writes for all."""
    count: int = 1
    local_index: int = 0
    """The same among those on this machine: the GPU that it takes."""

    @classmethod
    def of_environment(cls) -> "Launch":
        """As the variables tell that torchrun sets; alone where they are missing or no numbers."""
        try:
            index, count, local = (
                int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")
            )
        except (KeyError, ValueError):
            return cls()
        return cls(index, count, local)
