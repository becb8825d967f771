"""The page: its fields and where they stand. What they do is in `handlers`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from cfclip.apps.web import pieces
from cfclip.apps.web.limits import Limits
from cfclip.apps.web.orders import OPTIMISATION, SETTINGS, Setting
from cfclip.editors import ALL_LAYERS, LatentOptimisationConfig
from cfclip.images import SUFFIXES

CSS_FILE = Path(__file__).parent / "page.css"
TITLE = "cfclip"
OPTIMISING = "Optimise: any text, some seconds"
"""The method that every pack has."""
STRENGTHS = (-1.0, 2.0, 0.05)
"""Lowest and highest strength and the step of the slider: past 1 an edit is overdone, below 0 it
goes the other way."""

_CHOICES = """
element.addEventListener('click', (event) => {
  const chosen = event.target.closest('[data-choice]');
  if (chosen) trigger('click', {choice: chosen.dataset.choice});
});
"""
_POINTING = """
element.addEventListener('click', (event) => {
  if (!event.target.closest('img')) return;
  const box = event.target.getBoundingClientRect();
  const share = (at, from, size) => String(Math.round(1000 * Math.min(1, (at - from) / size)));
  trigger('click', {x: share(event.clientX, box.left, box.width),
                    y: share(event.clientY, box.top, box.height)});
});
"""
"""Tells where the picture was clicked, in thousandths of its sides."""
_SENDING = """
const field = element.querySelector('input'), zone = element.querySelector('label');
const say = (text) => { element.querySelector('.cf-problem').textContent = text; };
const send = async (file) => {
  field.value = '';
  if (!file) return;
  if (file.size > Number(field.dataset.most)) {
    say(`${file.name} has ${(file.size / 1e6).toFixed(1)} MB, the limit is `
      + `${field.dataset.most / 1e6}; give a smaller one`);
    return;
  }
  say('');
  try {
    const name = encodeURIComponent(file.name);
    const sent = {method: 'POST', body: file, headers: {'X-File-Name': name}};
    const answer = await fetch('uploads', sent), said = await answer.text();
    if (answer.ok) trigger('click', {upload: said});
    else say(said);
  } catch {
    say('the picture could not be sent; give it again');
  }
};
field.addEventListener('change', () => send(field.files[0]));
zone.addEventListener('dragover', (event) => event.preventDefault());
zone.addEventListener('drop', (event) => {
  event.preventDefault();
  send(event.dataTransfer.files[0]);
});
"""
"""Sends a picture and tells the handler its token: Gradio's own field of files takes names of files
too."""
_HEADING = """
<header class="cf-head"><h1>cfclip</h1>
<p>Say what the picture shall show, and watch it change.</p></header>
"""
_FOOTER = """
<p class="cf-hint">Pictures stay in the memory of this computer and are removed when you close the
window. What you download tells that it was edited, and how. Edited pictures are not evidence: say
that they were edited where people will see it.</p>
"""


@dataclass(frozen=True)
class Page:
    """The fields that the handlers read and write."""

    pack: gr.Dropdown
    source: gr.HTML
    upload: gr.HTML
    sample_seed: gr.Number
    sample: gr.Button
    text: gr.Textbox
    parts: gr.Textbox
    flags: gr.HTML
    examples: gr.HTML
    edit: gr.Button
    stop: gr.Button
    method: gr.Dropdown
    advanced: gr.Accordion
    layers: gr.Textbox
    seed: gr.Number
    settings: tuple[gr.Number | gr.Dropdown, ...]
    stage: gr.HTML
    status: gr.HTML
    tools: gr.Column
    strength: gr.Slider
    heat: gr.Checkbox
    follow: gr.Button
    downloads: gr.HTML
    history: gr.HTML


def build_page(limits: Limits) -> Page:
    """Lay the page out, within an open `gr.Blocks`."""
    gr.HTML(_HEADING)
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            wishes = _wishes(limits)
        with gr.Column(scale=3, min_width=300):
            results = _results()
    gr.HTML(_FOOTER)
    return Page(**wishes, **results)


def _wishes(limits: Limits) -> dict[str, Any]:
    pack = gr.Dropdown(label="Model pack", interactive=True)
    with gr.Row(elem_classes="cf-given"):
        source = gr.HTML(js_on_load=_POINTING, elem_id="cf-source")
        with gr.Column(min_width=0):
            upload = gr.HTML(
                pieces.upload_field(SUFFIXES, limits.upload_bytes),
                js_on_load=_SENDING,
                elem_id="cf-upload",
            )
            with gr.Row(elem_classes="cf-tight"):
                sample_seed = gr.Number(
                    precision=0, minimum=0, label="Sample", min_width=70, elem_id="cf-sample"
                )
                sample = gr.Button("Next", size="sm", min_width=60, elem_id="cf-next")
    text = gr.Textbox(
        label="What shall it show?",
        info="Several things at once: separate them with ;",
        placeholder="describe the picture as you want it",
        max_lines=1,
        elem_id="cf-text",
    )
    flags = gr.HTML(js_on_load=_CHOICES, elem_id="cf-flags")
    examples = gr.HTML(js_on_load=_CHOICES, elem_id="cf-examples")
    parts = gr.Textbox(
        label="Where may it change?",
        placeholder="in what the text is about",
        max_lines=1,
        visible=False,
        elem_id="cf-parts",
    )
    edit = gr.Button("Edit", variant="primary", elem_id="cf-edit")
    stop = gr.Button("Stop and keep what it has", variant="stop", elem_id="cf-stop")
    method = gr.Dropdown(
        choices=[(OPTIMISING, OPTIMISATION)],
        value=OPTIMISATION,
        label="Method",
        interactive=True,
        elem_id="cf-method",
    )
    with gr.Accordion("Advanced", open=False, elem_id="cf-advanced") as advanced:
        with gr.Row():
            layers = gr.Textbox(label="Layers", value=ALL_LAYERS, max_lines=1, min_width=130)
            seed = gr.Number(
                label="Seed",
                info="Another one makes another edit.",
                value=0,
                precision=0,
                minimum=0,
                min_width=130,
            )
        with gr.Row():
            settings = tuple(_setting_field(each) for each in SETTINGS)
    return {
        "pack": pack,
        "source": source,
        "upload": upload,
        "sample_seed": sample_seed,
        "sample": sample,
        "text": text,
        "parts": parts,
        "flags": flags,
        "examples": examples,
        "edit": edit,
        "stop": stop,
        "method": method,
        "advanced": advanced,
        "layers": layers,
        "seed": seed,
        "settings": settings,
    }


def _setting_field(setting: Setting) -> gr.Number | gr.Dropdown:
    if setting.choices:
        return gr.Dropdown(
            choices=list(setting.choices),
            label=setting.label,
            info=setting.about,
            min_width=130,
            interactive=True,
        )
    whole = isinstance(getattr(LatentOptimisationConfig(), setting.name), int)
    return gr.Number(
        label=setting.label,
        info=setting.about,
        precision=0 if whole else None,
        minimum=0,
        maximum=setting.high,
        min_width=130,
    )


def _results() -> dict[str, Any]:
    low, high, step = STRENGTHS
    stage = gr.HTML(elem_id="cf-stage")
    status = gr.HTML(elem_id="cf-progress")
    with gr.Column(visible=False) as tools:
        strength = gr.Slider(
            low,
            high,
            value=1,
            step=step,
            label="Strength",
            info="0 is the picture before, 1 the edit; it is drawn anew at once",
            elem_id="cf-strength",
        )
        with gr.Row(elem_classes="cf-tight"):
            heat = gr.Checkbox(
                label="Show what changed", container=False, min_width=160, elem_id="cf-heat"
            )
            follow = gr.Button(
                "Go on from this picture", size="sm", min_width=160, elem_id="cf-follow"
            )
        downloads = gr.HTML(elem_id="cf-saving")
    history = gr.HTML(js_on_load=_CHOICES, elem_id="cf-history")
    return {
        "stage": stage,
        "status": status,
        "tools": tools,
        "strength": strength,
        "heat": heat,
        "follow": follow,
        "downloads": downloads,
        "history": history,
    }
