"""`python -m cfclip` is the `cfclip` command."""

import sys

from cfclip.apps.cli import main

if __name__ == "__main__":
    sys.exit(main())
