"""The ruler measured by edits whose verdict is known: whether it is right about them."""

import random
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from cfclip.editing import Inversions, Session, circumstances
from cfclip.encoders import ProjectionConfig
from cfclip.errors import InputError
from cfclip.images import write_png
from cfclip.optim import Progress
from cfclip.tensors import pil_from_signed
from cfclip.training import RunCallback
from cfclip_benchmark.avatars import (
    RULER_VERSION,
    Case,
    Forgery,
    counted_attributes,
    draw_avatars,
    failures,
    forgeries,
    load_probes,
    make_cases,
    perfect_edit,
    perturbed,
    pictures,
    read_prompts,
    read_shapes,
    score_edits,
    unchanged_fails,
)
from cfclip_benchmark.benchmark import probe_hashes
from cfclip_benchmark.benchmark_folder import BenchmarkFolder
from cfclip_benchmark.json_log import JsonLog, JsonRow
from cfclip_benchmark.measured_edits import ORACLE

PERFECT = "perfect"
FORGED = "forged"
FORGED_INVERTED = "forged, inverted"
FAILED = "failed"
UNCHANGED = "nothing changed"


@dataclass(frozen=True)
class Verdict:
    """What the ruler said of one picture."""

    test: str
    """What was made: perfect, how it was perturbed, oracle, forged, forged and inverted, failed."""
    kind: str
    """The forged attribute, or how it failed; else empty."""
    prompt: str
    right: bool | None
    """Whether the ruler is right: a perfect one is exact, of a forged one the attribute is lost, a
    failed one is no success. None where it cannot be read."""


@dataclass(frozen=True)
class AvatarVerdicts(JsonRow):
    """All verdicts on edits of one avatar."""

    avatar: int
    verdicts: tuple[Verdict, ...]
    counted: tuple[int, ...]
    """By prompt, how many attributes are to be kept."""
    ruler: int = RULER_VERSION
    """Version of the ruler."""

    @property
    def key(self) -> int:
        """What the row is known by."""
        return self.avatar


