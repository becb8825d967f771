"""`cfclip web` before it serves: quick to parse, and what is wrong is told in one line."""

import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest
import refusals
from web_server import served

from cfclip.apps.cli import main
from cfclip.apps.web.server import HOST, listen
from cfclip.errors import InputError


@pytest.fixture(autouse=True)
def proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command looks away from those of the environment; that ends with the test."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")


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


def test_a_gradio_that_does_not_load_is_not_called_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "gradio.py").write_text("raise ImportError('wrong build of x')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "gradio", raising=False)
    told = refused(capsys)
    assert "Gradio does not load: wrong build of x" in told
    assert "needs the web extra" not in told


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "unknown://127.0.0.1:9"])
def test_a_proxy_is_nothing_to_it(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    pytest.importorskip("gradio")
    for name in ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, proxy)
        monkeypatch.setenv(name.lower(), proxy)
    with served() as app, build_opener(ProxyHandler({})).open(app.url, timeout=60) as page:
        assert page.status == 200
