"""Reads the golden cases: numbers computed once with the reference implementations.

A case is a pair `NAME.json` + `NAME.npz`. The weights are not stored: each tensor is redrawn from
its own key, so that a case of any size stays small.
"""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

_TESTS = Path(__file__).resolve().parents[1]
GOLDEN_FOLDERS = (_TESTS / "golden", _TESTS.parents[1] / "shared" / "golden")
"""Looked in this order: the cases kept with the tests, then the full set beside the checkout."""

RELATIVE_TOLERANCE = 1e-4


def golden_tensor(
    key: str,
    shape: list[int] | tuple[int, ...],
    offset: float = 0.0,
    scale: float = 1.0,
    absolute: bool = False,
    salt: str = "",
) -> Tensor:
    """The float32 tensor that a golden case means by `key` (also its unstored inputs)."""
    seed = zlib.crc32((salt + key).encode()) & 0xFFFFFFFF
    # The cases are defined by this legacy generator.
    noise = np.random.RandomState(seed).standard_normal(tuple(shape))
    # A 0-d shape gives a plain float: asarray makes both cases an array.
    values = np.asarray(noise).astype(np.float32)
    return torch.from_numpy(np.asarray(offset + scale * (np.abs(values) if absolute else values)))


def golden(name: str) -> tuple[dict[str, Tensor], dict[str, np.ndarray], dict[str, Any]]:
    """`(parameters, arrays, notes)` of the case `name`; skips the test where it is not available.

    `parameters` maps the checkpoint's own keys to float32 tensors, `arrays` is the content of the
    `.npz`, `notes` is everything else that the JSON says (`description`, `notes`, `salt`).
    """
    for folder in GOLDEN_FOLDERS:
        description = folder / f"{name}.json"
        if description.is_file():
            break
    else:
        pytest.skip(f"golden case {name} is not available")
    notes = json.loads(description.read_text())
    salt = notes.get("salt", "")
    parameters = {
        key: golden_tensor(key, shape, offset, scale, absolute, salt).float()
        for key, shape, offset, scale, absolute in notes.pop("parameters", [])
    }
    with np.load(description.with_suffix(".npz")) as stored:
        arrays = {key: stored[key] for key in stored.files}
    return parameters, arrays, notes


def relative_error(value: Tensor | np.ndarray, expected: Tensor | np.ndarray) -> float:
    """`norm(value - expected) / norm(expected)` in float64."""
    first = torch.as_tensor(value).detach().double()
    second = torch.as_tensor(expected).detach().double()
    assert first.shape == second.shape, f"shape {tuple(first.shape)} != {tuple(second.shape)}"
    return float((first - second).norm() / second.norm())
