"""What edits start from: pictures with their latents, sampled, inverted or given."""

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from PIL import Image
from torch import Tensor

from cfclip.editing.defaults import SAMPLE_TRUNCATION
from cfclip.encoders import ProjectionConfig
from cfclip.errors import InputError, shown
from cfclip.generators import Generator
from cfclip.io import split_latents_spec
from cfclip.optim import STOPPED, Callback
from cfclip.packs import Pack
from cfclip.photos import Photo
from cfclip.provenance import file_origin, image_sha256
from cfclip.settings import MOST_SEED, check_number
from cfclip.tensors import check_latents, pil_from_signed, signed_from_pil

if TYPE_CHECKING:
    from cfclip.editing.latent_sources import Code, CodeReader
    from cfclip.encoders import Inversion
    from cfclip.images import Ground

Picture: TypeAlias = Image.Image | str | Path | Photo
"""A PIL image, the path of an image file, a photo with a face, a text "sample:SEED", or a code in a
file of latents, as "latents.pt" or "latents.pt:3"."""

_SAMPLE_SPEC = re.compile(r"sample:(\d{1,20})(?:-(\d{1,20}))?")
_SAMPLE_PREFIX = "sample:"
_NAME_DIGITS = 6
MOST_SAMPLES = 10_000
"""Samples of one call: a slip of the keyboard should not fill the memory."""


@dataclass(frozen=True)
class Source:
    """A picture with its code: what an edit starts from. Made by `Session.sample` and `.invert`."""

    image: Image.Image
    """As given, square, at the pack's resolution; of a sample, the sample."""
    reconstruction: Image.Image
    """What the generator makes of `latents`: the picture that is really edited."""
    latents: Tensor
    """`(num_ws, w_dim)` float32 on the CPU."""
    origin: Mapping[str, Any]
    """Where it came from, as the record tells it: a sample's seed, a file's path and hash."""
    name: str
    """Short name, for file names."""
    warnings: tuple[str, ...] = ()
    """What was changed on the way in, and a poor reproduction; one line each."""
    psnr: float | None = None
    """Decibels of the reconstruction against the image; None for a sample, which is exact."""
    perceptual: float | None = None
    """Distance of the reconstruction in the embedder's feature maps, 0 (alike) to 4."""
    inversion: Mapping[str, Any] | None = None
    """Settings, steps, stop reason and seconds of the projection; None for a sample."""
    photo: Photo | None = None
    """What the image was cut from, if a face was."""
    generator: Generator | None = None
    """One tuned on this picture, if one was; the pack's otherwise."""


@dataclass(frozen=True)
class Opened:
    """A picture as it came in, before it has latents."""

    image: Image.Image
    origin: Mapping[str, Any]
    name: str
    warnings: tuple[str, ...]
    photo: Photo | None = None


def is_sample_spec(image: object) -> bool:
    """Whether `image` is a text that asks for samples, well-formed or not."""
    return isinstance(image, str) and image.startswith(_SAMPLE_PREFIX)


def parse_sample_spec(spec: str) -> range:
    """Seeds of "sample:SEED" or "sample:FIRST-LAST" (both included). Raises `InputError`.

    >>> list(parse_sample_spec("sample:3-5"))
    [3, 4, 5]
    """
    match = _SAMPLE_SPEC.fullmatch(spec)
    first = int(match[1]) if match else 0
    last = int(match[2] or match[1]) if match else -1
    if not first <= last <= MOST_SEED:
        raise InputError(
            f"{shown(spec)} is not a sample; give sample:SEED or sample:FIRST-LAST, as sample:7"
        )
    check_count("samples", last + 1 - first)
    return range(first, last + 1)


def check_count(name: str, count: int) -> None:
    """Raise `InputError` unless `count` samples can be made at once."""
    if not 1 <= count <= MOST_SAMPLES:
        raise InputError(f"{name} is {count}, it must be from 1 to {MOST_SAMPLES:,}")


