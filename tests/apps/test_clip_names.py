"""CLIPs by name: what names mean, which are refused and why, and what happens offline."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import open_clip
import pytest
from clip_origins import openai_tensors, write_huggingface
from domain_files import write_domain
from hub_server import black_hole, closed_port, hub_serving
from tiny_process import environment

from cfclip.apps.cli import main
from cfclip.embedders.clip_sources import OPENAI_REPOSITORIES

_SECONDS = 5.0

_REFUSED_EACH = """
import sys
from cfclip.apps.cli import main

for clip in sys.argv[1:]:
    assert main(["packs", "create", "--name", "t", "--generator", "none.pkl",
                 "--source-text", "person", "--clip", clip]) == 2
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def process(place: Path, arguments: list[str], **variables: str) -> tuple[int, str, float]:
    """Status, standard error and seconds of a process whose proxies and caches are these alone."""
    alone = {name: "" for name in ("http_proxy", "https_proxy", "all_proxy", "ALL_PROXY")}
    kept = {"HF_HOME": str(place / "hub"), "XDG_CACHE_HOME": str(place / "cache")}
    start = time.monotonic()
    run = subprocess.run(
        [sys.executable, *arguments],
        env=environment({**alone, **kept, "NO_PROXY": "127.0.0.1", **variables}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == ""
    return run.returncode, run.stderr, time.monotonic() - start


def create(*more: str) -> list[str]:
    files = ["--name", "t", "--generator", "none.pkl", "--source-text", "person"]
    return ["-m", "cfclip", "packs", "create", *files, *more]


def test_openais_names_mean_openais_weights(tmp_path: Path) -> None:
    wanted = {
        "ViT-B/32": "timm/vit_base_patch32_clip_224.openai",
        "ViT-B/32:openai": "timm/vit_base_patch32_clip_224.openai",
        "ViT-B-32-quickgelu:openai": "timm/vit_base_patch32_clip_224.openai",
        "ViT-B/16": "timm/vit_base_patch16_clip_224.openai",
        "ViT-L/14": "timm/vit_large_patch14_clip_224.openai",
        "ViT-L/14@336px": "timm/vit_large_patch14_clip_336.openai",
        "ViT-L/14@336px:openai": "timm/vit_large_patch14_clip_336.openai",
        "RN50x4": "timm/resnet50x4_clip.openai",
        "RN101": "timm/resnet101_clip.openai",
        "ViT-B/32:laion2b_s34b_b79k": "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
    }
    with hub_serving() as hub:
        status, errors, _ = process(
            tmp_path, ["-c", _REFUSED_EACH, *wanted], HF_ENDPOINT=hub.address
        )
    assert status == 0, errors
    assert errors.count("has no open_clip_model.safetensors; give another CLIP") == len(wanted)
    asked = [
        name.rpartition("/")[0] for name in hub.asked if name.endswith("_clip_model.safetensors")
    ]
    assert asked == list(wanted.values())


def test_where_openais_weights_are_is_as_open_clip_says() -> None:
    for name, repository in OPENAI_REPOSITORIES.items():
        for each in (name, f"{name}-quickgelu"):
            assert open_clip.get_pretrained_cfg(each, "openai")["hf_hub"] == f"{repository}/"


def test_every_configuration_of_open_clip_is_taken_or_refused_by_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("weights.pt").write_bytes(b"nothing")
    taken = []
    shipped = Path(open_clip.__file__).with_name("model_configs")
    names = sorted(path.stem for path in shipped.glob("*.json"))  # tests add others
    for name in names:
        arguments = [each if each != "none.pkl" else "weights.pt" for each in create()[2:]]
        assert main([*arguments, "--clip", f"{name}:weights.pt"]) == 2
        told = capsys.readouterr().err
        assert told.count("cfclip: error: ") == 1
        config = open_clip.get_model_config(name)
        tower = config["vision_cfg"].get("timm_model_name")
        if "cannot be used: " not in told:
            taken.append(name)
            assert tower is None
        else:
            assert told.startswith(f"cfclip: error: the CLIP {name} cannot be used: it"), told
            assert told.count("\n") == 1, told
            assert tower is None or tower in told
    assert [path.name for path in Path().iterdir()] == ["weights.pt"]
    # All that OpenAI published, and those of the same kinds.
    assert {name.removesuffix("-quickgelu") for name in taken} >= set(OPENAI_REPOSITORIES)
    assert (len(taken), len(names) - len(taken)) == (42, 102)


@pytest.mark.parametrize("clip", ["MobileCLIP-S1:datacompdr", "EVA02-B-16:merged2b_s8b_b131k"])
def test_nothing_is_fetched_of_what_cannot_be_used(
    clip: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("asked the network"))
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: pytest.fail("asked the network"))
    download = ["packs", "download", "ffhq", "--accept-licence", "--downloads", "kept"]
    for command in ([*create()[2:], "--clip", clip], [*download, "--clip", clip]):
        assert main(command) == 2
        assert "cannot be used: its image encoder is" in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_clips_of_timm_in_folders(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    for name, custom in (("vit_tiny_patch16_224", True), ("convnext_atto", False)):
        folder = tmp_path / name
        folder.mkdir()
        tower = {"timm_model_name": name, "timm_pool": "", "timm_proj": "linear"}
        model = {"embed_dim": 32, "vision_cfg": tower, "text_cfg": text, "custom_text": custom}
        (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model}))
        assert main([*create()[2:], "--clip", str(folder)]) == 2
        told = capsys.readouterr().err
        assert f"its image encoder is '{name}' of timm, which pictures cannot be inverted" in told
        assert told.count("\n") == 1


