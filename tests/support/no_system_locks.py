"""The command line on a file system without locks, such as Lustre mounted without `-o flock`."""

import errno
import fcntl
import os
import sys


def flock(handle: object, operation: int) -> None:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


if __name__ != "no_system_locks":  # as plain a program as can be, which workers may not run again
    fcntl.flock = flock

    from cfclip.apps.cli import main

    sys.exit(main(sys.argv[1:]))
