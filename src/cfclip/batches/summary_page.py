"""The page that shows what a batch came to: counts, examples before and after, what failed.

One file that needs no other: pictures are in it as JPEG.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from PIL import Image

from cfclip.batches.openly import open_name, without_folders
from cfclip.batches.rows import Place, Row
from cfclip.batches.shards import read_member
from cfclip.batches.work import BatchRows
from cfclip.editing import Session
from cfclip.errors import InputError
from cfclip.images import open_image
from cfclip.io import write_whole

EXAMPLES = 48
"""Rows that are shown, evenly from all: a page of all of them could not be opened."""
FAILURES = 500
"""Failed rows that are listed; all of them are in results.jsonl."""
_SIDE = 128
_QUALITY = 85

_STYLE = """
:root { color-scheme: light dark; --line: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; } dd { margin: 0; }
.examples { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); }
.examples { gap: 1rem; }
figure { margin: 0; border: 1px solid var(--line); border-radius: .4rem; padding: .5rem; }
figure img { width: 49%; border-radius: .2rem; } figcaption { font-size: .85rem; }
table { border-collapse: collapse; } td { border-top: 1px solid var(--line); padding: .2rem .6rem; }
td, figcaption { overflow-wrap: anywhere; }
"""


def write_summary(
    batch: BatchRows,
    session: Session,
    facts: Mapping[str, str],
    refused: Sequence[str],
    path: Path,
) -> None:
    """Write the page.

    Args:
        batch: what was done.
        session: of the batch's pack, which renders samples before their edit.
        facts: name to text, shown as they are.
        refused: a line for each part of the input that is no row, without folders.
        path: of the page.

    Raises:
        InputError: it cannot be written.
    """
    done = [row for row in batch.rows if row.name in batch.results]
    failures = [(row.name, reason) for row, reason in batch.failures()]
    failures += [("", line) for line in refused]
    shown = [
        done[i * len(done) // min(EXAMPLES, len(done))] for i in range(min(EXAMPLES, len(done)))
    ]
    title = escape(f"{len(done):,} of {len(batch.rows) + len(refused):,} pictures edited")
    parts = [
        "<!doctype html>",
        '<html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{_STYLE}</style>",
        f"<h1>{title}</h1>",
        "<dl>",
        *(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items()),
        "</dl>",
    ]
    if shown:
        parts += [f"<h2>{len(shown)} of them, before and after</h2>", '<div class="examples">']
        parts += [_figure(batch, session, row) for row in shown]
        parts.append("</div>")
    if failures:
        parts += [f"<h2>Not edited: {len(failures):,}</h2>", "<table>"]
        parts += [
            f"<tr><td>{escape(name)}</td><td>{escape(reason)}</td></tr>"
            for name, reason in failures[:FAILURES]
        ]
        parts.append("</table>")
        if len(failures) > FAILURES:
            parts.append(f"<p>And {len(failures) - FAILURES:,} more, in results.jsonl.</p>")
    text = "\n".join(parts) + "\n"
    write_whole(path, text.encode("utf-8", "backslashreplace"))


def _figure(batch: BatchRows, session: Session, row: Row) -> str:
    size = session.pack.manifest.resolution
    name = open_name(row.image)
    caption = f"{name}: {row.text}" + ("" if row.strength == 1 else f", x{row.strength:g}")
    try:
        before = _source(session, row.place, name)
        after = open_image(batch.results.picture(row.name), size, row.name).image
    except InputError as error:  # moved away since it was edited
        reason = escape(without_folders(str(error), (row.place.path, batch.folder.path)))
        return f"<figure><figcaption>{escape(caption)}: {reason}</figcaption></figure>"
    images = "".join(
        f'<img src="{_jpeg(image)}" alt="{escape(what)}">'
        for image, what in ((before, f"{name} before"), (after, f"{name}: {row.text}"))
    )
    return f"<figure>{images}<figcaption>{escape(caption)}</figcaption></figure>"


def _source(session: Session, place: Place, name: str) -> Image.Image:
    size = session.pack.manifest.resolution
    if place.kind == "sample":
        return session.sample(1, place.seed)[0].image
    if place.kind == "latents":
        return session.invert(place.path).image
    if place.kind == "file":
        return open_image(place.path, size).image
    return open_image(read_member(place), size, name).image


def _jpeg(image: Image.Image) -> str:
    """A small one, as an address that holds it."""
    small = image.copy()
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    small.save(stream, format="JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
