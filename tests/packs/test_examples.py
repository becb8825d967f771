"""Prompts to try a pack with."""

from dataclasses import replace
from pathlib import Path

from cfclip.embedders import unknown_words
from cfclip.packs import EXAMPLES, Pack, available_packs, example_prompts, read_manifest


def test_every_example_of_the_shipped_pack_is_in_its_words() -> None:
    pack = Pack.open("avatars")
    examples = example_prompts(pack.manifest)
    assert len(set(examples)) == EXAMPLES
    assert pack.vocabulary is not None
    assert all(not unknown_words(text, pack.vocabulary) for text in examples)


def test_fewer_aspects_give_fewer_and_none_none(tiny_pack: Path) -> None:
    manifest = read_manifest(tiny_pack / "pack.toml")
    assert example_prompts(manifest) == ("blue hair", "red skin")
    assert example_prompts(replace(manifest, aspects={})) == ()
    assert "avatars" in available_packs()
