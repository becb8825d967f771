"""What a batch works on: folders, patterns, lists, shards and samples, as entries."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cfclip.batches import manifests, shards
from cfclip.batches.manifests import read_manifest, sample_place
from cfclip.batches.rows import Entry, Place, Refused
from cfclip.batches.shards import read_shard
from cfclip.errors import InputError
from cfclip.picture_files import list_pictures
from cfclip.sources import is_sample_spec, parse_sample_spec


def find_entries(
    inputs: Sequence[str], root: Path | None, warn: Callable[[str], None]
) -> Iterator[Entry | Refused]:
    """What the inputs of a command list, in their order.

    Args:
        inputs: picture files and folders, patterns such as "in/**/*.png", lists (.csv, .jsonl),
            webdataset shards (.tar), "sample:FIRST-LAST".
        root: folder of the pictures that lists name; that of the list if not given.
        warn: told what is not used.

    Raises:
        InputError: an input that cannot be read, or names nothing.
    """
    if not inputs:
        raise InputError("no input; give a folder, a pattern, a list, shards or samples")
    for each in inputs:
        if is_sample_spec(each):
            for seed in parse_sample_spec(each):
                place, stem = sample_place(seed)
                yield Entry(f"sample:{seed}", f"sample:{seed}", place, stem)
            continue
        listing = list_pictures(each, (*manifests.SUFFIXES, shards.SUFFIX))
        for path in listing.pictures:
            if path.suffix.lower() == shards.SUFFIX:
                yield from read_shard(path)
            elif path.suffix.lower() in manifests.SUFFIXES:
                yield from read_manifest(path, root, warn)
            else:
                yield Entry(
                    str(path), str(path), Place("file", path=str(path.absolute())), path.stem
                )
        if listing.complaint is not None:
            yield Refused(each, listing.complaint)
