"""Pieces of the page as HTML: plain functions of what they show. Everything shown is escaped."""

import base64
import re
from collections.abc import Iterable, Sequence
from html import escape
from io import BytesIO
from urllib.parse import quote

from PIL import Image

from cfclip.apps.web.studio import READING, Stage
from cfclip.apps.web.visitors import KeptEdit

_QUALITY = 92
_PERCENT = 100
_MINUTE = 60

DOWNLOADS = {
    "picture": "Picture",
    "strip": "Before and after",
    "sweep": "Animation",
    "record": "Record",
}
"""What can be downloaded of an edit, and what the page calls it."""

_MOVE = (
    "this.parentNode.style.setProperty('--at', this.value);"
    "this.setAttribute('aria-valuetext', (100 - this.value) + ' % after');"
    "window.cfclipAt = this.value"
)
_RESTORE = (
    "if (window.cfclipAt) { this.parentNode.style.setProperty('--at', window.cfclipAt);"
    "this.parentNode.querySelector('input').value = window.cfclipAt }"
)


def picture_uri(image: Image.Image) -> str:
    """A picture as a `data:` address: nothing of it has to lie in a file that is served."""
    stream = BytesIO()
    image.save(stream, "WEBP", quality=_QUALITY, method=0)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()


def comparison(before: Image.Image, after: Image.Image, about: str) -> str:
    """Two pictures on top of each other with a divider that moves, by mouse, finger or keys."""
    return (
        '<figure class="cf-stage cf-compare">'
        f'<img src="{picture_uri(before)}" alt="before">'
        f'<img class="cf-after" src="{picture_uri(after)}" alt="{escape(about)}" '
        f'onload="{_RESTORE}">'
        '<span class="cf-tag">before</span><span class="cf-tag cf-right">after</span>'
        '<span class="cf-divider"></span>'
        '<input type="range" min="0" max="100" value="50" '
        f'aria-label="Compare before and after" oninput="{_MOVE}">'
        "</figure>"
    )


def picture(image: Image.Image, about: str, tag: str = "") -> str:
    """One picture, with a word on it."""
    word = f'<span class="cf-tag">{escape(tag)}</span>' if tag else ""
    return (
        f'<figure class="cf-stage"><img src="{picture_uri(image)}" alt="{escape(about)}">{word}'
        "</figure>"
    )


def source_card(image: Image.Image, about: str) -> str:
    """The picture that the next edit starts from."""
    return (
        f'<figure class="cf-source"><img src="{picture_uri(image)}" alt="the picture to edit">'
        f"<figcaption>{escape(about)}</figcaption></figure>"
    )


def upload_field(suffixes: Sequence[str], most: int) -> str:
    """Where a picture of one's own is given, of at most so many bytes."""
    return (
        '<label class="cf-drop">Your picture: drop it here, or click to choose'
        f'<input type="file" accept="{",".join(suffixes)}" data-most="{most}"></label>'
        '<p class="cf-problem" role="alert"></p>'
    )


def note(text: str) -> str:
    """How things are."""
    return f'<p class="cf-status" role="status">{escape(text)}</p>'


def problem(text: str) -> str:
    """What went wrong, and what to do."""
    return f'<p class="cf-status cf-problem" role="alert">{escape(text)}</p>'


def progress(stage: Stage) -> str:
    """A bar with the step and the time left."""
    share = round(_PERCENT * stage.step / max(stage.steps, 1))
    left = "" if stage.seconds_left is None else f", about {_duration(stage.seconds_left)} left"
    then = ", then the edit" if stage.phase == READING else ""
    text = f"{stage.phase}: step {stage.step} of {stage.steps}{left}{then}"
    return (
        f'<div class="cf-bar cf-running" role="progressbar" aria-valuenow="{share}" '
        f'aria-valuemin="0" aria-valuemax="100" aria-label="{escape(stage.phase)}">'
        f'<span style="width:{share}%"></span></div><p class="cf-status">{escape(text)}</p>'
    )


def waiting(ahead: int) -> str:
    """That others come first."""
    if not ahead:
        return _under_way("Starting")
    edits = "one edit is" if ahead == 1 else f"{ahead} edits are"
    return _under_way(f"Waiting: {edits} before yours")


