"""Making a folder of models a pack."""

from dataclasses import replace
from pathlib import Path

from cfclip.packs.manifest import MANIFEST_FILE, PackManifest, hashes_in, write_manifest
from cfclip.packs.pack import Pack


def assemble_pack(folder: str | Path, manifest: PackManifest) -> Pack:
    """Hash every file in `folder`, write `pack.toml` with the result, and open the pack.

    `manifest.files` is replaced. Raises `PackError` as `Pack.open` does.
    """
    folder = Path(folder)
    write_manifest(replace(manifest, files=hashes_in(folder)), folder / MANIFEST_FILE)
    return Pack.open(folder)
