"""`cfclip packs create` and `cfclip packs download` on the files of a tiny domain."""

import json
from pathlib import Path

import pytest
from domain_files import write_domain
from http_server import cut, serving

from cfclip.apps.cli import main
from cfclip.packs import Pack
from cfclip.packs.published import PUBLISHED


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("domain")
    write_domain(folder)
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def create(domain: Path, *more: str, word: str = "packs") -> list[str]:
    files = [
        "--generator",
        str(domain / "generator.safetensors"),
        "--clip",
        str(domain / "clip.pt"),
    ]
    return [word, "create", "--name", "dogs", *files, "--source-text", "dog", *more]


def download(*more: str, name: str = "afhqdog") -> list[str]:
    return ["packs", "download", name, *more]


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """The last line that a failing command says."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith("cfclip: error: ")
    return captured.err.splitlines()[-1]


def test_create_edit_and_show(domain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(create(domain, "--licence", "MIT")) == 0
    captured = capsys.readouterr()
    assert captured.out == "dogs\n"
    assert "CLIP with QuickGELU: it is one of OpenAI's archives" in captured.err
    assert "cannot       start an edit from the text" in captured.err
    assert "warning" not in captured.err
    assert main(["edit", "sample:1", "blue dog", "--pack", "dogs", "--out", "o", "--steps=2"]) == 0
    assert Path("o/sample-1_blue-dog.png").is_file()
    capsys.readouterr()
    assert main(["packs", "show", "dogs"]) == 0
    assert "can          edit its own samples" in capsys.readouterr().out


def test_create_as_json_under_its_other_names(
    domain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = ["--encoder", str(domain / "encoder.safetensors")]
    identity = ["--identity", str(domain / "identity.pth"), "--license", "MIT"]
    assert main(create(domain, *extra, *identity, "--json", "--quiet", word="pack")) == 0
    captured = capsys.readouterr()
    content = json.loads(captured.out)
    assert captured.err == ""
    assert content["pack"] == "dogs"
    assert content["warnings"] == []
    assert any("encoder" in line for line in content["can"])


@pytest.mark.slow
def test_trainings_take_the_identity_network_of_the_pack(domain: Path) -> None:
    assert main(create(domain, "--identity", str(domain / "identity.pth"))) == 0
    few = [
        "--steps",
        "2",
        "--samples",
        "8",
        "--validation",
        "4",
        "--lr",
        "0.01",
        "--identity",
        "0.2",
    ]
    assert main(["train", "--pack", "dogs", "--text", "a blue dog", "--out", "run", *few]) == 0
    digest = Pack.open("dogs").manifest.files["identity.safetensors"]
    assert digest.encode() in Path("run/best.safetensors").read_bytes()


def test_create_with_bad_input(domain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, create(domain, "--clip", "nothing"))
    assert "'nothing' is no CLIP that can be opened; give a folder" in line
    assert not Path("dogs").exists()


def test_the_licence_is_shown_and_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(download()) == 2
    error = capsys.readouterr().err
    for part in ("NVIDIA Source Code License", "non-commercial", "license.html", "nvlabs-fi-cdn"):
        assert part in error
    assert "give --accept-license if you accept it" in error.splitlines()[-1]
    assert not list(Path().iterdir())


def test_download_makes_a_pack(domain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = (domain / "generator.safetensors").read_bytes()
    with serving(content) as server:
        server.replies = [cut(1000)]
        place = ["--address", server.address, "--clip", str(domain / "clip.pt")]
        assert main(download("--accept-license", *place)) == 0
        assert capsys.readouterr().out == "afhqdog\n"
        manifest = Pack.open("afhqdog").manifest
        assert manifest.source_text == "dog"
        assert manifest.licence.startswith("NVIDIA Source Code License")
        assert PUBLISHED["afhqdog"].address in manifest.origin
        kept = Path("cache/cfclip/downloads")
        assert {path.name for path in kept.iterdir()} == {"afhqdog.pkl", "pins.json"}
        assert "afhqdog exists" in refused(capsys, download("--accept-licence", *place))
        assert main(download("--accept-licence", *place, "--name", "dogs")) == 0
        assert server.ranges == [None, "bytes=1000-"]  # the second pack is of the kept file


def test_a_download_that_is_no_generator_is_not_pinned(
    domain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving((domain / "generator.safetensors").read_bytes()[:-50]) as server:
        place = ["--accept-license", "--address", server.address, "--downloads", "kept"]
        place += ["--clip", str(domain / "clip.pt")]
        assert "is no usable generator and was removed" in refused(capsys, download(*place))
    assert not list(Path("kept").iterdir())
    assert not Path("afhqdog").exists()


def test_names_that_are_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, download(name="afhqfish"))
    assert "no generator 'afhqfish' is known; known are ffhq, afhqdog" in line


def test_the_help_names_every_generator(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(download("--help"))
    told = capsys.readouterr().out
    assert all(name in told for name in PUBLISHED)
