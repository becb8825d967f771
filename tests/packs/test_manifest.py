from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w

from cfclip.errors import PackError
from cfclip.packs.manifest import (
    PackDefaults,
    PackManifest,
    format_manifest,
    parse_manifest,
    read_manifest,
    write_manifest,
)

MANIFEST = PackManifest(
    name="tiny-1",
    version="1.0",
    licence="CC-BY-4.0",
    origin='made by a test\nwith "quotes", \\ and ünïcode \U0001f600',
    resolution=32,
    source_text="a person",
    unrealistic_text="a blot",
    templates=("{}", "a picture of {}"),
    attribution="somebody",
    vocabulary="vocabulary.txt",
    files={"vocabulary.txt": "0" * 64, "clip/config.json": "a" * 64},
    defaults=PackDefaults(
        edit={"steps": 3, "lr": 0.1}, projection={"steps": 2}, training={"lr": 1.0}
    ),
    aspects={"hair": ("red hair", "blue hair"), "mouth": ("a smile", "an open mouth")},
    card={"data": "one line\nand another", "limits": "many"},
)


def test_round_trip() -> None:
    assert parse_manifest(format_manifest(MANIFEST)) == MANIFEST


def test_optional_fields_may_be_absent() -> None:
    plain = replace(
        MANIFEST, attribution="", vocabulary="", defaults=PackDefaults(), aspects={}, card={}
    )
    text = format_manifest(plain)
    assert "attribution" not in text
    assert "defaults" not in text
    assert "aspects" not in text
    assert "card" not in text
    assert parse_manifest(text) == plain


def test_the_text_does_not_depend_on_the_order_of_files() -> None:
    turned = replace(MANIFEST, files=dict(reversed(list(MANIFEST.files.items()))))
    assert format_manifest(turned) == format_manifest(MANIFEST)


def test_write_and_read(tmp_path: Path) -> None:
    write_manifest(MANIFEST, tmp_path / "pack.toml")
    assert read_manifest(tmp_path / "pack.toml") == MANIFEST
    assert [path.name for path in tmp_path.iterdir()] == ["pack.toml"]


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"pack\.toml: cannot read it"):
        read_manifest(tmp_path / "pack.toml")
    (tmp_path / "pack.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(PackError, match="not UTF-8"):
        read_manifest(tmp_path / "pack.toml")
    with pytest.raises(PackError, match=r"pack\.toml: is not TOML"):
        parse_manifest("name = ")


CONTENT = {
    "format": 1,
    "name": "tiny",
    "version": "1",
    "licence": "MIT",
    "origin": "a test",
    "resolution": 32,
    "source_text": "a person",
    "unrealistic_text": "a blot",
    "templates": ["{}"],
    "files": {"a.txt": "0" * 64},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format is 2, this version of cfclip reads 1"),
        ({"format": True}, "format is True"),
        ({"format": None}, "format is missing"),
        ({"name": None, "licence": None}, "missing field name, licence"),
        ({"files": None}, "missing field files"),
        ({"colour": 1, "bend": 2}, "unknown field bend, colour; known are name"),
        ({"name": "Tiny Pack"}, "name 'Tiny Pack' is not lower-case"),
        ({"name": "../up"}, "name '../up'"),
        ({"version": 1.0}, "version is 1.0, expected a text"),
        ({"licence": " "}, "licence is empty"),
        ({"resolution": "32"}, "resolution is '32', expected a whole number"),
        ({"resolution": True}, "resolution is True"),
        ({"resolution": 0}, "resolution is 0"),
        ({"templates": "{}"}, "templates is '{}', expected a list"),
        ({"templates": []}, "templates is empty"),
        ({"templates": ["a picture"]}, "must contain exactly one {}"),
        ({"templates": ["{} and {}"]}, "must contain exactly one {}"),
        ({"templates": ["{} {0}"]}, "must contain exactly one {}"),
        ({"templates": [1]}, "one of templates is 1, expected a text"),
        ({"vocabulary": "words.json"}, "expected the name of a .txt file"),
        ({"aspects": "hair"}, "aspects is 'hair', expected a table"),
        ({"aspects": {"hair": "red"}}, "aspects.hair is 'red', expected a list"),
        ({"aspects": {"hair": ["red", "red"]}}, "aspects.hair is"),
        ({"aspects": {"hair": ["red", 1]}}, "one of aspects.hair is 1, expected a text"),
        ({"card": "text"}, "card is 'text', expected a table"),
        ({"card": {"data": ""}}, "card.data is empty"),
        ({"card": {"data": 3}}, "card.data is 3, expected a text"),
        ({"defaults": 1}, "defaults is 1, expected a table"),
        ({"defaults": {"editing": {}}}, "unknown field editing in defaults; known are edit"),
        ({"defaults": {"edit": 3}}, "defaults.edit is 3, expected a table"),
        ({"files": ["a.txt"]}, "files is ['a.txt'], expected a table"),
        ({"files": {"a.txt": "0" * 63}}, "expected a SHA-256"),
        ({"files": {"a.txt": "G" * 64}}, "expected a SHA-256"),
        ({"files": {"/etc/a.txt": "0" * 64}}, "not relative"),
        ({"files": {"C:/a.txt": "0" * 64}}, "not relative"),
        ({"files": {"a\\b.txt": "0" * 64}}, "not relative"),
        ({"files": {"../a.txt": "0" * 64}}, "'..' part"),
        ({"files": {"a//b.txt": "0" * 64}}, "'..' part"),
        ({"files": {".hidden.txt": "0" * 64}}, "hidden"),
        ({"files": {"pack.toml": "0" * 64}}, "cannot list itself"),
        ({"files": {"weights.pt": "0" * 64}}, "of a kind that packs do not hold"),
    ],
)
def test_what_is_refused(change: dict[str, object], message: str) -> None:
    content = {name: value for name, value in {**CONTENT, **change}.items() if value is not None}
    with pytest.raises(PackError) as caught:
        parse_manifest(tomli_w.dumps(content), "here/pack.toml")
    assert str(caught.value).startswith("here/pack.toml: ")
    assert message in str(caught.value)


def test_the_unchanged_content_is_accepted() -> None:
    assert parse_manifest(tomli_w.dumps(CONTENT)).templates == ("{}",)
