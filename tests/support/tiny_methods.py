"""What every method takes, made for the tiny pack."""

from pathlib import Path
from typing import Any

from tiny_training import tiny_config

from cfclip.editing import METHODS, OpenedMethod, Session, open_method
from cfclip.editors import ChannelFitConfig, save_channel_statistics
from cfclip.fitting import find_latents, fit_channels, train_mapper
from cfclip.training import OpenText, TrainingConfig, open_texts

GREEN, BLUE = "green hair", "blue skin"
FEW = {"steps": 2, "augmentations": 1}


def make_method_files(pack: Path, folder: Path) -> Path:
    """Trainings of mappers, and channel statistics."""
    session = Session.open(pack)
    latent = {"mapper": "latent", "steps": 2}

    def train(
        name: str, prompts: tuple[str, ...] | tuple[OpenText, ...], config: TrainingConfig
    ) -> None:
        latents = find_latents(session, config).sets
        train_mapper(session, prompts, latents, folder / name, config)

    train("text", (GREEN, BLUE), tiny_config(steps=2))
    manifest = session.pack.manifest
    texts = open_texts(manifest.aspects, manifest.source_text, manifest.templates, pairs=2)
    train("open", texts, tiny_config(steps=2, mapper="open", optimizer="adamw", lr=1e-2))
    for name, objective in (("styleclip", "global"), ("directional", "directional")):
        train(f"{name}-green", (GREEN,), tiny_config(objective=objective, **latent))
    train("styleclip-blue", (BLUE,), tiny_config(objective="global", **latent))
    train("latent", (GREEN,), tiny_config(objective="global", changed_pixels=8.0, **latent))
    fitted = fit_channels(session, folder / "partial", ChannelFitConfig(images=1, batch=64))
    assert fitted.statistics is not None
    save_channel_statistics(fitted.statistics, folder / "channels.safetensors", fitted.report)
    return folder


def files(name: str, folder: Path) -> tuple[Path, ...]:
    """What a method takes of them."""
    taken = {
        "mapper": ("text",),
        "instant": ("open",),
        "cfclip-mapper": ("text",),
        "styleclip-mapper": ("styleclip-green", "styleclip-blue"),
        "directional-mapper": ("directional-green",),
        "styleclip-global": ("channels.safetensors",),
    }
    return tuple(folder / each for each in taken.get(name, ()))


def opened(name: str, session: Session, folder: Path, **settings: Any) -> OpenedMethod:
    """A method that is ready to edit, in few steps."""
    quick = FEW if METHODS[name].optimises else {}
    return open_method(name, session.pack, {**quick, **settings}, files(name, folder))
