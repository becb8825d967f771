"""The pieces of work, as users do them: by the public functions, watched from outside.

Each does one step after another until it is told to stop, and tells of each; what comes before the
first step is no part of any.
"""

from collections.abc import Callable
from itertools import count
from typing import Any

import torch
from torch import Tensor

from cfclip.editing import fast_settings, styleclip_optimisation
from cfclip.editors import (
    EditRequest,
    EditTexts,
    LatentOptimisation,
    LatentOptimisationConfig,
    MapperEdit,
)
from cfclip.encoders import CORRECTION_STEPS, ProjectionConfig, project
from cfclip.generators import StyleGAN2
from cfclip.settings import GivenSettings, Precision
from cfclip.tensors import seeded
from cfclip.training import LatentSets, MapperTrainer, TextLearner, TrainingConfig
from cfclip_benchmark.speed.random_models import random_embedder, random_generator, random_mapper
from cfclip_benchmark.speed.speed_plan import FAST, Plan

Watch = Callable[[], bool]
"""Called after each step; work ends when it gives False."""
Steps = Callable[[Watch], None]

_TEXTS: dict[str, Any] = {
    "prompts": ("green lipstick",),
    "source_text": "face",
    "templates": ("a photo of a {}",),
}
_ENDLESS: dict[str, Any] = {"steps": 10**6, "patience": 0}
"""It is the watch that ends them. So slow a rise of the learning rate leaves the picture as it is,
and no step fails."""
_TRAINING: dict[str, Any] = {"batch": 2, "augmentations": 8}
"""As CF-CLIP trains."""
_LATENTS = 4


class SpeedTask:
    """A piece of work with its models.

    Attributes:
        steps: does them; may be called again.
        at_once: of the work's own steps in one that is watched.
        precision: that most of it is computed in.
    """

    def __init__(self, plan: Plan, work: str, way: str) -> None:
        """Make the models. Raises `InputError` for sizes that cannot work."""
        self._plan = plan
        self._way = way
        self.generator = random_generator(plan)
        self.precision: Precision = "float32"
        self.at_once = 1
        self._latents = self._drawn_latents()
        self.steps: Steps = {
            "training": self._training,
            "styleclip": self._styleclip,
            "optimisation": self._optimisation,
            "inversion": self._inversion,
            "coarse-inversion": self._coarse_inversion,
            "synthesis": lambda: self._synthesis(1),
            "synthesis-4": lambda: self._synthesis(4),
            "mapper": self._mapper,
        }[work]()

    def _training(self) -> Steps:
        config = TrainingConfig(**_TRAINING, **self._set(TrainingConfig))
        codes = self._latents[:, :1].cpu()
        models, task = (self.generator, random_embedder(self._plan)), EditTexts(**_TEXTS)
        learner = TextLearner(*models, task, config)
        latents = LatentSets(codes, codes[:1], "random")
        trainer = MapperTrainer(*models, task, latents, config, learner)
        numbers = count()

        def steps(watch: Watch) -> None:
            for number in numbers:
                trainer.compute_gradients(number)
                trainer.update(number)
                if not watch():
                    return

        return steps

    def _styleclip(self) -> Steps:
        return self._descent(styleclip_optimisation(self.generator))

    def _optimisation(self) -> Steps:
        return self._descent({})

    def _descent(self, settings: dict[str, Any]) -> Steps:
        values = {**settings, **_ENDLESS, **self._set(LatentOptimisationConfig)}
        embedder = random_embedder(self._plan)
        editor = LatentOptimisation(self.generator, embedder, LatentOptimisationConfig(**values))
        request = EditRequest(**_TEXTS, latents=self._latents[:1])
        return lambda watch: _discarded(editor.edit(request, lambda _: watch()))

    def _inversion(self) -> Steps:
        return self._projection(coarse=0.0)

    def _coarse_inversion(self) -> Steps:
        projected = self._projection(coarse=1.0)
        # One of so many looks at the whole picture too: they are timed together.
        self.at_once = CORRECTION_STEPS

        def steps(watch: Watch) -> None:
            done = count(1)
            projected(lambda: watch() if next(done) % CORRECTION_STEPS == 0 else True)

        return steps

    def _projection(self, coarse: float) -> Steps:
        values = {**self._set(ProjectionConfig), **_ENDLESS, "coarse": coarse}
        config, embedder = ProjectionConfig(**values), random_embedder(self._plan)
        with torch.no_grad():
            picture = self.generator.synthesis(self._latents[1:2]).clamp(-1.0, 1.0)
        start = self._latents[:1]
        return lambda watch: _discarded(
            project(self.generator, embedder, picture, start, config, lambda _: watch())
        )

    def _synthesis(self, pictures: int) -> Steps:
        return self._repeated(lambda: self.generator.synthesis(self._latents[:pictures]))

    def _mapper(self) -> Steps:
        embedder = random_embedder(self._plan)
        mapper = random_mapper(self._plan, self.generator, embedder)
        editor = MapperEdit(self.generator, embedder, mapper)
        texts, latents = EditTexts(**_TEXTS), self._latents[:1]
        return self._repeated(lambda: editor.offset(latents, editor.read(texts)))

    def _repeated(self, work: Callable[[], object]) -> Steps:
        @torch.no_grad()
        def steps(watch: Watch) -> None:
            work()
            while watch():
                work()

        return steps

    def _set(self, kind: type[GivenSettings]) -> dict[str, Any]:
        """The settings of the way."""
        values = fast_settings(kind, self._plan.device) if self._way == FAST else {}
        self.precision = values.get("precision", self.precision)
        return values

    def _drawn_latents(self) -> Tensor:
        generator: StyleGAN2 = self.generator
        z = torch.randn(_LATENTS, generator.z_dim, generator=seeded(0))
        with torch.no_grad():
            return generator.mapping(z.to(self._plan.device))


def _discarded(result: object) -> None:
    del result
