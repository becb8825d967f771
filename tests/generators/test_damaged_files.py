"""Good files of every form, damaged at random: an error of one line, or what the file says."""

import time
from pathlib import Path

import pytest
import torch
from foreign_files import good_files
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import tiny_generator

from cfclip.errors import CheckpointError
from cfclip.generators import StyleGAN2, load_generator

_CASES = 420
"""Of each of the five forms: 2,100 in all."""
_SECONDS = 2.0
_GOOD = good_files(tiny_generator())
_ENDS = 3000
"""Headers, pickles and directories are at the ends; most of the rest are values."""

edits = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "flip", "insert", "delete", "repeat", "cut"]),
        st.one_of(st.integers(0, _ENDS), st.integers(-_ENDS, -1), st.integers(0, 1 << 20)),
        st.one_of(
            st.binary(min_size=1, max_size=8),
            st.sampled_from([b"\x00" * 4, b"\xff" * 4, b"\xff" * 8, b".", b"R", b"}", b"0", b"9"]),
        ),
    ),
    min_size=1,
    max_size=3,
)


def damaged(data: bytes, edits: list[tuple[str, int, bytes]]) -> bytes:
    for kind, place, value in edits:
        at = place % max(1, len(data))
        length = len(value)
        before, part, after = data[:at], data[at : at + length], data[at + length :]
        data = {
            "set": before + value + after,
            "flip": before + bytes(byte ^ 1 << place % 8 for byte in part) + after,
            "insert": before + value + part + after,
            "delete": before + after,
            "repeat": before + part * 2 + after,
            "cut": before,
        }[kind]
    return data


def assert_from(data: bytes, generator: StyleGAN2) -> None:
    """Every value is one of the file: none was left as memory happened to be."""
    for name, tensor in generator.state_dict().items():
        assert bool(torch.isfinite(tensor).all())
        whole = tensor.numpy().tobytes()
        if whole not in data:  # a view whose strides were changed
            values = {whole[at : at + 4] for at in range(0, len(whole), 4)}
            assert all(value in data for value in values), name


def opened(path: Path) -> StyleGAN2 | None:
    """The generator, None if the file was refused in one line that names it."""
    try:
        return load_generator(path)
    except CheckpointError as error:
        line = str(error)
    assert "\n" not in line
    assert str(path) in line
    return None


@pytest.mark.slow
@pytest.mark.parametrize("name", _GOOD)
def test_damaged_files(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path: Path = tmp_path_factory.mktemp("damaged") / name
    outcomes = {"opened": 0, "refused": 0}

    @settings(
        max_examples=_CASES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(edits)
    def check(edits: list[tuple[str, int, bytes]]) -> None:
        data = damaged(_GOOD[name], edits)
        path.write_bytes(data)
        start = time.process_time()
        generator = opened(path)
        if generator is not None:
            assert_from(data, generator)
        outcomes["refused" if generator is None else "opened"] += 1
        assert time.process_time() - start < _SECONDS

    path.write_bytes(_GOOD[name])
    assert_from(_GOOD[name], load_generator(path))
    check()
    assert sum(outcomes.values()) >= _CASES
    assert outcomes["refused"] > _CASES // 10
