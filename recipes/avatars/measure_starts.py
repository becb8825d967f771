"""What the linear text map brings: steps to success from the source and from each fused start."""

import json
import logging
import statistics
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from cfclip.editing import Session, edit_request, edit_settings
from cfclip.editors import EditProgress, Fusion, LatentOptimisationConfig
from cfclip.io import atomic_write
from cfclip_benchmark.avatars import AvatarEdit, EditScore
from recipes.avatars.evaluation import parse_settings
from recipes.avatars.held_out import HeldOut, find_edit, held_out, mean_scores

_log = logging.getLogger(__name__)
Start = Literal["source", "add", "difference", "concatenate"]
STARTS: tuple[Start, ...] = get_args(Start)
PROMPTS = (
    *("green hair", "purple hair", "blue skin", "red skin"),
    *("purple eyebrows", "green eyebrows", "green lipstick", "blue lips"),
)
"""Two of each family of the benchmark."""


@dataclass(frozen=True)
class MeasureStarts:
    """Edit from the source and from each fused start, and score on the way."""

    pack: str
    """Name or folder of the pack."""
    natural: Path
    """Held-out natural avatars to edit."""
    out: Path
    """Folder for `starts.json` and what is done of it; the same command again goes on."""
    kept: Path = Path("runs/inversions")
    """Folder in which inversions of the avatars are kept."""
    starts: tuple[Start, ...] = STARTS
    """Where edits start: at the source, or fused with the mapped text."""
    prompts: tuple[str, ...] = PROMPTS
    """Prompts of the benchmark."""
    avatars: int = 24
    """Avatars to edit with every prompt."""
    early: int = 10
    """Steps that are all scored: most edits show their text by then."""
    every: int = 5
    """Steps between two scores after them."""
    settings: tuple[str, ...] = ()
    """Settings of the edits over the pack's own."""
    threads: int = 2
    """Processor threads."""

    def run(self) -> None:
        """Edit and score."""
        measure_starts(self)


@dataclass
class _Watched:
    """Success on the way of one edit: the first scored step at which each avatar shows it."""

    edit: AvatarEdit
    avatars: HeldOut
    early: int
    every: int
    reached: list[int | None] = field(init=False)

    def __post_init__(self) -> None:
        self.reached = [None] * len(self.avatars.records)

    def look(self, progress: EditProgress) -> None:
        if progress.step <= self.early or progress.step % self.every == 0:
            self.note(progress.step, self.avatars.score(self.edit, progress.images()))

    def note(self, step: int, scores: list[EditScore]) -> None:
        for row, score in enumerate(scores):
            if score.success and self.reached[row] is None:
                self.reached[row] = step


def measure_starts(config: MeasureStarts) -> None:
    """Edit every avatar by every prompt from every start; see `MeasureStarts`."""
    torch.set_num_threads(config.threads)
    edits = [find_edit(prompt) for prompt in config.prompts]
    session = Session.open(config.pack)
    avatars = held_out(session, config.natural, config.avatars, config.kept)
    settings = edit_settings(session.pack.manifest, **parse_settings(config.settings))
    config.out.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {}
    for start in config.starts:
        done = [_measure(session, avatars, settings, start, edit, config) for edit in edits]
        scores = [EditScore.of_row(row) for d in done for row in d["scores"]]
        steps = [step for d in done for step in d["reached"] if step is not None]
        figures[start] = {
            **mean_scores(scores),
            "shown": len(steps) / len(scores),
            "shown_at_start": steps.count(0) / len(scores),
            "median_steps": statistics.median(steps) if steps else None,
            "mean_steps": statistics.fmean(steps) if steps else None,
        }
        _log.info("%s: %s", start, figures[start])
    _write(figures, config.out / "starts.json")


def _measure(
    session: Session,
    avatars: HeldOut,
    settings: LatentOptimisationConfig,
    start: Start,
    edit: AvatarEdit,
    config: MeasureStarts,
) -> dict[str, Any]:
    """One prompt from one start: the final `scores`, and by avatar the step that `reached` it."""
    path = config.out / f"{start}-{edit.prompt.replace(' ', '-')}.json"
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return kept
    if start == "source":
        settings = replace(settings, start="source")
    else:
        fusion: Fusion = start
        settings = replace(settings, start="text-map", fusion=fusion)
    (editor,) = session.method(config=settings).editors
    watched = _Watched(edit, avatars, config.early, config.every)
    request = edit_request(session.pack.manifest, avatars.inversion.latents, edit.prompt, seed=0)
    result = editor.edit(request, watched.look)
    scores = avatars.score(edit, result.images)
    watched.note(max(result.steps), scores)
    found = {"scores": [asdict(score) for score in scores], "reached": watched.reached}
    _write(found, path)
    return found


def _write(content: dict[str, Any], path: Path) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
