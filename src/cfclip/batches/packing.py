"""Shards of results: how some pictures with what is told of them become one file, and back.

Parquet has a column for each fact and the PNG's bytes in `png`; a webdataset shard has NAME.png and
NAME.json. Every shard holds the names of its rows, so that it can tell by itself what is done.
"""

import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from cfclip.errors import InputError, failing_to

Form: TypeAlias = Literal["folder", "parquet", "webdataset"]

_NAME, _PNG = "name", "png"
FIELDS = (_NAME, "image", "text", "strength", "seed", "psnr", "warnings")
"""What a shard tells of a row."""

_AGAIN = "move it away, and its rows are made again"


@dataclass(frozen=True)
class Finished:
    """A picture that is done."""

    name: str
    png: bytes
    metadata: Mapping[str, Any]
    """What is told of it, as JSON values."""


class Packer(Protocol):
    """A form of shards."""

    suffix: str
    """Of its files."""

    def pack(self, finished: Sequence[Finished], path: Path) -> None:
        """Write a shard; `OSError` if that fails."""

    def names(self, path: Path) -> list[str]:
        """Of the rows in a shard. Raises `InputError` for a shard that cannot be read."""

    def picture(self, path: Path, name: str) -> bytes:
        """The PNG of a row in a shard. Raises `InputError` as `names` does."""


def packer_of(form: Form) -> Packer | None:
    """The packer of a form; None for a folder. Raises `InputError` without its package."""
    if form == "parquet":
        if find_spec("pyarrow") is None:
            raise InputError("Parquet needs pyarrow; pip install 'cfclip[batch]'")
        return ParquetPacker()
    return WebdatasetPacker() if form == "webdataset" else None


class ParquetPacker:
    """Apache Parquet, for pandas, DuckDB, Spark and their like."""

    suffix = ".parquet"
    columns = (*FIELDS, _PNG)

    def pack(self, finished: Sequence[Finished], path: Path) -> None:
        import pyarrow as arrow
        from pyarrow import parquet

        types = (
            *(arrow.string(), arrow.string(), arrow.string()),
            *(arrow.float64(), arrow.int64(), arrow.float64()),
            *(arrow.list_(arrow.string()), arrow.binary()),
        )
        fields = list(zip(self.columns, types, strict=True))
        rows = [{**_as_text(each.metadata), _NAME: each.name, _PNG: each.png} for each in finished]
        table = arrow.Table.from_pylist(rows, arrow.schema(fields))
        # PNGs are compressed already.
        plain = {name: "zstd" for name in self.columns if name not in (_PNG, "warnings")}
        parquet.write_table(
            table, path, compression={**plain, "warnings.list.element": "zstd", _PNG: "none"}
        )

    def names(self, path: Path) -> list[str]:
        return [str(name) for name in self._column(path, _NAME)]

    def picture(self, path: Path, name: str) -> bytes:
        return bytes(self._column(path, _PNG)[self.names(path).index(name)])

    def _column(self, path: Path, name: str) -> list[Any]:
        import pyarrow as arrow
        from pyarrow import parquet

        with failing_to(f"read {path}", _AGAIN, KeyError, arrow.ArrowException):
            # Of the file alone: folders and names of files say nothing here.
            with parquet.ParquetFile(path) as file:
                column: list[Any] = file.read(columns=[name]).column(name).to_pylist()
            return column


def _as_text(value: Any) -> Any:
    """JSON values for Parquet, which asks for text: names of files need not be any, and warnings
    tell of files."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {name: _as_text(each) for name, each in value.items()}
    return [_as_text(each) for each in value] if isinstance(value, list | tuple) else value


class WebdatasetPacker:
    """Tar archives as webdataset reads them."""

    suffix = ".tar"

    def pack(self, finished: Sequence[Finished], path: Path) -> None:
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
            for each in finished:
                metadata = json.dumps(each.metadata, allow_nan=False).encode()
                for suffix, data in ((_PNG, each.png), ("json", metadata)):
                    member = tarfile.TarInfo(f"{each.name}.{suffix}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))

    def names(self, path: Path) -> list[str]:
        with _reading(path) as archive:
            pngs = [name for name in archive.getnames() if name.endswith(f".{_PNG}")]
            return [name.removesuffix(f".{_PNG}") for name in pngs]

    def picture(self, path: Path, name: str) -> bytes:
        with _reading(path) as archive:
            stream = archive.extractfile(f"{name}.{_PNG}")
            return b"" if stream is None else stream.read()


@contextmanager
def _reading(path: Path) -> Iterator[tarfile.TarFile]:
    with (
        failing_to(f"read {path}", _AGAIN, KeyError, tarfile.TarError),
        tarfile.open(path, "r:") as archive,
    ):
        yield archive
