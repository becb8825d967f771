"""Published generators: fetched, checked, pinned, and described as parts of a pack."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cfclip.errors import CheckpointError, DownloadError
from cfclip.packs.addresses import PublishedGenerator
from cfclip.packs.downloads import Callback, Downloads

if TYPE_CHECKING:  # imports torch, which a download should not wait for
    from cfclip.packs.creation import PackParts

_CACHE_VARIABLE = "XDG_CACHE_HOME"


def downloads_folder() -> Path:
    """Where downloads are kept if no other folder is named: the user's cache."""
    cache = os.environ.get(_CACHE_VARIABLE)
    return (Path(cache) if cache else Path.home() / ".cache") / "cfclip" / "downloads"


def fetch_generator(
    published: PublishedGenerator,
    downloads: Downloads,
    address: str | None = None,
    callback: Callback | None = None,
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
