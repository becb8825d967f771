"""What opening a file takes, as JSON: `python -m recipes.rehearsal.measure_opening KIND FILE`."""

import json
import sys
import time
from importlib import import_module
from pathlib import Path

import torch

from cfclip_benchmark import peak_memory

LOADERS = {
    "generator": "cfclip.generators.opening:load_generator",
    "encoder": "cfclip.encoders.opening:load_encoder",
    "identity": "cfclip.features.identity_network:load_identity",
    "clip": "cfclip.embedders.clip:load_clip",
}
"""The public function for each kind of file."""
_IMPORTED_ON_USE = ("open_clip", "cfclip.embedders.timm_towers")


def measure_opening(kind: str, path: Path) -> dict[str, float | None]:
    """Seconds of processor and clock, and MiB beyond what the libraries take, to open a file."""
    module, _, name = LOADERS[kind].partition(":")
    load = getattr(import_module(module), name)
    for each in _IMPORTED_ON_USE:
        import_module(each)
    cpu = torch.device("cpu")
    with peak_memory(cpu) as before:
        pass
    with peak_memory(cpu) as peak:
        began, worked = time.perf_counter(), time.process_time()
        load(path)
        seconds, processor = time.perf_counter() - began, time.process_time() - worked
    known = peak.mebibytes is not None and before.mebibytes is not None
    more = peak.mebibytes - before.mebibytes if known else None  # type: ignore[operator]
    return {"seconds": seconds, "processor_seconds": processor, "mebibytes": more}


if __name__ == "__main__":
    print(json.dumps(measure_opening(sys.argv[1], Path(sys.argv[2]))))
