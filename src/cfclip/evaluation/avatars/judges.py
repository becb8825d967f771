"""The networks that judge edits of avatars, which no editor sees."""

from pathlib import Path

from cfclip.evaluation.probes import ARCHITECTURES, Architecture, Probe, load_probe

SHIPPED = Path(__file__).parent
"""Where the judges lie that come with the package."""


def load_probes(folder: Path = SHIPPED / "probes") -> dict[Architecture, Probe]:
    """The two probes of a folder, in evaluation mode, in the order of `ARCHITECTURES`.

    Raises:
        CheckpointError: one is missing, damaged, or of another architecture.
    """
    return {name: load_probe(folder / f"{name}.safetensors") for name in ARCHITECTURES}
