"""Sources with a generator of their own, tuned on their picture for a closer likeness."""

import time
from dataclasses import asdict, replace

import torch

from cfclip.editing.sources import Source
from cfclip.encoders import TuningConfig, measure_inversion, reproduction_warning, tune_generator
from cfclip.errors import InputError
from cfclip.optim import INTERRUPTED, STOPPED, Callback
from cfclip.packs import Pack
from cfclip.tensors import pil_from_signed, signed_from_pil


def tuned_source(
    pack: Pack,
    source: Source,
    config: TuningConfig,
    device: str | torch.device = "cpu",
    callback: Callback | None = None,
) -> Source:
    """The same picture and latents with a generator that makes the picture of them.

    Args:
        pack: what the source was inverted with.
        source: of `Session.invert`.
        config: settings with at least one step.
        device: where to compute.
        callback: called after each step; returning False ends with what has been reached.

    Raises:
        InputError: a source that is the generator's own picture, or no steps.
        KeyboardInterrupt: Ctrl-C; half a tuning is of no use.
    """
    if source.inversion is None:
        raise InputError(
            f"{source.name} is the generator's own picture, which it makes exactly; tune it on a "
            "picture file"
        )
    began = time.perf_counter()
    generator, embedder = pack.generator(device), pack.embedder(device)
    image = signed_from_pil([source.image], generator.resolution).to(device)
    pivot = source.latents[None].to(device)
    found = tune_generator(generator, embedder, image, pivot, config, callback)
    if found.stop_reason == INTERRUPTED:
        raise KeyboardInterrupt
    expected = source.inversion["settings"]["warn_below_psnr"]
    made = measure_inversion(found.generator, embedder, image, pivot, expected)
    decibels, distance = float(made.psnr[0]), float(made.perceptual[0])
    assert source.psnr is not None  # of whatever has an inversion
    outdated = reproduction_warning(source.psnr, expected)
    warnings = [warning for warning in source.warnings if warning != outdated]
    tuning = {
        "settings": asdict(config),
        "psnr": decibels,
        "perceptual": distance,
        "steps": found.steps,
        "stop_reason": found.stop_reason,
        "stopped_from_outside": found.stop_reason == STOPPED,
        "seconds": round(time.perf_counter() - began, 3),
    }
    return replace(
        source,
        reconstruction=pil_from_signed(made.reconstruction)[0],
        warnings=(*warnings, *(each for each in made.warnings if each)),
        psnr=decibels,
        perceptual=distance,
        inversion={**source.inversion, "tuning": tuning},
        generator=found.generator,
    )
