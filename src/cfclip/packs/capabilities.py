"""What a pack can do and what it cannot, and prompts to try it with; free of torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cfclip.packs.manifest import PackManifest
from cfclip.packs.pack import ENCODER_FILE, GENERATOR_FILE, IDENTITY_FILE, TEXT_MAP_FILE
from cfclip.packs.registry import resolve

if TYPE_CHECKING:
    from cfclip.generators import StyleGAN2Config

EXAMPLES = 8
_FIRST_VALUE = 3


@dataclass(frozen=True)
class Capabilities:
    """One line each, for a person."""

    can: tuple[str, ...]
    cannot: tuple[str, ...]

    def lines(self) -> list[str]:
        """All of it, for a terminal."""
        return [
            *(f"can          {line}" for line in self.can),
            *(f"cannot       {line}" for line in self.cannot),
        ]


def capabilities_of(manifest: PackManifest) -> Capabilities:
    """What follows from the files that a pack has and from what its `pack.toml` says."""
    files, name = manifest.files, manifest.name
    can = [
        f"edit its own samples with text (cfclip edit sample:1 --text TEXT --pack {name} --out out)"
    ]
    cannot = []
    if ENCODER_FILE in files:
        can.append("invert pictures by its encoder, refined by optimisation")
    else:
        can.append("invert pictures by optimisation alone, from the generator's mean picture")
        cannot.append(
            "give a first guess of a picture's code: it has no encoder (packs create --encoder), "
            "so inverting takes longer and reproduces unusual pictures worse"
        )
    if TEXT_MAP_FILE in files:
        can.append("start an edit from the text (--start text-map)")
    else:
        cannot.append(
            "start an edit from the text: it has no text map (cfclip fit-text-map makes one from "
            "pictures with captions)"
        )
    if IDENTITY_FILE in files:
        can.append("keep a face's identity when text mappers are trained (train --identity)")
    else:
        cannot.append("keep a face's identity in trainings: it has no network for it (--identity)")
    if manifest.vocabulary:
        can.append(f"warn about words that it does not know ({manifest.vocabulary})")
    if manifest.aspects:
        can.append(f"keep apart {len(manifest.aspects)} aspects of a picture (--aspects)")
    else:
        cannot.append("tell aspects of a picture apart: pack.toml lists none (--aspects is 0)")
    cannot.append(
        "frame pictures as the generator's training pictures were, but for faces to be cut as "
        "FFHQ's (--align)"
    )
    return Capabilities(tuple(can), tuple(cannot))


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


def generator_config(name_or_folder: str | Path) -> "StyleGAN2Config":
    """The sizes of a pack's generator, which is not loaded, nor the pack checked.

    Raises `PackError` for no such pack, `CheckpointError` for one without a generator.
    """
    from cfclip.generators import read_generator_config

    return read_generator_config(resolve(name_or_folder) / GENERATOR_FILE)
