"""What a benchmark measures, on what: CounterfactualBench, checked and named before any work."""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cfclip.editing import Session, circumstances
from cfclip.editors import mapper_file
from cfclip.embedders import BARE_TEMPLATES, Embedder, fill_templates
from cfclip.encoders import ProjectionConfig
from cfclip.errors import InputError
from cfclip.io import sha256_of
from cfclip_benchmark.avatars import (
    PROBES_FOLDER,
    RULER_VERSION,
    AvatarEdit,
    AvatarRecord,
    Case,
    Split,
    make_cases,
)
from cfclip_benchmark.candidates import Editing

FORMAT = 1


@dataclass(frozen=True)
class Benchmark:
    """What is measured, on what."""

    session: Session
    edits: tuple[AvatarEdit, ...]
    split: Split
    """Which avatars, so that settings are never chosen on those of the test."""
    images: int
    """How many avatars."""
    projection: ProjectionConfig
    """How sources and true answers are inverted."""
    seed: int = 0
    """Of the edits."""
    batch: int = 1
    """Pictures that are edited together by a prompt, at least 1: quicker for each of them, at the
    price of more memory and the last bits of floats."""
    share: float = 1.0
    """Share of the cases that is measured, drawn at random by the seed; above 0, at most 1."""
    judge: Embedder | None = None
    """A CLIP that no method sees."""
    judge_hash: str | None = None
    """SHA-256 of its weights."""

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise InputError(f"batch is {self.batch}, it must be at least 1")
        if not 0.0 < self.share <= 1.0:
            raise InputError(f"share is {self.share}, it must be above 0 and at most 1")

    def cases(self, avatars: Sequence[AvatarRecord]) -> list[Case]:
        """What is measured of the benchmark's avatars, the same for the same seed."""
        cases = make_cases(self.edits, avatars)
        if self.share == 1.0:
            return cases
        count = max(1, round(self.share * len(cases)))
        chosen = random.Random(self.seed).sample(range(len(cases)), count)
        return [cases[place] for place in sorted(chosen)]

    def check_texts(self) -> None:
        """Embed every text of every edit, which the edits then need not do.

        Raises `InputError` for a prompt that a CLIP cannot read.
        """
        templates = (*BARE_TEMPLATES, *self.session.pack.manifest.templates)
        for edit in self.edits:
            self.session.embedder.text_features(fill_templates(templates, edit.prompt))
            if self.judge is not None:
                self.judge.text_features([edit.prompt])

    def description(self, methods: Sequence[Editing]) -> dict[str, Any]:
        """What decides the rows of methods, for `BenchmarkFolder.claim`."""
        return {
            "format": FORMAT,
            "ruler": RULER_VERSION,
            **circumstances(self.session.pack, self.session.device),
            "split": self.split,
            "prompts": {edit.prompt: [edit.family, dict(edit.words)] for edit in self.edits},
            "seed": self.seed,
            "batch": self.batch,
            "share": self.share,
            # Of other avatars a share is another draw, whose cases would be mixed with the first.
            "images": None if self.share == 1.0 else self.images,
            "projection": asdict(self.projection),
            "probes": probe_hashes(),
            "judge_clip": self.judge_hash,
            "methods": {
                each.name: {
                    "settings": dict(each.method.settings),
                    "files": [sha256_of(mapper_file(path)) for path in each.variant.files],
                    "seconds_of_training": each.method.seconds_of_training,
                }
                for each in methods
            },
        }


def probe_hashes() -> dict[str, str]:
    """SHA-256 of the shipped probes, by file."""
    return {path.name: sha256_of(path) for path in sorted(PROBES_FOLDER.iterdir())}


def quick_edits(edits: Sequence[AvatarEdit]) -> tuple[AvatarEdit, ...]:
    """The first prompt of each family."""
    return tuple({edit.family: edit for edit in reversed(edits)}.values())[::-1]