def open_picture(picture: Picture, size: int, ground: "Ground" = "white") -> Opened:
    """A picture as 8-bit RGB, `size` x `size`, on `ground`, and where it came from.

    Raises `InputError` if it cannot be used.
    """
    from cfclip.images import open_image

    if isinstance(picture, Photo):
        photo, warnings = picture, picture.crop_warnings(size)
        return Opened(photo.crop(size), photo.origin, photo.name, warnings, photo)
    if isinstance(picture, Image.Image):
        prepared = open_image(picture, size, ground=ground)
        digest = image_sha256(prepared.image)
        origin = {"kind": "pixels", "sha256": digest}
        return Opened(prepared.image, origin, _name("image", digest), prepared.warnings)
    opened = open_image(picture, size, ground=ground)
    return Opened(opened.image, file_origin(picture), Path(picture).stem, opened.warnings)


def _name(kind: str, digest: str) -> str:
    """A name for what has none, so that several of a batch are not saved as one file."""
    return f"{kind}-{digest[:_NAME_DIGITS]}"


Editable: TypeAlias = Picture | Source | Tensor
"""A picture, a source made before, or latents `(num_ws, w_dim)`."""


class SourceMaker:
    """Makes sources with the models of a pack on a device."""

    def __init__(self, pack: Pack, device: torch.device) -> None:
        self.pack = pack
        self.device = device
        self._reader: CodeReader | None = None

    @property
    def codes(self) -> "CodeReader":
        """What reads files of latents for the pack's generator."""
        from cfclip.editing.latent_sources import CodeReader

        if self._reader is None:
            generator = self.pack.generator(self.device)
            self._reader = CodeReader(generator.num_ws, generator.w_dim)
        return self._reader

    def from_code(self, code: "Code") -> Source:
        """The generator's own picture of a code in a file."""
        generator = self.pack.generator(self.device)
        latents = code.latents.expand(generator.num_ws, -1).clone()
        return replace(self._exact(latents, code.origin, code.name), warnings=code.file.warnings)

    def sample(self, n: int, seed: int, truncation_psi: float) -> list[Source]:
        """Samples of the seeds `seed`, `seed + 1`, ...; see `Session.sample`."""
        check_count("n", n)
        check_number("seed", seed, 0, MOST_SEED - n + 1)
        check_number("truncation_psi", truncation_psi, 0.0, 1.0)
        return [self._sample(seed + index, float(truncation_psi)) for index in range(n)]

    def from_latents(self, latents: Tensor) -> Source:
        """The generator's own picture of latents `(num_ws, w_dim)`."""
        from cfclip.editing.latent_sources import latents_origin

        generator = self.pack.generator(self.device)
        if latents.ndim == 3:
            raise InputError(
                f"latents have shape {tuple(latents.shape)}, expected (num_ws, w_dim) for one "
                "picture; give several as a list"
            )
        check_latents(latents[None], generator.num_ws, generator.w_dim)
        kept = latents.detach().float().cpu()
        digest = hashlib.sha256(kept.numpy().tobytes()).hexdigest()
        return self._exact(kept, latents_origin(kept), _name("latents", digest))

    def sources_of(self, images: Sequence[Editable], config: ProjectionConfig) -> list[Source]:
        """Each image with its latents; those that have none yet are inverted.

        Raises `InputError` for what cannot be used, or no image.
        """
        found: dict[int, Source] = {}
        given: dict[int, Picture] = {}
        for index, image in enumerate(images):
            if isinstance(image, Source):
                found[index] = image
            elif isinstance(image, Tensor):
                found[index] = self.from_latents(image)
            elif isinstance(image, Picture):
                given[index] = image
            else:
                raise InputError(
                    f"cannot edit a {type(image).__name__}; give a PIL image, a file name, "
                    "sample:SEED, a Source or latents"
                )
        if not images:
            raise InputError("no images; give at least one")
        if given:
            inverted = self.invert(list(given.values()), config, None)
            found.update(zip(given, inverted, strict=True))
        return [found[index] for index in range(len(images))]

    def invert(
        self, images: Sequence[Picture], config: ProjectionConfig, callback: Callback | None
    ) -> list[Source]:
        """Sources of pictures, each projected for itself.

        In a batch the last bits of a float depend on its size, and Adam makes more of them; the
        same picture would have other latents in other company. Files are opened before the work.
        """
        resolution = self.pack.manifest.resolution
        found: list[Source | Opened] = []
        for image in images:
            if isinstance(image, str) and is_sample_spec(image):
                seeds = parse_sample_spec(image)
                if len(seeds) > 1:
                    raise InputError(f"{image!r} is several samples; give one at a time, in a list")
                found.append(self._sample(seeds[0], SAMPLE_TRUNCATION))
            elif isinstance(image, str | Path) and split_latents_spec(image):
                found.append(self.from_code(self.codes.one(image)))
            else:
                found.append(open_picture(image, resolution))
        return [
            each if isinstance(each, Source) else self._project(each, config, callback)
            for each in found
        ]

    @torch.no_grad()
    def sample_latents(
        self, seeds: Sequence[int], truncation_psi: float = SAMPLE_TRUNCATION
    ) -> Tensor:
        """`(len(seeds), num_ws, w_dim)` on the device: the latents of samples, without pictures.

        They are mapped together, and of how many there are depend their last bits.
        """
        generator = self.pack.generator(self.device)
        # Drawn on the CPU, one by one: the same picture on every device.
        draws = [
            torch.randn(generator.z_dim, generator=torch.Generator().manual_seed(seed))
            for seed in seeds
        ]
        z = torch.stack(draws).to(self.device)
        return generator.mapping(z, truncation_psi=truncation_psi)

    def _sample(self, seed: int, truncation_psi: float) -> Source:
        (latents,) = self.sample_latents([seed], truncation_psi)
        return self._exact(latents, sample_origin(seed, truncation_psi), f"sample-{seed}")

    @torch.no_grad()
    def _exact(self, latents: Tensor, origin: Mapping[str, Any], name: str) -> Source:
        """The source of latents `(num_ws, w_dim)` whose picture is the generator's own."""
        generator = self.pack.generator(self.device)
        made = pil_from_signed(generator.synthesis(latents[None].to(self.device)))[0]
        return Source(made, made, latents.float().cpu(), origin, name)

    def _project(
        self, opened: Opened, config: ProjectionConfig, callback: Callback | None
    ) -> Source:
        began = time.perf_counter()
        images = signed_from_pil([opened.image], self.pack.manifest.resolution)
        inversion = self.pack.invert(images, config, self.device, callback)
        seconds = time.perf_counter() - began
        return _inverted(opened, inversion, config, seconds)


