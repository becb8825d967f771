"""Measure the pack: probes, CLIP, inversion, edits, time. Writes figures and EVALUATION.md."""

import json
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch

from cfclip.editing import Session, edit_request, edit_settings, projection_settings
from cfclip.embedders import Embedder
from cfclip.encoders import Inversion
from cfclip.errors import InputError
from cfclip.io import atomic_write
from cfclip.tensors import pil_from_signed, signed_from_uint8
from cfclip_benchmark.avatars import (
    AvatarEdit,
    EditScore,
    Split,
    judges,
    render,
    score_edits,
    text_likeness,
)
from recipes.avatars.dataset import load_dataset
from recipes.avatars.evaluation import Bench, parse_settings, pixels
from recipes.avatars.evaluation_page import write_report
from recipes.avatars.grids import save_grid, stack_grids
from recipes.avatars.held_out import edits_of, gained_share, group_by_edit, mean_scores
from recipes.avatars.measure_models import measure_clip, measure_probes, measure_projection
from recipes.avatars.measure_samples import measure_samples

_log = logging.getLogger(__name__)
Section = Literal["probes", "samples", "clip", "judge", "projection", "edits", "timing"]
SECTIONS: tuple[Section, ...] = get_args(Section)
FIGURES_FILE = "figures.json"
_OF = "of"
_GRID_AVATARS = 8
_STARTS = 5  # fresh starts of Python that a start-up time is the median of


@dataclass(frozen=True)
class Evaluate:
    """Measure a pack and write the figures; the same command again goes on where it stopped."""

    pack: str
    """Name or folder of the pack."""
    open: Path
    """Open avatars of the split, for probes and CLIP."""
    natural: Path
    """Natural avatars of the split, for inversion and edits."""
    out: Path
    """Folder for `figures.json`, `edits.jsonl` and grids; finished sections are kept."""
    probes: Path = judges.PROBES_FOLDER
    """Folder of the two probes."""
    judge: Path = judges.CLIP_FOLDER
    """Folder of the CLIP that judges."""
    report: Path | None = None
    """Where to write EVALUATION.md; for the test split."""
    split: Split = "test"
    """Which prompts are edited: settings are chosen on validation only."""
    sections: tuple[Section, ...] = SECTIONS
    """What to measure."""
    samples: int = 5000
    """Samples to read back."""
    projections: int = 200
    """Avatars to invert."""
    avatars: int = 24
    """Avatars to edit with every prompt."""
    seed: int = 0
    """Seed of the edits."""
    threads: int = 2
    """Processor threads."""
    edit: tuple[str, ...] = ()
    """Settings of the edits over the pack's own, such as `steps=60 lr=0.1`."""
    projection: tuple[str, ...] = ()
    """Settings of the inversion over the pack's own, such as `steps=60`."""

    def run(self) -> None:
        """Measure."""
        evaluate(self)


def evaluate(config: Evaluate) -> None:
    """Measure the sections that `config.out` has no figures of yet; see `Evaluate`.

    Raises:
        InputError: `config.out` holds figures of another pack or other settings.
    """
    if config.report is not None and config.split != "test":
        raise InputError("the report is of the test split; leave out --report for validation")
    torch.set_num_threads(config.threads)
    session = Session.open(config.pack)
    manifest = session.pack.manifest
    bench = Bench(
        session,
        judges.load_probes(config.probes),
        load_dataset(config.open),
        load_dataset(config.natural),
        edit_settings(manifest, **parse_settings(config.edit)),
        projection_settings(manifest, **parse_settings(config.projection)),
        config.out,
        config.seed,
    )
    judge = judges.load_clip_judge(config.judge)
    config.out.mkdir(parents=True, exist_ok=True)
    figures = _begun_figures(config, bench)
    for section in config.sections:
        if section in figures:
            _log.info("%s: kept", section)
            continue
        began = time.monotonic()
        figures[section] = _measure(section, config, bench, judge)
        _log.info("%s: %.0f s", section, time.monotonic() - began)
        _write_json(figures, config.out / FIGURES_FILE)
    if config.report is not None:
        write_report(figures, config.report)


def _begun_figures(config: Evaluate, bench: Bench) -> dict[str, Any]:
    """The figures that there are, or new ones; they say what they are figures of."""
    subject = {
        # Not the fingerprint: the model card, which tells the figures, is no part of the subject.
        "pack": dict(bench.pack.manifest.files),
        "split": config.split,
        "prompts": [edit.prompt for edit in edits_of(config.split)],
        "seed": config.seed,
        "samples": config.samples,
        "projections": config.projections,
        "avatars": config.avatars,
        "edit": asdict(bench.editing),
        "projection": asdict(bench.projection),
    }
    path = config.out / FIGURES_FILE
    if not path.exists():
        _write_json({_OF: subject}, path)
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if differing := [name for name, value in subject.items() if figures[_OF].get(name) != value]:
        raise InputError(f"{path} is of another {', '.join(differing)}; give another --out")
    return figures


