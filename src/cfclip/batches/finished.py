"""The results of a batch on the disk. What is there tells what is done, whatever was killed when.

A finished picture is a whole file in `pictures` from the moment it is renamed to its name. With
shards, pictures wait there until there are enough for one; a shard too is renamed when it is whole,
and only then are its pictures removed. A picture in both was about to be removed.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cfclip.batches.packing import Finished, Packer
from cfclip.errors import InputError, failing_to
from cfclip.io import atomic_write, remove_partials, write_whole

_PICTURES = "pictures"
_SHARDS = "shards"
_SUFFIX = ".png"
_PNG_END = b"IEND\xaeB`\x82"
"""The last bytes of every whole PNG: the type and checksum of its empty last chunk."""

SHARD_ROWS = 1000
"""Rows of a shard; of avatars 16 MB."""
SHARD_BYTES = 256_000_000
"""A shard is not let grow larger, whatever its rows: it is put together in memory."""


class Results:
    """What a batch has made so far, to be added to. One process at a time.

    Args:
        folder: of the batch; made if needed.
        packer: makes shards, if the results shall be in shards.
        shard_rows: rows of each but the last shard.

    Raises:
        InputError: a shard that cannot be read, or a folder that cannot be written.
    """

    def __init__(
        self, folder: Path, packer: Packer | None = None, shard_rows: int = SHARD_ROWS
    ) -> None:
        self._packer = packer
        self._shard_rows = shard_rows
        self._pictures = folder / _PICTURES
        self._shards = folder / _SHARDS
        self._packed: dict[str, Path] = {}
        with failing_to(f"write {folder}"):
            for place in (self._pictures, *([self._shards] if packer else [])):
                place.mkdir(parents=True, exist_ok=True)
                remove_partials(place)
            self._single = {name: self._path(name).stat().st_size for name in self._whole()}
        self._waiting = sum(self._single.values())
        if packer is not None:
            self._read_shards(packer)

    def _whole(self) -> list[str]:
        """Names of the pictures there; what a power cut left of others is removed."""
        names = []
        for path in sorted(self._pictures.glob(f"*{_SUFFIX}")):
            with open(path, "rb") as stream:
                stream.seek(0, 2)
                stream.seek(max(0, stream.tell() - len(_PNG_END)))
                whole = stream.read() == _PNG_END
            if whole:
                names.append(path.stem)
            else:
                path.unlink()
        return names

    def _read_shards(self, packer: Packer) -> None:
        for path in sorted(self._shards.glob(f"*{packer.suffix}")):
            for name in packer.names(path):
                if name in self._packed:
                    raise InputError(
                        f"{name} is in {self._packed[name]} and in {path}; move one of them away"
                    )
                self._packed[name] = path
        for name in [name for name in self._single if name in self._packed]:
            self._remove(name)

    def __contains__(self, name: str) -> bool:
        return name in self._packed or name in self._single

    def __len__(self) -> int:
        return len(self._packed) + len(self._single)

    def file(self, name: str) -> Path:
        """Where a finished row is."""
        return self._packed.get(name) or self._path(name)

    def picture(self, name: str) -> bytes:
        """The PNG of a finished row. Raises `InputError` if it cannot be read any more."""
        if self._packer is not None and name in self._packed:
            return self._packer.picture(self._packed[name], name)
        with failing_to(f"read {self._path(name)}"):
            return self._path(name).read_bytes()

    def add(self, name: str, png: bytes, metadata: Callable[[str], Mapping[str, Any]]) -> None:
        """Keep the picture of a row that has none yet.

        Args:
            name: of the row.
            png: the bytes of its file.
            metadata: what shards tell of the rows that wait for one, by name.

        Raises:
            InputError: there is no room, or it cannot be written.
        """
        write_whole(self._path(name), png)
        self._single[name] = len(png)
        self._waiting += len(png)
        if len(self._single) >= self._shard_rows or self._waiting >= SHARD_BYTES:
            self.pack(metadata)

    def pack(self, metadata: Callable[[str], Mapping[str, Any]]) -> None:
        """Put what waits for a shard into one; nothing for a folder. Raises as `add` does."""
        if self._packer is None or not self._single:
            return
        names = list(self._single)
        finished = [Finished(name, self.picture(name), metadata(name)) for name in names]
        number = len(set(self._packed.values()))
        while (path := self._shards / f"part-{number:05}{self._packer.suffix}").exists():
            number += 1
        with failing_to(f"write {path}"), atomic_write(path) as temporary:
            self._packer.pack(finished, temporary)
        for name in names:
            self._packed[name] = path
            self._remove(name)

    def _remove(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)
        self._waiting -= self._single.pop(name)

    def _path(self, name: str) -> Path:
        return self._pictures / f"{name}{_SUFFIX}"
