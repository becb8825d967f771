"""Fixtures for all tests. Nothing here needs a network, a GPU or the shipped pack."""

import shutil
from pathlib import Path

import pytest

collect_ignore = ["support/no_system_locks.py"]
"""A program that runs when it is imported: some users' programs do."""


@pytest.fixture(scope="session")
def tiny_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a complete pack of tiny random models, named `tiny`. Only to be read."""
    from tiny_pack import write_tiny_pack  # imports torch and open_clip: many tests need neither

    folder = tmp_path_factory.mktemp("packs") / "tiny"
    write_tiny_pack(folder)
    return folder


@pytest.fixture
def tiny_pack_copy(tiny_pack: Path, tmp_path: Path) -> Path:
    """A copy of `tiny_pack` that the test may damage."""
    return shutil.copytree(tiny_pack, tmp_path / "tiny")


@pytest.fixture(scope="session")
def method_files(tiny_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with what methods take, made with `tiny_pack`. Only to be read."""
    from tiny_methods import make_method_files

    return make_method_files(tiny_pack, tmp_path_factory.mktemp("method-files"))
