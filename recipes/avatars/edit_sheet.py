"""A page of edits as users get them, avatars by prompts, to look at and to show."""

import logging
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from cfclip.editing import Session, Source
from cfclip.errors import InputError
from cfclip.images import check_outputs, write_png
from recipes.avatars.dataset import load_dataset

_log = logging.getLogger(__name__)
PROMPTS = (
    "green hair",
    "pink hair",
    "blue skin",
    "green skin",
    "purple eyebrows",
    "green lipstick",
    "blue lips",
    "a bearded person in a dress",
)
"""One or two of each family of the benchmark."""

_TILE = 128  # pixels that small pictures are enlarged to, by a whole factor
_GAP = 8
_LABEL_WIDTH = 168
_FONT_SIZE = 20
_LINE_LETTERS = 15  # of `_FONT_SIZE` fit `_LABEL_WIDTH`
_PAPER, _INK = (255, 255, 255), (32, 32, 32)


@dataclass(frozen=True)
class Page:
    """Edit some avatars with some prompts and the pack's own settings, all on one picture."""

    pack: str
    """Name or folder of the pack."""
    out: Path
    """PNG to write: the avatars in the first row, then a row for each prompt."""
    natural: Path | None = None
    """Rendered avatars to edit, inverted first as any picture is; samples if not given."""
    avatars: tuple[int, ...] = tuple(range(8))
    """Seeds of the samples, or rows of `natural`."""
    prompts: tuple[str, ...] = PROMPTS
    """What each avatar is edited with."""
    seed: int = 0
    """Seed of the edits."""
    threads: int = 2
    """Processor threads."""
    overwrite: bool = False
    """Replace an earlier page."""

    def run(self) -> None:
        """Make the page."""
        make_page(self)


def make_page(config: Page) -> None:
    """Edit every avatar with every prompt, each alone as the command line does; see `Page`.

    Raises:
        InputError: avatars that there are not, a prompt that cannot be used, or `config.out`
            cannot be written.
        KeyboardInterrupt: Ctrl-C; nothing is written.
    """
    check_outputs([config.out], config.overwrite)
    torch.set_num_threads(config.threads)
    session = Session.open(config.pack)
    method = session.method()
    for prompt in config.prompts:  # an unusable one is refused before minutes of work
        session.check_edit(method, prompt)
    for warning in session.pack.text_warnings(config.prompts):
        _log.warning("%s", warning)
    sources = _sources(session, config)
    rows = [[source.image for source in sources]]
    edits = len(config.prompts) * len(sources)
    for prompt in config.prompts:
        rows.append([])
        for source in sources:
            result = session.edit(source, prompt, config.seed, method=method)
            if result.interrupted:
                raise KeyboardInterrupt
            rows[-1].append(result.image)
            done = sum(map(len, rows[1:]))
            _log.info("%d of %d, %s: %s, %.1f s", done, edits, source.name, prompt, result.seconds)
    write_png(compose(rows, ("source", *config.prompts)), config.out, overwrite=config.overwrite)


def _sources(session: Session, config: Page) -> list[Source]:
    if not config.avatars or not config.prompts:
        raise InputError("nothing to edit; give at least one avatar and one prompt")
    if config.natural is None:
        return [session.sample(1, seed)[0] for seed in config.avatars]
    data = load_dataset(config.natural)
    if absent := [row for row in config.avatars if not 0 <= row < len(data)]:
        raise InputError(f"avatar {absent[0]} is not one of the {len(data)} of {config.natural}")
    return session.invert([Image.fromarray(data.images[row]) for row in config.avatars])


def compose(rows: Sequence[Sequence[Image.Image]], labels: Sequence[str]) -> Image.Image:
    """Rows of equally many pictures of one size on white paper, a label on the left of each."""
    side = rows[0][0].width
    tile = side * max(1, -(-_TILE // side))
    step = tile + _GAP
    size = (_LABEL_WIDTH + len(rows[0]) * step + _GAP, len(rows) * step + _GAP)
    paper = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(paper)
    font = ImageFont.load_default(_FONT_SIZE)
    for r, (row, label) in enumerate(zip(rows, labels, strict=True)):
        top = _GAP + r * step
        text = textwrap.fill(label, _LINE_LETTERS)
        draw.multiline_text((_GAP, top + tile // 2), text, _INK, font, anchor="lm")
        for c, picture in enumerate(row):
            enlarged = picture.resize((tile, tile), Image.Resampling.NEAREST)
            paper.paste(enlarged, (_LABEL_WIDTH + c * step, top))
    return paper
