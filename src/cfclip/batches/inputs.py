"""What a batch works on: folders, patterns, lists, shards and samples, as entries."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cfclip.batches import manifests, shards
from cfclip.batches.manifests import latents_place, read_manifest, sample_place
from cfclip.batches.rows import Entry, Place, Refused
from cfclip.batches.shards import read_shard
from cfclip.editing import CodeReader, is_sample_spec, parse_sample_spec
from cfclip.errors import InputError
from cfclip.generators import Generator
from cfclip.images import list_pictures
from cfclip.io import split_latents_spec


def find_entries(
    inputs: Sequence[str],
    root: Path | None,
    warn: Callable[[str], None],
    generator: Generator | None = None,
) -> Iterator[Entry | Refused]:
    """What the inputs of a command list, in their order.

    Args:
        inputs: picture files and folders, patterns such as "in/**/*.png", lists (.csv, .jsonl),
            webdataset shards (.tar), "sample:FIRST-LAST", files of latents ("latents.pt:0-9").
        root: folder of the pictures that lists name; that of the list if not given.
        warn: told what is not used.
        generator: whose latents files of latents hold, which are refused without.

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
        if split_latents_spec(each):
            if generator is None:
                raise InputError(f"{each} cannot be used without a pack; give pictures or samples")
            for code in CodeReader(generator.num_ws, generator.w_dim).codes(each):
                yield Entry(code.spec, code.spec, latents_place(Path(code.spec)), code.name)
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