def _measure(section: Section, config: Evaluate, bench: Bench, judge: Embedder) -> dict[str, Any]:
    if section == "probes":
        return measure_probes(bench)
    if section == "samples":
        return measure_samples(bench, config.samples)
    if section == "clip":
        return measure_clip(bench, bench.pack.embedder())
    if section == "judge":
        return measure_clip(bench, judge)
    if section == "projection":
        return measure_projection(bench, config.projections)
    if section == "edits":
        return _measure_edits(config, bench, judge)
    return _measure_timing(bench)


def _measure_edits(config: Evaluate, bench: Bench, judge: Embedder) -> dict[str, Any]:
    """Scores by family and prompt; a prompt that is done stays done."""
    inversion, _ = bench.inverted(config.avatars)
    folder = config.out / "edits"
    folder.mkdir(exist_ok=True)
    source_grid = folder / "source.png"
    save_grid([inversion.reconstruction[:_GRID_AVATARS]], source_grid)
    edits = edits_of(config.split)
    done = [_measure_edit(edit, inversion, bench, judge, folder) for edit in edits]
    names = [edit.prompt.replace(" ", "-") for edit in edits]
    stack_grids(
        [source_grid, *(folder / f"{name}.png" for name in names)], config.out / "edits.png"
    )
    groups = group_by_edit(edits, [one.scores for one in done])
    likeness = group_by_edit(edits, [one.likeness for one in done])
    scores = groups["all"]
    with atomic_write(config.out / "edits.jsonl") as temporary:
        temporary.write_text("".join(json.dumps(asdict(score)) + "\n" for score in scores))
    return {
        "split": config.split,
        "settings": asdict(bench.editing),
        "seconds_per_edit_in_batch": sum(one.seconds for one in done) / len(scores),
        "groups": {name: mean_scores(found) for name, found in groups.items()},
        "gained": {name: _gained(found) for name, found in likeness.items()},
    }


@dataclass(frozen=True)
class _PromptResult:
    """What one prompt did to every avatar."""

    scores: list[EditScore]
    seconds: float
    likeness: list[dict[str, list[float]]]
    """By avatar: CLIP (`pack` or `judge`) -> `text_likeness` of source, edit and true answer."""


def _gained(likeness: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, float]:
    """By CLIP: `gained_share` of some edits."""
    return {
        clip: gained_share(*torch.tensor([found[clip] for found in likeness]).T)
        for clip in likeness[0]
    }


def _measure_edit(
    edit: AvatarEdit, inversion: Inversion, bench: Bench, judge: Embedder, folder: Path
) -> _PromptResult:
    """The scores of one prompt and the seconds it took, measured now or before."""
    path = folder / f"{edit.prompt.replace(' ', '-')}.json"
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        scores = [EditScore.of_row(row) for row in kept["scores"]]
        return _PromptResult(scores, float(kept["seconds"]), kept["likeness"])
    method = bench.session.method(config=bench.editing)
    request = edit_request(bench.pack.manifest, inversion.latents, edit.prompt, bench.seed)
    result = method.edit(request)
    records = [bench.natural.table.record(i) for i in range(len(inversion.latents))]
    source = inversion.reconstruction
    scores = score_edits(edit, records, source, result.images, list(bench.probes.values()))
    _log.info("%s: %s", edit.prompt, mean_scores(scores))
    save_grid([result.images[:_GRID_AVATARS]], path.with_suffix(".png"))
    truth = [render(edit.true_answers(record)[0], source.shape[-1]) for record in records]
    pictures = (source, result.images, signed_from_uint8(torch.from_numpy(np.stack(truth))))
    clips = {"pack": bench.pack.embedder(), "judge": judge}
    likeness = {
        name: torch.stack([text_likeness(clip, edit.prompt, each) for each in pictures], 1)
        for name, clip in clips.items()
    }
    by_avatar = [
        {name: found[i].tolist() for name, found in likeness.items()} for i in range(len(records))
    ]
    measured = _PromptResult(scores, result.seconds, by_avatar)
    _write_json(asdict(measured), path)
    return measured


def _measure_timing(bench: Bench) -> dict[str, float]:
    """Seconds of one edit of one picture that a session has not seen, inversion included."""
    image = pil_from_signed(pixels(bench.natural, np.array([0])))[0]
    prompt = edits_of("test")[0].prompt
    for settings in (replace(bench.editing, steps=2), bench.editing):  # the first warms up
        began = time.monotonic()
        bench.session.edit(image, prompt, seed=0, config=settings, projection=bench.projection)
    seconds = time.monotonic() - began
    return {
        "one_edit_seconds": seconds,
        "import_seconds": _start_seconds("-c", "import cfclip"),
        "help_seconds": _start_seconds("-m", "cfclip", "--help"),
    }


def _start_seconds(*arguments: str) -> float:
    """Median wall time of a fresh Python with these arguments, its own start included."""
    seconds = []
    for _ in range(_STARTS):
        began = time.monotonic()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        seconds.append(time.monotonic() - began)
    return statistics.median(seconds)


def _write_json(content: dict[str, Any], path: Path) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
