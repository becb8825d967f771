"""Generators that are published: their licences, and fetching them as parts of a pack.

An address is a fact that may become wrong; where each was found is told with it. Free of torch, but
for trying what was fetched.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cfclip.errors import CheckpointError, DownloadError, InputError

if TYPE_CHECKING:  # these import torch, or what fetches, which listing them should not wait for
    from cfclip.packs.creation import PackParts
    from cfclip.packs.downloads import Callback, Downloads

_CACHE_VARIABLE = "XDG_CACHE_HOME"


@dataclass(frozen=True)
class PublishedGenerator:
    """A generator that its makers publish."""

    name: str
    """As `cfclip packs download` calls it, and the pack that it becomes."""
    address: str
    shows: str
    """What its pictures show, and their size."""
    source_text: str
    """The same in a word or two, for the losses."""
    licence: str
    licence_address: str
    terms: str
    """What the licence asks for, in a few words; the licence itself counts."""
    attribution: str
    source: str
    """The page that names the address."""

    @property
    def file(self) -> str:
        """Name of the file."""
        return self.address.rpartition("/")[2]


def _nvidia(name: str, shows: str, source_text: str) -> PublishedGenerator:
    """One of the networks that come with StyleGAN2-ADA's PyTorch version."""
    return PublishedGenerator(
        name=name,
        address=f"https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/{name}.pkl",
        shows=shows,
        source_text=source_text,
        licence="NVIDIA Source Code License for StyleGAN2 with Adaptive Discriminator Augmentation",
        licence_address="https://nvlabs.github.io/stylegan2-ada-pytorch/license.html",
        terms="non-commercial use only, for research or evaluation (section 3.3)",
        attribution="Karras et al., NVIDIA Corporation: StyleGAN2-ADA",
        source="https://github.com/NVlabs/stylegan2-ada-pytorch (README, Data repository)",
    )


PUBLISHED = {
    each.name: each
    for each in (
        _nvidia("ffhq", "faces, 1024 px (FFHQ)", "face"),
        _nvidia("afhqdog", "faces of dogs, 512 px (AFHQ)", "dog"),
        _nvidia("afhqcat", "faces of cats, 512 px (AFHQ)", "cat"),
        _nvidia("afhqwild", "faces of wild animals, 512 px (AFHQ)", "wild animal"),
        _nvidia("metfaces", "painted and sculpted faces, 1024 px (MetFaces)", "face"),
    )
}


def published_generator(name: str) -> PublishedGenerator:
    """The one of that name. Raises `InputError` naming those there are."""
    if name not in PUBLISHED:
        raise InputError(
            f"no generator {name!r} is known; known are {', '.join(PUBLISHED)}; any other becomes "
            "a pack by packs create"
        )
    return PUBLISHED[name]


def downloads_folder() -> Path:
    """Where downloads are kept if no other folder is named: the user's cache."""
    cache = os.environ.get(_CACHE_VARIABLE)
    return (Path(cache) if cache else Path.home() / ".cache") / "cfclip" / "downloads"


def fetch_generator(
    published: PublishedGenerator,
    downloads: "Downloads",
    address: str | None = None,
    callback: "Callback | None" = None,
) -> Path:
    """The file of a published generator, which is colour and opens, and whose hash is pinned.

    Args:
        published: what is fetched, whose licence the caller has accepted.
        downloads: where it is kept.
        address: another place that has the same file.
        callback: told how far the download is.

    Raises:
        InputError: as `Downloads.fetch` does.
        DownloadError: as `Downloads.fetch` does, or for a file that is no generator; it is removed.
    """
    address = address or published.address

    def prove(path: Path) -> None:
        from cfclip.packs.creation import open_colour_generator

        try:
            open_colour_generator(path)
        except CheckpointError as error:
            raise DownloadError(
                f"what came from {address} is no usable generator and was removed; try again, or "
                f"give the file itself (packs create --generator): {error}"
            ) from error

    return downloads.fetch(address, published.file, callback, prove)


def published_parts(
    published: PublishedGenerator, generator: Path, name: str, clip: str
) -> "PackParts":
    """What a pack of a fetched generator is made of; `dataclasses.replace` adds to it."""
    from cfclip.packs.creation import PackParts

    return PackParts(
        name=name,
        generator=generator,
        clip=clip,
        source_text=published.source_text,
        licence=f"{published.licence} ({published.licence_address})",
        attribution=published.attribution,
        origin=f"generator from {published.address}, named by {published.source}",
    )
