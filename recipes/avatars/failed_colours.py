"""Why edits of one colour fail: what the two CLIPs see in those that were not read as asked.

An edit follows the pack's CLIP, so a failure is one of three. That CLIP does not see the asked
colour either: the edit was not carried through. It sees it, and the judge, which no edit follows,
does not: the edit deceives the CLIP that it follows. Or both see it: what they call by the word is
not what the measure does.
"""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from cfclip.embedders import Embedder
from cfclip.losses import readings
from cfclip.packs import Pack
from cfclip.tensors import signed_from_pil
from cfclip_benchmark import ORACLE, BenchmarkFolder, MeasuredEdit, markdown_table
from cfclip_benchmark.avatars import COLOUR_FAMILIES, case_name, load_clip_judge

_HEADER = (
    *("method", "edits of a colour", "failed", "asked colour not seen"),
    *("seen by its own CLIP alone", "seen by both CLIPs"),
)


def failed_colours_table(folder: BenchmarkFolder, rows: Sequence[MeasuredEdit], pack: Pack) -> str:
    """By method, how many edits of one colour failed, and who sees the asked colour in those.

    Args:
        folder: of the benchmark, with the pictures of its edits.
        rows: of the benchmark.
        pack: whose CLIP the edits followed, and whose aspects name the colours.

    Returns:
        a table of Markdown; "" for a pack whose aspects do not name the colours.

    Raises:
        InputError: a picture that is missing.
    """
    words = {
        prompt: words
        for prompt, (family, words) in folder.description()["prompts"].items()
        if family in COLOUR_FAMILIES
    }
    if any(part not in pack.manifest.aspects for each in words.values() for part in each):
        return ""
    clips = (pack.embedder(), load_clip_judge())
    lines = []
    for method in dict.fromkeys(row.method for row in rows if row.method != ORACLE):
        asked = [
            row
            for row in rows
            if row.method == method and row.family in COLOUR_FAMILIES and row.success is not None
        ]
        failed = [row for row in asked if not row.success]
        seen: Counter[tuple[bool, ...]] = Counter()
        for prompt in dict.fromkeys(row.prompt for row in failed):
            images = _pictures(folder, [row for row in failed if row.prompt == prompt])
            ((part, word),) = words[prompt].items()
            texts = pack.manifest.aspects[part]
            seen.update(zip(*(_sees(clip, images, texts, word) for clip in clips), strict=True))
        own_alone, both = seen[True, False], seen[True, True]
        counts = (len(asked), len(failed), len(failed) - own_alone - both, own_alone, both)
        lines.append((method, *map(str, counts)))
    return markdown_table(_HEADER, lines)


def _pictures(folder: BenchmarkFolder, rows: Sequence[MeasuredEdit]) -> Tensor:
    """The edited pictures of rows."""
    pictures = [
        folder.open_picture(folder.picture(row.method, case_name(row.prompt, row.avatar)))
        for row in rows
    ]
    return signed_from_pil(pictures, pictures[0].width)


@torch.no_grad()
def _sees(clip: Embedder, images: Tensor, texts: Sequence[str], word: str) -> list[bool]:
    """Whether a CLIP reads `word` rather than another colour, of each picture.

    Args:
        clip: an embedder.
        images: `(N, 3, side, side)`.
        texts: of an aspect: a colour word and the part it is of.
        word: the colour that was asked for.
    """
    (aspect,) = clip.embed_aspects([texts], 1.0)
    read = readings(clip.embed_images(images), aspect).argmax(1)
    return [texts[place].split()[0] == word for place in read.tolist()]
