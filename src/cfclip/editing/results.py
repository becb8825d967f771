"""An edited picture: rendered at any strength, saved with its strip and its record."""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from cfclip.editing.sources import Source
from cfclip.editors import BatchEdit
from cfclip.errors import InputError
from cfclip.images import check_outputs
from cfclip.optim import COMPLETED, CONVERGED, INTERRUPTED, STOPPED
from cfclip.packs import Pack
from cfclip.photos import PasteBack, Photo
from cfclip.provenance import (
    MARKED,
    EditFiles,
    Marking,
    edit_files,
    edit_name,
    finished_record,
    provenance_of,
    write_json,
    write_picture,
)
from cfclip.settings import check_strength
from cfclip.tensors import pil_from_signed
from cfclip.version import __version__
from cfclip.viewing import strip

_EARLY_ENDS = {
    STOPPED: "the edit was stopped after {} steps",
    INTERRUPTED: "the edit was interrupted after {} steps; this is the last good result",
}
_REGULAR_ENDS = (COMPLETED, CONVERGED)


@dataclass(frozen=True)
class EditResult:
    """One edited picture, and all that is needed to render it at another strength and save it."""

    image: Image.Image
    """The edited picture at `strength`, 8-bit RGB at the pack's resolution."""
    source: Image.Image
    """The picture as given."""
    reconstruction: Image.Image
    """What the generator made of it before the edit; the edit changes this one."""
    latents: Tensor
    """`(num_ws, w_dim)` before the edit, on the CPU."""
    offset: Tensor
    """What the edit found, at strength 1, on the CPU: `(num_ws, w_dim)` to be added to `latents`,
    or in StyleSpace `(channels,)` to be added to the styles."""
    strength: float
    """Factor on the offset in `image`."""
    prompts: tuple[str, ...]
    history: Mapping[str, Sequence[float]]
    """The values of each unweighted loss term, and of "total", at every step."""
    warnings: tuple[str, ...]
    """What the user should know, one line each: unknown words, a poor reproduction, an edit that
    ended early."""
    stop_reason: str
    """"completed", "converged", "stopped by the caller", "interrupted", or what went wrong."""
    steps: int
    """Updates behind the offset."""
    seconds: float
    """Wall time of the edit (of the whole batch, if there was one)."""
    record: Mapping[str, Any]
    """Everything that `rerun` needs, as JSON values; `save` adds the outputs."""
    name: str
    """Base name of its files."""
    render: Callable[[float], Image.Image] = field(repr=False)
    """The picture at a strength; `at_strength` wraps it."""
    photo: Photo | None = None
    """What the source was cut from, if a face was."""

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the edit; the image is the last good one."""
        return bool(self.record["interrupted"])

    def at_strength(self, strength: float) -> "EditResult":
        """The same edit, weaker or stronger; 0 is the reconstruction. Optimises nothing.

        Raises `InputError` for a strength out of limits.
        """
        check_strength("strength", strength)
        return replace(self, image=self.render(strength), strength=float(strength))

    def pasted(self, paste: PasteBack | None = None) -> Image.Image:
        """The whole photo with the edit in it, at this strength.

        Raises `InputError` if no face was cut from a photo.
        """
        from cfclip.photos import paste_back

        photo = self._photo_to_paste()
        return paste_back(photo.image, photo.quad, self.image, self.reconstruction, paste)

    def _photo_to_paste(self) -> Photo:
        if self.photo is None:
            raise InputError(
                f"{self.name} was not cut from a photo, so there is nothing to put it back into; "
                "edit a photo with its face found (--align) or given (--landmarks FILE)"
            )
        return self.photo

    def save(
        self,
        directory: str | Path,
        name: str | None = None,
        strengths: Sequence[float] | None = None,
        overwrite: bool = False,
        marking: Marking = MARKED,
        paste: PasteBack | None = None,
    ) -> EditFiles:
        """Write the edited PNG (one per strength), a before/after strip and the JSON record.

        Each file is written whole or not at all, the record last.

        Args:
            directory: made if needed.
            name: base name of the files; from source and prompts if not given.
            strengths: strengths to render; the result's own if not given.
            overwrite: replace existing files.
            marking: what the pictures tell of how they were made; all of it if not given.
            paste: also write the whole photo with the edit in it (one per strength), this way.

        Raises:
            InputError: an output exists and not `overwrite`, or cannot be written, a strength is
                out of limits, or there is no photo to paste into.
        """
        chosen = (self.strength,) if strengths is None else tuple(dict.fromkeys(strengths))
        if not chosen:
            raise InputError("strengths is empty; give at least one, such as 1")
        if paste is not None:
            self._photo_to_paste()  # before anything is written
        called = self.name if name is None else _checked(name)
        files = edit_files(directory, called, chosen, pasted=paste is not None)
        check_outputs(files.all, overwrite)
        edited = [self if s == self.strength else self.at_strength(s) for s in chosen]
        provenance = provenance_of(self.record)
        for result, path in zip(edited, files.images, strict=True):
            write_picture(result.image, path, provenance, marking, overwrite)
        for result, path in zip(edited, files.photos, strict=False):
            write_picture(result.pasted(paste), path, provenance, marking, overwrite)
        write_picture(before_after(edited), files.strip, provenance, marking, overwrite)
        pasting = {} if paste is None else {"paste_back": asdict(paste)}
        record = finished_record(
            {**self.record, **pasting},
            [(r.strength, p.name, r.image) for r, p in zip(edited, files.images, strict=True)],
            files.strip.name,
        )
        write_json(record, files.record)
        return files


def circumstances(pack: Pack, device: torch.device) -> dict[str, Any]:
    """The part of a record that does not depend on the edit."""
    manifest = pack.manifest
    return {
        "versions": {
            "cfclip": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
            "threads": torch.get_num_threads(),
        },
        "pack": {
            "name": manifest.name,
            "version": manifest.version,
            "fingerprint": pack.fingerprint,
            "files": dict(manifest.files),
        },
        "device": str(device),
    }


def edit_results(
    edit: BatchEdit,
    sources: Sequence[Source],
    facts: Mapping[str, Any],
    notes: tuple[str, ...],
    together: bool = False,
) -> list[EditResult]:
    """The results of sources that were edited together, each with its record.

    Args:
        edit: what was made of them.
        sources: in the order of the edit.
        facts: what their records share.
        notes: warnings for every result.
        together: whether the pictures are those that were rendered together; otherwise each is
            rendered alone, so that the batch does not matter.
    """
    kept = edit.without_images()  # results may be kept for long
    images = pil_from_signed(edit.images) if together else [None] * len(sources)
    shared = {**facts, "batch": len(sources)}
    return [
        _edit_result(kept, row, source, image, shared, notes)
        for row, (source, image) in enumerate(zip(sources, images, strict=True))
    ]


def _edit_result(
    kept: BatchEdit,
    row: int,
    source: Source,
    image: Image.Image | None,
    facts: Mapping[str, Any],
    notes: tuple[str, ...],
) -> EditResult:
    def render(strength: float) -> Image.Image:
        return pil_from_signed(kept.row_at_strength(row, strength))[0]

    stop_reason, steps, history = kept.stop_reasons[row], kept.steps[row], kept.history[row]
    warnings = (*source.warnings, *notes)
    if stop_reason not in _REGULAR_ENDS:
        warnings += (_EARLY_ENDS.get(stop_reason, stop_reason).format(steps),)
    record = {
        **facts,
        "source": dict(source.origin),
        "inversion": source.inversion,
        "confined_to": asdict(kept.confinement.choice),
        "steps": steps,
        "stop_reason": stop_reason,
        "stopped_from_outside": stop_reason in _EARLY_ENDS,
        "interrupted": stop_reason == INTERRUPTED,
        "seconds": round(kept.seconds, 3),
        "warnings": list(warnings),
        "loss": {name: values[steps] for name, values in history.items() if values},
        "history": history,
    }
    prompts = tuple(facts["prompts"])
    return EditResult(
        image=render(kept.strength) if image is None else image,
        source=source.image,
        reconstruction=source.reconstruction,
        latents=source.latents,
        offset=kept.offset[row].detach().clone().cpu(),
        strength=kept.strength,
        prompts=prompts,
        history=history,
        warnings=warnings,
        stop_reason=stop_reason,
        steps=steps,
        seconds=kept.seconds,
        record=record,
        name=edit_name(source.name, prompts),
        render=render,
        photo=source.photo,
    )


def before_after(results: Sequence[EditResult]) -> Image.Image:
    """A strip: the source, its reconstruction if it is another picture, and each edit."""
    first = results[0]
    tiles = [(first.source, "source")]
    if first.reconstruction is not first.source:
        tiles.append((first.reconstruction, "reconstruction"))
    for result in results:
        marks = [f"strength {result.strength:g}"] if result.strength != 1 else []
        marks += ["interrupted"] if result.interrupted else []
        caption = "; ".join(result.prompts) + (f" ({', '.join(marks)})" if marks else "")
        tiles.append((result.image, caption))
    return strip(tiles)


def _checked(name: str) -> str:
    if not name or Path(name).name != name or name.startswith("."):
        raise InputError(f"name {name!r} is not a plain file name without a folder")
    return name
