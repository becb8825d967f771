"""`cfclip web` before it serves: quick to parse, and what is wrong is told in one line."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import refusals

from cfclip.apps.cli import main
from cfclip.apps.web.server import HOST, listen
from cfclip.errors import InputError


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["web", *map(str, arguments)]) == 2
    return refusals.refused(capsys)


def test_parsing_it_loads_nothing_heavy() -> None:
    code = """
import sys
from cfclip.apps.cli import parse
parse(["web", "--port", "1"])
print(*({"torch", "gradio", "fastapi", "uvicorn", "numpy", "PIL"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_it_listens_to_this_machine_only() -> None:
    with listen(0) as opened:
        opened.listen()
        host, port = opened.getsockname()
        assert host == HOST == "127.0.0.1"
        with pytest.raises(InputError, match=f"cannot listen on port {port}"):
            listen(port)


def test_a_port_that_is_taken_or_none(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gradio")
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        told = refused(capsys, "--port", taken.getsockname()[1])
    assert "choose another" in told
    assert "port 70000" in refused(capsys, "--port", 70000)


def test_what_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    assert "unknown pack 'nowhere'" in refused(capsys, "--pack", "nowhere", "--port", 0)
    assert "holds no mapper" in refused(capsys, "--mappers", tmp_path)
    assert "visitors is 0" in refused(capsys, "--limits.visitors", 0)


def test_without_the_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert "pip install 'cfclip[web]'" in refused(capsys)
