"""The command line, called as a process would call it."""

import contextlib
import io
import sys
import traceback
from collections.abc import Sequence

CRASHED = 1
"""Status of a Python process that ends in a traceback."""


def status_of(arguments: Sequence[str]) -> int:
    """Run the command line in this process; its status, its traceback if it has one."""
    from cfclip.apps.cli import main

    try:
        return main(arguments)
    except SystemExit as left:
        if isinstance(left.code, str):
            print(left.code, file=sys.stderr)
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
        return CRASHED


def succeed(*arguments: str) -> None:
    """Run a command that has to end well, in silence; raises `RuntimeError` if it does not."""
    status, _, errors = output_of(arguments)
    if status:
        raise RuntimeError(f"cfclip {' '.join(arguments)}: status {status}\n{errors}")


def output_of(arguments: Sequence[str]) -> tuple[int, str, str]:
    """Status, stdout and stderr of a command in this process."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        status = status_of(arguments)
    return status, out.getvalue(), errors.getvalue()
