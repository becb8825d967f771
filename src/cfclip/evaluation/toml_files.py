"""Files of TOML that a benchmark is given."""

import tomllib
from pathlib import Path
from typing import Any

from cfclip.errors import InputError


def read_toml(path: str | Path) -> dict[str, Any]:
    """What is in a file. Raises `InputError` if it cannot be read or is not TOML."""
    try:
        with open(path, "rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from error
