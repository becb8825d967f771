"""`python -m cfclip` is the `cfclip` command."""

import os
import sys

from cfclip.apps.cli import main
from cfclip.training.launch import Launch

if __name__ == "__main__":
    status = main()
    if Launch.of_environment().count > 1:
        # Threads that exchanged with the other processes may still end while the interpreter does,
        # which aborts it ("terminate called"); all is written, so nothing is lost by going at once.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
