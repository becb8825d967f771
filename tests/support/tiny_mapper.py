"""A training of the tiny pack as `cfclip apply` finds it, of a mapper that was never trained."""

from pathlib import Path

from cfclip.editing import Session
from cfclip.editors import BEST, TextMapperConfig, save_text_mapper
from cfclip.training.initial import new_mapper


def write_mapper(folder: Path, pack: Path, *prompts: str) -> Path:
    """Write a mapper for some prompts into a new folder, and return that."""
    session = Session.open(pack)
    generator, width = session.generator, session.embedder.dim
    shape = TextMapperConfig(num_ws=generator.num_ws, w_dim=generator.w_dim, text_dim=width)
    facts = {"pack": "tiny", "pack_version": "1", "models": session.pack.mapped_models}
    folder.mkdir()
    save_text_mapper(new_mapper(shape, 0), folder / BEST, {**facts, "prompts": list(prompts)})
    return folder
