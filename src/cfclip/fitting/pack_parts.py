"""Giving a pack the parts of its pictures."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from cfclip.editing import Session
from cfclip.fitting.part_aspects import named_parts
from cfclip.fitting.part_search import SEARCH_STEPS, SampledPictures, find_parts
from cfclip.optim import Progress
from cfclip.packs import PARTS_FILE, Pack, assemble_pack
from cfclip.regions import Parts, PartsFitConfig, save_parts
from cfclip.settings import RegionName

_REGION: RegionName = "parts"


@dataclass(frozen=True)
class FittedParts:
    """Parts, and how they were found."""

    parts: Parts
    report: Mapping[str, Any]
    """The settings, `clusters`, `agreement` (how many parts two halves of the samples share) and
    `seconds`."""


def fit_parts(
    session: Session,
    config: PartsFitConfig | None = None,
    callback: Callable[[Progress], Any] | None = None,
) -> FittedParts:
    """Find the parts of a pack's pictures, and which of them its aspects are about.

    Args:
        session: of the pack; its generator is sampled, its embedder reads the samples.
        config: the settings, the defaults if not given.
        callback: called after each step.

    Raises:
        InputError: samples that show no parts.
    """
    config, aspects = config or PartsFitConfig(), session.pack.manifest.aspects
    began, steps = time.monotonic(), SEARCH_STEPS + len(aspects)
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if callback is not None:
            callback(Progress(done, steps))

    samples = SampledPictures(session.generator, config)
    found = find_parts(samples, config.seed, advance)
    named = named_parts(found.parts, samples, session.embedder, aspects, advance)
    parts = Parts(replace(named.config, models=session.pack.mapped_models)).eval()
    parts.centroids.copy_(named.centroids)
    report = {
        **asdict(config),
        "clusters": found.clusters,
        "agreement": found.agreement,
        "seconds": time.monotonic() - began,
    }
    return FittedParts(parts, report)


def keep_parts(pack: Pack, fitted: FittedParts) -> Pack:
    """Write parts into the folder of a pack, over those that it has, and open the pack again.

    From now on its edits are confined to parts, unless it says otherwise in `[defaults.edit]`.
    Its fingerprint is another afterwards: records of edits with the pack as it was need that one.

    Raises:
        CfclipError: a folder that cannot be written to.
    """
    told = {name: value for name, value in fitted.report.items() if name != "seconds"}
    save_parts(fitted.parts, pack.folder / PARTS_FILE, told)  # the same fit, the same file
    defaults = pack.manifest.defaults
    edit = {**defaults.edit, "region": _REGION}
    return assemble_pack(pack.folder, replace(pack.manifest, defaults=replace(defaults, edit=edit)))