def stopping() -> str:
    """That an edit is about to end."""
    return _under_way("Stopping")


def nothing_made(timed_out: bool) -> str:
    """That an edit ended before there was anything of it."""
    why = "The time limit ended it" if timed_out else "Stopped"
    return note(f"{why} before the edit had begun.")


def _under_way(text: str) -> str:
    """While there is `cf-running` on the page, its style shows the button to stop."""
    return f'<p class="cf-status cf-running" role="status">{escape(text)}</p>'


def outcome(kept: KeptEdit, timed_out: bool, share: float) -> str:
    """What became of an edit, and what a visitor should know about it."""
    result = kept.shown
    done = f"Done in {_duration(result.seconds)}, {_steps(result.steps)}"
    if result.record["stopped_from_outside"]:
        why = "The time limit ended it" if timed_out else "Stopped"
        when = f"after {_steps(result.steps)}" if result.steps else "before its first step"
        done = f"{why} {when}; this is what it had reached"
    changed = f"{share:.0%} of the picture changed."
    warnings = [each for each in result.warnings if not each.startswith("the edit was stopped")]
    listed = "".join(f"<li>{escape(each)}</li>" for each in dict.fromkeys(warnings))
    told = f'<ul class="cf-warnings">{listed}</ul>' if listed else ""
    return note(f"{done}. {changed}") + told


def choices(texts: Sequence[str], label: str) -> str:
    """Texts to click."""
    if not texts:
        return ""
    buttons = "".join(_choice(text, escape(text)) for text in texts)
    return f'<div class="cf-choices"><span>{escape(label)}</span>{buttons}</div>'


def flags(text: str, unknown: Iterable[tuple[str, Sequence[str]]], pack: str) -> str:
    """The words of a prompt that the pack does not know; near ones can be clicked."""
    lines = []
    for word, near in unknown:
        offers = "".join(_choice(_replaced(text, word, other), escape(other)) for other in near)
        or_one = f" Did you mean {offers}" if offers else " It may have no effect."
        lines.append(
            f"<p><b>{escape(word)}</b> is not a word that {escape(pack)} knows.{or_one}</p>"
        )
    return f'<div class="cf-flags" role="status">{"".join(lines)}</div>' if lines else ""


def history(edits: Iterable[KeptEdit], current: int | None) -> str:
    """The edits so far, to click."""
    thumbs = []
    for kept in edits:
        text = ", ".join(kept.shown.prompts)
        here = ' aria-current="true"' if kept.number == current else ""
        thumbs.append(
            f'<button type="button" class="cf-thumb" data-choice="{kept.number}"{here} '
            f'title="{escape(text)}"><img src="{picture_uri(kept.shown.image)}" alt="">'
            f"<span>{escape(text)}</span></button>"
        )
    if not thumbs:
        return '<p class="cf-hint">Your edits will be listed here; click one to go back to it.</p>'
    return f'<div class="cf-history" role="group" aria-label="Your edits">{"".join(thumbs)}</div>'


def download_links(token: str, kept: KeptEdit) -> str:
    """Links to the files of an edit at its strength, which are made when they are asked for."""
    base = f"edits/{quote(token)}/{kept.number}"
    query = f"strength={kept.shown.strength:g}"
    links = "".join(
        f'<a class="cf-button" href="{base}/{kind}?{query}" download>{label}</a>'
        for kind, label in DOWNLOADS.items()
    )
    return f'<div class="cf-downloads" role="group"><span>Save</span>{links}</div>'


def _choice(value: str, label: str) -> str:
    return f'<button type="button" class="cf-chip" data-choice="{escape(value)}">{label}</button>'


def _replaced(text: str, word: str, other: str) -> str:
    # As a word of its own: "har" is in "sharp" too.
    alone = rf"(?<![^\W_]){re.escape(word)}(?![^\W_])"
    return re.sub(alone, lambda _: other, text, count=1, flags=re.IGNORECASE)


def _duration(seconds: float) -> str:
    if seconds >= _MINUTE:
        return f"{seconds / _MINUTE:.1f} min"
    return f"{seconds:.1f} s" if seconds < 1 else f"{seconds:.0f} s"


def _steps(count: int) -> str:
    if not count:
        return "in one pass"
    return "1 step" if count == 1 else f"{count} steps"