def sample_origin(seed: int, truncation_psi: float = SAMPLE_TRUNCATION) -> dict[str, Any]:
    """The record's form of a sample."""
    return {"kind": "sample", "seed": seed, "truncation_psi": truncation_psi}


def _inverted(
    opened: Opened, inversion: "Inversion", config: ProjectionConfig, seconds: float
) -> Source:
    decibels, distance = float(inversion.psnr[0]), float(inversion.perceptual[0])
    poor = inversion.warnings[0]
    stop_reason = inversion.stop_reasons[0]
    return Source(
        image=opened.image,
        reconstruction=pil_from_signed(inversion.reconstruction)[0],
        latents=inversion.latents[0].detach().float().cpu(),
        origin=opened.origin,
        name=opened.name,
        photo=opened.photo,
        warnings=(*opened.warnings, poor) if poor else opened.warnings,
        psnr=decibels,
        perceptual=distance,
        inversion={
            "settings": asdict(config),
            "psnr": decibels,
            "perceptual": distance,
            "steps": inversion.steps[0],
            "stop_reason": stop_reason,
            "stopped_from_outside": stop_reason == STOPPED,
            "seconds": round(seconds, 3),
        },
    )


def generator_of(sources: Sequence[Source], generator: Generator) -> Generator:
    """The generator that makes all of the sources: the pack's, or the one tuned on the only source.

    Raises `InputError` for several sources of which one has its own.
    """
    if all(source.generator is None for source in sources):
        return generator
    if len(sources) > 1:
        raise InputError(
            f"{len(sources)} pictures at once, but the generator was tuned on one of them; edit "
            "those with a tuned generator one at a time"
        )
    return sources[0].generator or generator
