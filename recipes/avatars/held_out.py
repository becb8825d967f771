"""Held-out avatars with their truth: inverted once, edited by whatever is measured, and scored."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cfclip.editing.defaults import edit_settings, projection_settings
from cfclip.editing.session import Session
from cfclip.encoders.projection import Inversion
from cfclip.errors import InputError
from cfclip_benchmark.avatars import judges
from cfclip_benchmark.avatars.attributes import AvatarRecord
from cfclip_benchmark.avatars.benchmark_prompts import read_prompts
from cfclip_benchmark.avatars.scores import COLOUR_FAMILIES, AvatarEdit, EditScore, score_edits
from cfclip_benchmark.avatars.splits import SPLITS, Split
from cfclip_benchmark.probes import Probe
from recipes.avatars.bench import Bench
from recipes.avatars.dataset import load_dataset

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
