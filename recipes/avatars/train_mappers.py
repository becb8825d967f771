"""The mappers that docs/RESULTS.md compares: one `cfclip train` after another."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cfclip.apps.cli import main
from cfclip.apps.options import OK
from cfclip.errors import InputError
from cfclip.training import CHECKPOINT
from cfclip_benchmark.avatars import SHIPPED_PROMPTS, AvatarEdit, prompt_name, read_prompts

_FOLDER = Path(__file__).parent
SINGLE_PROMPTS = _FOLDER / "single_prompts.toml"
ABLATION_PROMPTS = _FOLDER / "ablation_prompts.toml"

_STEPS_OF_VALIDATION = 4000
_STEPS_OF_ALL = 12_000
_STEPS_OF_FEW = 1000
# The pack has no identity network; the batch is that of ours, the steps are a fiftieth of the
# published ones, which is why the rate is higher: docs/RESULTS.md tells what was tried.
_AS_OURS = ("--identity", "0", "--batch", "4", "--lr", "5")
PUBLISHED: Mapping[str, tuple[str, ...]] = {
    "styleclip-mapper": _AS_OURS,
    "directional-mapper": (*_AS_OURS, "--latent-l2", "0.02"),
}
"""Presets of `cfclip train`, and what is given beside them."""
ABLATIONS: Mapping[str, tuple[str, ...]] = {
    "plain": (),
    # CLIP-NCE divides by tau, 0.1: another objective is given as much weight against the rest.
    "directional": ("--objective", "directional", "--clip-weight", "10"),
    "without-positive-2": ("--positives", "direction"),
    "without-negatives": ("--negatives", "none"),
    "released-negatives": ("--negatives", "released"),
    "without-augmentation": ("--augmentations", "1", "--distortion", "0"),
    "legacy-pixel-norm": ("--legacy-pixel-norm",),
}
"""Options of the mappers of the ablations, by name."""


@dataclass(frozen=True)
class Training:
    """One mapper."""

    name: str
    """Its folder, beside the others."""
    edits: Sequence[AvatarEdit]
    """What it learns."""
    steps: int
    options: tuple[str, ...] = ()


def trainings() -> Iterator[Training]:
    """Every mapper, those first that tuning needs."""
    prompts, single = read_prompts(SHIPPED_PROMPTS), read_prompts(SINGLE_PROMPTS)
    ablated = read_prompts(ABLATION_PROMPTS).test
    yield Training("validation", prompts.validation, _STEPS_OF_VALIDATION)
    for edits in (single.validation, single.test):
        for edit in edits:
            name = prompt_name(edit.prompt)
            for preset, options in PUBLISHED.items():
                published = ("--preset", preset, *options)
                yield Training(f"{preset}/{name}", [edit], _STEPS_OF_FEW, published)
    yield Training("all", prompts.test, _STEPS_OF_ALL)
    for edit in single.test:
        yield Training(f"single/{prompt_name(edit.prompt)}", [edit], _STEPS_OF_FEW)
    for name, options in ABLATIONS.items():
        yield Training(f"ablation/{name}", ablated, _STEPS_OF_FEW, options)


@dataclass(frozen=True)
class TrainMappers:
    """Train every mapper that docs/RESULTS.md compares. The same command goes on where it was
    stopped."""

    out: Path = Path("runs")
    """Folder of their folders."""
    only: tuple[str, ...] = ()
    """Names of the mappers to train, such as single/green-hair; all if none is given."""
    steps: int | None = None
    """Steps of each, to try the command; their own if not given."""
    pack: str = "avatars"
    """What they are for."""
    device: str = "cpu"
    """Where to compute: cpu, cuda, cuda:1, mps."""

    def run(self) -> None:
        """Train.

        Raises:
            InputError: a mapper that is not among them.
            SystemExit: a training that failed or was stopped, which has been told then.
        """
        known = {each.name: each for each in trainings()}
        chosen = self.only or tuple(known)
        for name in chosen:
            if name not in known:
                raise InputError(f"no mapper {name!r}; known are {', '.join(known)}")
        for name in chosen:
            status = main(self.command(known[name]))
            if status != OK:
                raise SystemExit(status)

    def command(self, training: Training) -> list[str]:
        """The words after `cfclip` that train it."""
        out = self.out / training.name
        steps = training.steps if self.steps is None else self.steps
        texts = [word for edit in training.edits for word in ("--text", edit.prompt)]
        where = ["--out", str(out), "--pack", self.pack, "--device", self.device]
        resume = ["--resume"] if (out / CHECKPOINT).exists() else []
        return ["train", *texts, "--steps", str(steps), *training.options, *where, *resume]
