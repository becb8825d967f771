"""docs/GALLERY.md: edits drawn at random, one prompt of every family, whatever becomes of them.

    python -m examples.gallery --out docs

Prompts and avatars are drawn from a seed before anything is edited, and every edit that was drawn
is shown. Below each stands what two networks read of it that only measure. Needs the extra `bench`,
whose prompts they are.
"""

import argparse
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from cfclip import CfclipError, EditResult, Session
from cfclip.apps.console import Console
from cfclip.images import check_outputs
from cfclip.io import atomic_write
from cfclip.packs import PackManifest
from cfclip.provenance import GENERATED, Provenance, write_picture
from cfclip.tensors import signed_from_pil
from cfclip.viewing import sheet
from cfclip_benchmark import Probe
from cfclip_benchmark.avatars import (
    SHAPE_WORDS,
    SHAPES,
    SHIPPED_PROMPTS,
    AvatarEdit,
    classes,
    load_probes,
    read_prompts,
)
from examples.method_figures import small

PAGE = "GALLERY.md"
PICTURES = "images/gallery"
AVATARS = 3
"""Edits of each prompt."""
_SEEDS = 1000  # samples to draw from
_TITLES: Mapping[str, str] = {
    "hair": "Hair of a colour that no hair had in training",
    "skin": "Skin of such a colour",
    "brow": "Brows of such a colour",
    "lip": "Lips of such a colour",
    "excluded": "Two shapes that were never seen together",
    "reworded": "A template that no caption used",
    "pair": "Two colours at once",
    "control": "What the training pictures do show",
}


@dataclass(frozen=True)
class Drawn:
    """One prompt and the samples that it is tried on, drawn before any edit."""

    edit: AvatarEdit
    seeds: tuple[int, ...]

    @property
    def picture(self) -> str:
        """Its picture, from the page."""
        return f"{PICTURES}/{self.edit.family}.png"


@dataclass(frozen=True)
class Shown:
    """What became of it."""

    drawn: Drawn
    picture: Image.Image
    """Sources above, edits below."""
    read: tuple[bool, ...]
    """Of each edit, whether both probes read all that the prompt says."""


def draw(seed: int, file: Path = SHIPPED_PROMPTS) -> tuple[Drawn, ...]:
    """A test prompt of every family and samples for it; the same seed draws the same."""
    rng = random.Random(seed)
    prompts = read_prompts(file).test
    families = dict.fromkeys(edit.family for edit in prompts)
    return tuple(
        Drawn(
            rng.choice([edit for edit in prompts if edit.family == family]),
            tuple(sorted(rng.sample(range(_SEEDS), AVATARS))),
        )
        for family in families
    )


def is_read(edit: AvatarEdit, image: Image.Image, probes: Sequence[Probe]) -> bool:
    """Whether every probe reads all that a prompt says off a picture."""
    pixels = signed_from_pil([image], image.width)
    return all(
        classes(name)[int(reading[name])]
        in (SHAPE_WORDS[name][word].true if name in SHAPES else (word,))
        for reading in (probe.read(pixels) for probe in probes)
        for name, word in edit.words.items()
    )


def make_gallery(
    chosen: Sequence[Drawn],
    out: Path,
    pack: str,
    seed: int,
    console: Console,
    settings: Mapping[str, Any],
) -> None:
    """Edit what was drawn, then write the pictures and the page; earlier ones are replaced.

    Raises `CfclipError` for a pack, a setting or an output that cannot be used.
    """
    check_outputs([out / PAGE, *(out / each.picture for each in chosen)], overwrite=True)
    session, probes = Session.open(pack), tuple(load_probes().values())
    shown = []
    for each in chosen:
        sources = [session.sample(1, sample)[0] for sample in each.seeds]
        with console.progress(each.edit.prompt) as update:
            results = session.edit(sources, each.edit.prompt, seed, callback=update, **settings)
        if any(result.interrupted for result in results):
            raise KeyboardInterrupt
        shown.append(_shown(each, results, probes))
        console.note(f"{each.edit.prompt}: {sum(shown[-1].read)} of {AVATARS} read")
    for each in shown:
        prompt = each.drawn.edit.prompt
        manifest, fingerprint = session.pack.manifest, session.pack.fingerprint
        told = Provenance(
            GENERATED, (prompt,), manifest.name, manifest.version, fingerprint, seed, None
        )
        write_picture(small(each.picture), out / each.drawn.picture, told, overwrite=True)
    with atomic_write(out / PAGE) as temporary:
        temporary.write_text(page(shown, session.pack.manifest, seed), encoding="utf-8")
    console.result({"page": str(out / PAGE)}, str(out / PAGE))


def _shown(drawn: Drawn, results: Sequence[EditResult], probes: Sequence[Probe]) -> Shown:
    read = tuple(is_read(drawn.edit, result.image, probes) for result in results)
    above = [
        (result.source, f"sample:{seed}") for result, seed in zip(results, drawn.seeds, strict=True)
    ]
    below = [
        (result.image, "read" if good else "not read")
        for result, good in zip(results, read, strict=True)
    ]
    return Shown(drawn, sheet([above, below]), read)


def page(shown: Sequence[Shown], manifest: PackManifest, seed: int) -> str:
    """The text of the page."""
    parts = [
        "# Gallery\n",
        f"Edits by the pack `{manifest.name}` {manifest.version} with its own settings. Nothing "
        "here is chosen: of every family of "
        f"[the benchmark's](BENCHMARK.md#prompts-and-avatars) test prompts one is drawn at random, "
        f"and {AVATARS} samples of the generator for it, before anything is edited (seed {seed}); "
        "all edits are shown, failures too.\n",
        "Above are the samples, below the edits. *Read* means that two networks, which only "
        "measure and which no edit sees, both find in the picture what the prompt says. That is "
        "too few edits to tell a rate: [EVALUATION.md](../EVALUATION.md) has measured ones, on "
        "avatars whose true edited picture is known.\n",
        "```\npython -m examples.gallery --out docs\n```\n",
        "makes this page and its pictures, which tell `cfclip inspect` how they were made.\n",
    ]
    for each in shown:
        edit, seeds = each.drawn.edit, ", ".join(map(str, each.drawn.seeds))
        parts += [
            f"## {_TITLES[edit.family]}\n",
            f"`{edit.prompt}`, samples {seeds}: {sum(each.read)} of {len(each.read)} read.\n",
            f"![{len(each.read)} samples above, below them their edits by the text "
            f'"{edit.prompt}"]({each.drawn.picture})\n',
        ]
    return "\n".join(parts)


def main(arguments: list[str] | None = None) -> int:
    """Make the gallery; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m examples.gallery", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for page and pictures")
    parser.add_argument("--pack", default="avatars", help="model pack, by name or folder")
    parser.add_argument("--seed", type=int, default=0, help="decides every random draw")
    parser.add_argument(
        "--prompts",
        type=Path,
        default=SHIPPED_PROMPTS,
        help="file of prompts; the benchmark's if not given",
    )
    parser.add_argument("--steps", type=int, help="of each edit; the pack's if not given")
    options = parser.parse_args(arguments)
    console = Console(quiet=False, as_json=False)
    settings = {} if options.steps is None else {"steps": options.steps}
    try:
        chosen = draw(options.seed, options.prompts)
        make_gallery(chosen, options.out, options.pack, options.seed, console, settings)
    except CfclipError as error:
        console.error(str(error))
        return 2
    except KeyboardInterrupt:
        console.error("interrupted; nothing was written")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