def unreachable(kind: str, stack: ExitStack) -> dict[str, str]:
    """Variables of a process that has no network, in one way or another."""
    closed = closed_port()
    ways: dict[str, Callable[[], dict[str, str]]] = {
        "refused": lambda: {"HF_ENDPOINT": closed},
        "no name": lambda: {"HF_ENDPOINT": "http://hub.invalid"},
        "proxy": lambda: {"HF_ENDPOINT": "http://hub.invalid", "http_proxy": closed},
        "socks": lambda: {"ALL_PROXY": closed.replace("http", "socks5"), "NO_PROXY": ""},
        "silent": lambda: {"HF_ENDPOINT": stack.enter_context(black_hole())},
        "silent proxy": lambda: {
            "HF_ENDPOINT": "http://hub.invalid",
            "http_proxy": stack.enter_context(black_hole()),
        },
        "offline": lambda: {"HF_HUB_OFFLINE": "1"},
    }
    return ways[kind]()


@pytest.fixture(scope="module")
def usual_seconds(tmp_path_factory: pytest.TempPathFactory) -> float:
    """Of a command that fails without the network, on a machine that may be busy."""
    place = tmp_path_factory.mktemp("usual")
    return process(place, create("--clip", "nothing"))[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    ["refused", "no name", "proxy", "socks", "silent", "silent proxy", "offline"],
)
def test_a_default_that_must_be_fetched_fails_soon(
    kind: str, tmp_path: Path, usual_seconds: float
) -> None:
    with ExitStack() as stack:
        variables = unreachable(kind, stack)
        status, errors, seconds = process(tmp_path, create(), **variables)
    assert status == 2
    assert errors.count("\n") == 1
    assert errors.startswith("cfclip: error: ViT-B-32-quickgelu:openai: ")
    assert "could not be fetched from" in errors
    assert "give a CLIP that is on this machine" in errors
    assert len(errors) <= 500
    assert seconds < _SECONDS + usual_seconds
    assert not (tmp_path / "t").exists()


def test_an_address_of_the_hub_that_is_none_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://[")
    assert main(["sample", "3", "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert told.startswith("cfclip: error: HF_ENDPOINT is 'http://[', which is no address")
    assert told.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("silent", [False, True])
def test_a_download_that_reaches_nobody_fails_soon(
    silent: bool, tmp_path: Path, usual_seconds: float
) -> None:
    write_domain(tmp_path)
    with ExitStack() as stack:
        address = stack.enter_context(black_hole()) if silent else closed_port()
        place = ["--address", f"{address}/ffhq.pkl", "--clip", str(tmp_path / "clip.pt")]
        download = ["-m", "cfclip", "packs", "download", "ffhq", "--accept-licence"]
        status, errors, seconds = process(tmp_path, [*download, *place])
    assert status == 2
    assert errors.splitlines()[-1].startswith("cfclip: error: 127.0.0.1 cannot be reached (")
    assert seconds < _SECONDS + usual_seconds


@pytest.mark.slow
def test_a_hub_that_falls_silent_is_left(tmp_path: Path, usual_seconds: float) -> None:
    with hub_serving() as hub:
        hub.silent = True
        status, errors, seconds = process(tmp_path, create(), HF_ENDPOINT=hub.address)
    assert (status, errors.count("\n")) == (2, 1)
    assert "could not be fetched from 127.0.0.1 (no answer within" in errors
    assert seconds < _SECONDS + usual_seconds


@pytest.mark.slow
def test_a_clip_of_the_hub_is_fetched_once(tmp_path: Path) -> None:
    write_domain(tmp_path)
    write_huggingface(tmp_path / "clip", openai_tensors())
    arguments = create("--clip", "hf-hub:owner/tiny")
    arguments[arguments.index("none.pkl")] = str(tmp_path / "generator.safetensors")
    first, second = tmp_path / "first", tmp_path / "second"
    with hub_serving() as hub:
        hub.files = {f"owner/tiny/{p.name}": p.read_bytes() for p in (tmp_path / "clip").iterdir()}
        run = process_output(tmp_path, [*arguments, "--out", str(first)], HF_ENDPOINT=hub.address)
        assert run == (0, f"{first / 't'}\n")
        assert "owner/tiny/model.safetensors" in hub.asked
    # The second time nobody is there to be asked.
    run = process_output(tmp_path, [*arguments, "--out", str(second)], HF_ENDPOINT=hub.address)
    assert run == (0, f"{second / 't'}\n")


def process_output(place: Path, arguments: list[str], **variables: str) -> tuple[int, str]:
    """Status and standard output."""
    run = subprocess.run(
        [sys.executable, *arguments],
        env=environment({"HF_HOME": str(place / "hub"), "NO_PROXY": "127.0.0.1", **variables}),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout
