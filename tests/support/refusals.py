"""How a command refuses: one line, and nothing else."""

import pytest


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    """The line that a refused command has said."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith("cfclip: error: ")
    return captured.err
