"""Held-out avatars with their truth: inverted once, edited by whatever is measured, and scored."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from cfclip.editing import Session, edit_settings, projection_settings
from cfclip.encoders import Inversion
from cfclip.errors import InputError
from cfclip_benchmark import Probe
from cfclip_benchmark.avatars import (
    COLOUR_FAMILIES,
    SPLITS,
    AvatarEdit,
    AvatarRecord,
    EditScore,
    Split,
    judges,
    read_prompts,
    score_edits,
)
from recipes.avatars.dataset import load_dataset
from recipes.avatars.evaluation import Bench

_Value = TypeVar("_Value")
_FINGERPRINT = 12  # characters of the hashes of pack and avatars that name their folder


@dataclass(frozen=True)
class HeldOut:
    """Avatars that nothing was trained on.

    Attributes:
        inversion: what edits start from.
        records: what the avatars really look like.
        probes: what reads them.
    """

    inversion: Inversion
    records: tuple[AvatarRecord, ...]
    probes: tuple[Probe, ...]

    @torch.no_grad()
    def score(self, edit: AvatarEdit, images: Tensor) -> list[EditScore]:
        """One score for each avatar; `images` are their edits, `(avatars, 3, side, side)`."""
        source = self.inversion.reconstruction
        return score_edits(edit, self.records, source, images, self.probes)


def held_out(session: Session, natural: Path, count: int, kept: Path) -> HeldOut:
    """The first `count` avatars of a dataset, inverted as the pack inverts.

    Args:
        session: of the pack.
        natural: folder of held-out natural avatars.
        count: how many.
        kept: folder in which inversions are kept.

    Raises:
        InputError: there are fewer avatars.
    """
    manifest, data, probes = session.pack.manifest, load_dataset(natural), judges.load_probes()
    # Not to be mistaken for those of another generator, or of other avatars.
    first = hashlib.sha256(data.images[:1].tobytes()).hexdigest()
    kept = kept / f"{session.pack.fingerprint[:_FINGERPRINT]}-{first[:_FINGERPRINT]}"
    kept.mkdir(parents=True, exist_ok=True)
    editing, projection = edit_settings(manifest), projection_settings(manifest)
    bench = Bench(session, probes, data, data, editing, projection, kept, seed=0)
    inversion, _ = bench.inverted(count)
    records = tuple(data.table.record(row) for row in range(count))
    return HeldOut(inversion, records, tuple(probes.values()))


def edits_of(split: Split) -> tuple[AvatarEdit, ...]:
    """The prompts that the pack is measured by: colours and excluded pairs, in plain words."""
    families = (*COLOUR_FAMILIES, "excluded")
    return tuple(edit for edit in read_prompts().of(split) if edit.family in families)


def find_edit(prompt: str) -> AvatarEdit:
    """The edit with one of these prompts, of either split. Raises `InputError` if there is none."""
    known = {edit.prompt: edit for split in SPLITS for edit in edits_of(split)}
    if prompt not in known:
        raise InputError(f"{prompt!r} is not a prompt of the benchmark: {', '.join(known)}")
    return known[prompt]


def group_by_edit(
    edits: Sequence[AvatarEdit], values: Sequence[Sequence[_Value]]
) -> dict[str, list[_Value]]:
    """Values of avatars, by family, then by prompt, then of all `colours` and of `all`.

    `values[i]` are of `edits[i]`.
    """
    groups: dict[str, list[_Value]] = {edit.family: [] for edit in edits}
    for edit, each in zip(edits, values, strict=True):
        groups[edit.family].extend(each)
    groups |= {edit.prompt: list(each) for edit, each in zip(edits, values, strict=True)}
    groups["colours"] = [one for name in COLOUR_FAMILIES for one in groups.get(name, [])]
    groups["all"] = [one for each in values for one in each]
    return groups


def mean_scores(scores: Sequence[EditScore]) -> dict[str, float | None]:
    """Means over scores: success, preservation, exact rate, PSNR outside the mask.

    Success and exact rate are of the avatars whose success can be read, whose share is `readable`;
    None if there is no such avatar.
    """
    measures: dict[str, Callable[[EditScore], float | None]] = {
        "success": lambda s: s.success,
        "preservation": lambda s: s.kept,
        "exact": lambda s: s.exact,
        "psnr_outside": lambda s: s.psnr_outside,
        "readable": lambda s: s.success is not None,
    }
    return {name: _mean([f(s) for s in scores]) for name, f in measures.items()}


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def gained_share(source: Tensor, edited: Tensor, truth: Tensor) -> float:
    """Mean gain of edited pictures over their sources, as a share of what the true answers gain.

    Args:
        source, edited, truth: `text_likeness` of the inversions, of their edits, and of the true
            answers, each `(N,)`.

    >>> before, after, best = torch.tensor([[0.25, 0.25], [0.5, 0.5], [0.75, 0.75]])
    >>> gained_share(before, after, best)
    0.5
    """
    return float((edited - source).mean() / (truth - source).mean())
