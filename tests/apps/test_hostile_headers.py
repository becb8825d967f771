"""What the headers of model files say, in every wrong type: one line, and nothing is made of it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_jobs import write_mapper

from cfclip.apps.cli import main
from cfclip.io import sha256_of
from cfclip.packs.manifest import MANIFEST_FILE, PackManifest, read_manifest, write_manifest

TEXT = "green hair"
ODD: tuple[Any, ...] = (
    *(None, True, "abc", [["a"]], {"a": 1}, -1, 1.5, 10**18, 2**63, 1e300),
    [16, 16, "8", 8],
)
"""Values of every type, and numbers that are no sizes."""
RAW = ("", "3", "null", '"abc"', "[]", "NaN", "9" * 5000, "[" * 10_000, '{"a": 1, "a": 2}')
COMMANDS = {
    "run/best.safetensors": "apply FILE sample:1 --text TEXT --pack tiny --out out --overwrite",
    "tiny/generator.safetensors": "convert FILE out.safetensors --licence mine --overwrite",
    "tiny/encoder.safetensors": (
        "invert me.png --pack tiny --out out --overwrite --projection.steps 0 --quiet"
    ),
    "tiny/linear_text_map.safetensors": (
        "edit sample:1 TEXT --pack tiny --out out --overwrite --steps 1 --augmentations 1 "
        "--start text-map --text-map FILE"
    ),
}
"""A file to a command that opens it."""


def with_hashes(pack: Path) -> PackManifest:
    """The manifest of a pack, with the hashes that its files have now."""
    manifest = read_manifest(pack / MANIFEST_FILE)
    return replace(manifest, files={name: sha256_of(pack / name) for name in manifest.files})


def changes(header: dict[str, str]) -> Iterator[tuple[str, str]]:
    """A key of a header, with a text for it that is wrong, or not what was written."""
    for key in header:
        if key == "format":
            continue
        yield from ((key, raw) for raw in RAW)
        content = json.loads(header[key])
        for name in content if key == "config" else ("models", "prompts"):
            yield key, json.dumps({each: content[each] for each in content if each != name})
            for value in ODD:
                yield key, json.dumps({**content, name: value})


@pytest.mark.parametrize("name", list(COMMANDS))
def test_headers(
    name: str,
    tiny_pack_copy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CFCLIP_PACKS", str(tmp_path))
    write_mapper(tmp_path / "run", tiny_pack_copy)
    with safe_open(tmp_path / name, "pt") as file:
        header = file.metadata()
        tensors = {each: file.get_tensor(each) for each in file.keys()}  # noqa: SIM118
    Image.linear_gradient("L").convert("RGB").save("me.png")
    inside = "FILE" not in COMMANDS[name]
    bad = tmp_path / (name if inside else "bad.safetensors")

    def put(metadata: dict[str, str]) -> None:
        save_file(tensors, bad, metadata=metadata)
        if inside:  # as whoever makes a hostile pack does
            write_manifest(with_hashes(tiny_pack_copy), tiny_pack_copy / MANIFEST_FILE)

    words = [TEXT if word == "TEXT" else word for word in COMMANDS[name].split()]
    command = [str(bad) if word == "FILE" else word for word in words]
    put(header)
    assert main(command) == 0
    capsys.readouterr()
    for key, text in changes(header):
        put({**header, key: text})
        status = main(command)
        assert status == 2 or (status == 0 and text not in RAW), (key, text[:300])
        assert all(len(line) <= 500 for line in capsys.readouterr().err.splitlines())
