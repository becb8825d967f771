"""docs/MODEL-CARD.md, from the card in the pack itself: `pack.toml` is the only source of it.

python -m examples.model_card --out docs/MODEL-CARD.md
"""

import argparse
import sys
import textwrap
from pathlib import Path

from cfclip import CfclipError
from cfclip.apps.console import Console
from cfclip.io import atomic_write
from cfclip.packs import MANIFEST_FILE, Pack, PackManifest, resolve
from cfclip_benchmark import markdown_table

_TITLES = {
    "data": "What it was trained on",
    "training": "How it was trained",
    "uses": "What it is for",
    "limits": "Limits",
}
"""Headings of the card to those of the page, in its order; the figures have their own."""
_WHAT = {
    "generator.safetensors": "StyleGAN2: latents to pictures",
    "encoder.safetensors": "pictures to latents",
    "clip/open_clip_model.safetensors": "CLIP: how well a picture and a text agree",
    "clip/open_clip_config.json": "its configuration, as open_clip reads it",
    "clip/bpe_merges.txt.gz": "its tokenizer",
    "linear_text_map.safetensors": "texts to latents",
    "vocabulary.txt": "the words that it was trained on",
}
_KILOBYTE, _MEGABYTE = 1e3, 1e6
_WIDTH = 100  # letters of a line


def model_card(pack: Pack) -> str:
    """The page of a pack."""
    manifest, words = pack.manifest, pack.vocabulary
    sizes = {name: (pack.folder / name).stat().st_size for name in manifest.files}
    parts = [
        f"# Model card of `{manifest.name}`\n",
        f"The pack that comes with cfclip, written from its `{MANIFEST_FILE}` by\n",
        "```\npython -m examples.model_card --out docs/MODEL-CARD.md\n```\n",
        f"`cfclip packs show {manifest.name}` tells the same of the pack that is installed, after "
        "checking every byte of it.\n",
        markdown_table(("", ""), _facts(manifest)),
        "![Samples of the generator](images/samples.png)\n",
        "## What words it knows\n",
        textwrap.fill("any" if words is None else ", ".join(sorted(words)), _WIDTH) + "\n",
        *(
            f"## {_TITLES[heading]}\n\n{manifest.card[heading].strip()}\n"
            for heading in _TITLES
            if heading in manifest.card
        ),
        "What is asked of those who use it, and what an edit is not, is in "
        "[RESPONSIBLE-USE.md](RESPONSIBLE-USE.md).\n",
        "## Figures\n",
        "As measured; [EVALUATION.md](../EVALUATION.md) has the goals, reached or missed, and how "
        "each figure came about.\n",
        markdown_table(("what", "measured"), _figures(manifest)),
        "## Files\n",
        f"{sum(sizes.values()) / _MEGABYTE:.1f} MB in all. `{MANIFEST_FILE}` has the SHA-256 of "
        "each.\n",
        markdown_table(
            ("file", "holds", "kB"),
            [
                (f"`{name}`", _WHAT.get(name, ""), f"{size / _KILOBYTE:.1f}")
                for name, size in sizes.items()
            ],
        ),
        "[AVATARS.md](AVATARS.md) shows what it makes, has every command that made it, and tells "
        "what else was tried.\n",
    ]
    return "\n".join(parts).rstrip() + "\n"


def _facts(manifest: PackManifest) -> list[tuple[str, str]]:
    return [
        ("version", manifest.version),
        ("licence of the weights", manifest.licence),
        ("attribution", manifest.attribution),
        ("origin", manifest.origin),
        ("pictures", f"{manifest.resolution} x {manifest.resolution} pixels"),
        ("what any of them shows", f'"{manifest.source_text}"'),
    ]


def _figures(manifest: PackManifest) -> list[tuple[str, str]]:
    """The lines of the card's figures; a name may have a colon, a figure has none."""
    lines = manifest.card.get("figures", "").strip().splitlines()
    return [(name, figure) for name, _, figure in (line.rpartition(": ") for line in lines)]


def main(arguments: list[str] | None = None) -> int:
    """Write the page; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m examples.model_card", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="page to write, replaced if there")
    parser.add_argument("--pack", default="avatars", help="model pack, by name or folder")
    options = parser.parse_args(arguments)
    console = Console(quiet=False, as_json=False)
    try:
        text = model_card(Pack.open(resolve(options.pack)))
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(options.out) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except CfclipError as error:
        console.error(str(error))
        return 2
    console.result({"page": str(options.out)}, str(options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