@dataclass(frozen=True)
class RulerCheck:
    """What the ruler is measured on: edits of validation avatars by validation prompts."""

    session: Session
    """Whose models invert."""
    images: int
    """How many avatars, at least 1."""
    inverted: int
    """Forged edits of each attribute that are put through inversion, spread over the avatars."""
    projection: ProjectionConfig
    """How pictures are inverted."""
    seed: int = 0
    """Of the draw of forged edits, and of noise."""

    def __post_init__(self) -> None:
        if self.inverted < 0:
            raise InputError(f"inverted is {self.inverted}, it must be at least 0")
        draw_avatars("validation", self.images)  # which knows the limits

    def description(self) -> dict[str, Any]:
        """What decides the rows, for `BenchmarkFolder.claim`."""
        return {
            "kind": "ruler",
            "ruler": RULER_VERSION,
            **circumstances(self.session.pack, self.session.device),
            "images": self.images,
            "inverted": self.inverted,
            "seed": self.seed,
            "projection": asdict(self.projection),
            "probes": probe_hashes(),
            "prompts": {edit.prompt: dict(edit.words) for edit in read_prompts().validation},
            "methods": {},
        }

    def run(
        self, folder: BenchmarkFolder, callback: RunCallback | None = None
    ) -> tuple[AvatarVerdicts, ...]:
        """The verdicts on all avatars, those that the folder has not yet made.

        Args:
            folder: claimed for this check.
            callback: called after each avatar; returning False ends it with what there is.

        Raises:
            InputError: rows that cannot be read or written.
            KeyboardInterrupt: Ctrl-C; what is done is kept.
        """
        records = draw_avatars("validation", self.images)
        cases = defaultdict(list)
        for case in make_cases(read_prompts().validation, records):
            cases[case.avatar].append(case)
        with folder.alone():
            rows = JsonLog(folder.rows, AvatarVerdicts, "its avatar is done again")
            todo = [avatar for avatar in range(self.images) if avatar not in rows]
            began = time.monotonic()
            for number, avatar in enumerate(todo, 1):
                source = self._source(folder, cases[avatar][0])
                rows.append([self._avatar(avatar, cases[avatar], source)])
                left = (time.monotonic() - began) / number * (len(todo) - number)
                progress = Progress(self.images - len(todo) + number, self.images, {}, left)
                if callback is not None and callback(progress) is False:
                    break
        return rows.rows

    def _source(self, folder: BenchmarkFolder, case: Case) -> Tensor:
        """`(1, 3, side, side)`: the inverted avatar of a case."""
        generator, file = self.session.generator, folder.avatar(case.avatar)
        write_png(
            pil_from_signed(pictures([case.record], generator.resolution))[0], file, overwrite=True
        )
        store = Inversions(self.session, folder.inversions, self.projection)
        latents = store.invert(file).latents[None]
        with torch.no_grad():
            return generator.synthesis(latents.to(self.session.device)).cpu()

    def _avatar(self, avatar: int, cases: Sequence[Case], source: Tensor) -> AvatarVerdicts:
        probes = list(load_probes().values())
        (shown,) = read_shapes(source, probes)
        side = source.shape[-1]
        verdicts: list[Verdict] = []
        made: list[tuple[Case, str, Forgery]] = []

        def judge(case: Case, test: str, kinds: Sequence[str], images: Tensor) -> None:
            """Add the verdicts on images of a case, whose kinds are known."""
            scores = score_edits(case.edit, [case.record] * len(images), source, images, probes)
            for kind, score in zip(kinds, scores, strict=True):
                right = score.exact
                if test in (FORGED, FORGED_INVERTED):
                    right = kind in score.lost
                elif test == FAILED:
                    right = None if score.success is None else not score.success
                verdicts.append(Verdict(test, kind, case.edit.prompt, right))

        for case in cases:
            perfect = perfect_edit(case, source)
            judge(case, PERFECT, [""], perfect)
            for test, image in perturbed(perfect, self.seed + avatar).items():
                judge(case, test, [""], image)
            if unchanged_fails(case):
                judge(case, FAILED, [UNCHANGED], source)
            forged = list(forgeries(case, shown))
            for test, each in ((FORGED, forged), (FAILED, list(failures(case)))):
                if each:
                    images = pictures([forgery.record for forgery in each], side)
                    judge(case, test, [forgery.kind for forgery in each], images)
            answer = case.edit.true_answers(case.record)[0]
            made.append((case, ORACLE, Forgery("", answer)))
            made += [(case, FORGED_INVERTED, forgery) for forgery in forged]
        made = self._drawn(avatar, made)
        inversion = self.session.pack.invert(
            pictures([forgery.record for *_, forgery in made], side),
            self.projection,
            self.session.device,
        )
        for (case, test, forgery), image in zip(
            made, inversion.reconstruction.cpu().split(1), strict=True
        ):
            judge(case, test, [forgery.kind], image)
        counted = tuple(len(counted_attributes(case.edit, case.record)) for case in cases)
        return AvatarVerdicts(avatar, tuple(verdicts), counted)

    def _drawn(
        self, avatar: int, made: Sequence[tuple[Case, str, Forgery]]
    ) -> list[tuple[Case, str, Forgery]]:
        """All true answers, and an avatar's share of the forged edits of each attribute: as many
        that the shares of all avatars are `inverted`."""
        by_kind = defaultdict(list)
        for each in made:
            by_kind[each[2].kind].append(each)
        share = (
            self.inverted * (avatar + 1)
        ) // self.images - self.inverted * avatar // self.images
        rng = random.Random(f"{self.seed} {avatar}")
        return [
            each
            for kind, own in by_kind.items()
            for each in (own if kind == "" else rng.sample(own, min(share, len(own))))
        ]
