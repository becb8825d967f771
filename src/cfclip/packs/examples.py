"""Prompts to try a pack with, from what it says it knows."""

from cfclip.packs.manifest import PackManifest

EXAMPLES = 8
_FIRST_VALUE = 3


def example_prompts(manifest: PackManifest, count: int = EXAMPLES) -> tuple[str, ...]:
    """Up to `count` prompts, one for each of the pack's aspects; none if it names no aspects.

    Aspects of many values come first: those are mostly colours, which change what all can see. The
    value is another one for each aspect, so that the examples are not all red.

    >>> from cfclip.packs.manifest import read_manifest
    >>> from cfclip.packs.registry import available_packs
    >>> example_prompts(read_manifest(available_packs()["avatars"] / "pack.toml"), 3)
    ('green hair', 'turquoise eyebrows', 'blue lips')
    """
    aspects = sorted(manifest.aspects.values(), key=len, reverse=True)[:count]
    return tuple(
        values[(_FIRST_VALUE + index) % len(values)] for index, values in enumerate(aspects)
    )
