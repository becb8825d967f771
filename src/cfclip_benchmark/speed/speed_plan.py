"""What is measured: pieces of work, the ways of doing them, and the sizes of the models.

Free of torch, so that the command line lists its options quickly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cfclip.errors import InputError
from cfclip.settings import check_choice, check_number

EXACT, FAST = "exact", "fast"
WAYS = (EXACT, FAST)
"""float32 as it is by default, and what `--fast` sets."""


@dataclass(frozen=True)
class SpeedWork:
    """A piece of work: a row of `WORKS`."""

    title: str
    ways: tuple[str, ...] = WAYS
    """Those that make a difference to it."""


WORKS: Mapping[str, SpeedWork] = MappingProxyType(
    {
        "training": SpeedWork("training step of a text mapper, batch 2, 8 perspectives"),
        "styleclip": SpeedWork("optimisation step of StyleCLIP's loss, 1 picture"),
        "optimisation": SpeedWork("optimisation step of the default objective, 1 picture"),
        "inversion": SpeedWork("inversion step on the whole picture"),
        "coarse-inversion": SpeedWork("inversion step on a smaller picture", (FAST,)),
        "synthesis": SpeedWork("synthesis of 1 picture", (EXACT,)),
        "synthesis-4": SpeedWork("synthesis of 4 pictures", (EXACT,)),
        "mapper": SpeedWork("edit by a mapper, what it takes beyond the synthesis", (EXACT,)),
    }
)
"""By name."""

CLIPS = ("ViT-B-32", "tiny")
"""CLIPs that there is a configuration of; the last is for trying the command."""

DEVICE_TYPES = ("cpu", "cuda")
"""Those whose work can be waited for, and whose memory is told."""

_MOST_REPEATS = 1000
_MOST_WIDTH = 4096
_MOST_THREADS = 4096


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A measurement. Raises `InputError` naming a value outside its limits."""

    works: tuple[str, ...] = ()
    """What to measure: training, styleclip (an optimisation of StyleCLIP's loss), optimisation (of
    the default objective), inversion, coarse-inversion, synthesis, synthesis-4, mapper; all if none
    is given."""
    ways: tuple[str, ...] = ()
    """How: exact (float32), fast (as --fast sets it); both if none is given. What --fast does not
    change is only measured exactly."""
    resolution: int = 1024
    """Side of the generator's pictures, of config-f of StyleGAN2."""
    width: int = 512
    """Most channels of the generator, and length of its latents; fewer for a quick try."""
    clip: str = CLIPS[0]
    """The CLIP: ViT-B-32, or tiny for a quick try."""
    repeats: int = 3
    """Steps that are timed, of which the median counts."""
    device: str = "cpu"
    """Where to compute: cpu, cuda, cuda:1."""
    threads: int | None = None
    """Of the processor; torch's choice if not given."""

    def __post_init__(self) -> None:
        for work in self.works:
            check_choice("one of works", work, tuple(WORKS))
        for way in self.ways:
            check_choice("one of ways", way, WAYS)
        check_choice("clip", self.clip, CLIPS)
        check_number("repeats", self.repeats, 1, _MOST_REPEATS)
        check_number("width", self.width, 1, _MOST_WIDTH)
        if self.threads is not None:
            check_number("threads", self.threads, 1, _MOST_THREADS)
        if not self.tasks:
            raise InputError(
                f"nothing to measure: {', '.join(self.works)} cannot be done {self.ways[0]} in "
                "another way than usual; leave --ways out"
            )

    @property
    def tasks(self) -> tuple[tuple[str, str], ...]:
        """The names of each piece of work and the way to do it, in the order of `WORKS`."""
        return tuple(
            (name, way)
            for name, work in WORKS.items()
            for way in work.ways
            if name in (self.works or WORKS) and way in (self.ways or WAYS)
        )
