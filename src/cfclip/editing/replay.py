"""Making the same image again from its record."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cfclip.editing.defaults import make_config
from cfclip.editing.latent_sources import FILE_KIND, latents_of
from cfclip.editing.methods import method_named
from cfclip.editing.results import EditResult
from cfclip.editing.session import Session
from cfclip.editing.sources import Source, SourceMaker
from cfclip.editing.tuned_sources import tuned_source
from cfclip.editors import EditCallback, mapper_file
from cfclip.encoders import ProjectionConfig, TuningConfig
from cfclip.errors import InputError, PackError
from cfclip.images import open_image
from cfclip.packs import Pack
from cfclip.photos import Quad, photo_at
from cfclip.provenance import EditRecord, file_origin, image_sha256, read_record


@dataclass(frozen=True)
class Rerun:
    """The edit of a record, made again."""

    result: EditResult
    strengths: tuple[float, ...]
    """Those that the record tells of."""
    identical: bool
    """Whether every image of the record came out again, bit for bit."""
    differences: tuple[str, ...]
    """What is not as it was recorded, as "torch 2.6 instead of 2.7"; the first place to look."""


def rerun(
    record: str | Path | Mapping[str, Any],
    *,
    image: str | Path | None = None,
    mask: str | Path | None = None,
    text_map: str | Path | None = None,
    files: Sequence[str | Path] = (),
    pack: str | Path | None = None,
    device: str | None = None,
    callback: EditCallback | None = None,
) -> Rerun:
    """Make an edit again from its record: on the same machine the same image, bit for bit.

    An edit that was stopped or interrupted is stopped at the same step.

    Args:
        record: the JSON file beside an edit, or its content.
        image: where the source file is now, if not where the record says.
        mask: where the mask file is now, likewise.
        text_map: where the file of the text map is now, likewise.
        files: where the files of the method are now, such as a mapper, likewise and in their order.
        pack: name or folder of the pack, if not known by the recorded name.
        device: another device than the recorded one; the image may then differ slightly.
        callback: as in `Session.edit`.

    Raises:
        InputError: an unusable record; a file that is missing or another one.
        PackError: the pack is unknown, or not the recorded one.
    """
    read = read_record(record)
    session = Session.open(pack or read.pack, device or read.device)
    _check_pack(session.pack, read)
    kind = method_named(read.method).settings_class
    text_map_now = (
        None if read.text_map is None else _located("text-map", read.text_map, text_map, session)
    )
    method = session.method(
        read.method,
        _files(read, files, session),
        make_config(kind, read.settings),
        text_map=text_map_now,
    )
    source = _source(session, read, image)
    cut = "quad" in read.source
    # Of what takes no steps, as many at a time as then: the last bits of floats depend on it.
    copies = min(read.batch, session.generator.images_at_once) if method.one_pass else 1
    result, *_ = session.edit(
        [source] * copies,
        read.prompts,
        read.seed,
        method=method,
        mask=None if read.mask is None else _located("mask", read.mask, mask, session, cut),
        source_text=read.source_text,
        unrealistic_text=read.unrealistic_text,
        batch=copies,
        callback=_stopping(read.edit_stop, callback),
    )
    strengths = tuple(strength for strength, _ in read.outputs)
    made = [
        image_sha256((result if s == result.strength else result.at_strength(s)).image)
        for s in strengths
    ]
    return Rerun(
        result=result,
        strengths=strengths,
        identical=made == [digest for _, digest in read.outputs],
        differences=_differences(result.record, read),
    )


def _files(read: EditRecord, given: Sequence[str | Path], session: Session) -> list[Path]:
    """The recorded files of the method, found and unchanged."""
    if given and len(given) != len(read.files):
        raise InputError(
            f"{len(given)} files are given for the {len(read.files)} of the record; give as many"
        )
    places = [mapper_file(each) if Path(each).is_dir() else Path(each) for each in given]
    return [
        _located("file", origin, places[index] if places else None, session, option="files")
        for index, origin in enumerate(read.files)
    ]


def _check_pack(pack: Pack, read: EditRecord) -> None:
    if pack.fingerprint == read.fingerprint:
        return
    files = pack.manifest.files
    changed = sorted(
        name for name in {*files, *read.pack_files} if files.get(name) != read.pack_files.get(name)
    )
    raise PackError(
        f"pack {pack.manifest.name!r} in {pack.folder} is not the one of the record (other "
        f"{', '.join(changed) or 'pack.toml'}); give the recorded one, "
        f"version {read.content['pack'].get('version', 'unknown')}, by --pack"
    )


def _source(session: Session, read: EditRecord, image: str | Path | None) -> Source:
    origin = read.source
    if origin["kind"] == "sample":
        return session.sample(1, origin["seed"], origin["truncation_psi"])[0]
    maker = SourceMaker(session.pack, session.device)
    if origin["kind"] == "latents":
        exact = maker.from_latents(latents_of(origin))
        return replace(exact, origin=origin)  # which may tell of earlier edits
    if origin["kind"] == FILE_KIND:
        file = _located("image", origin, image, session)
        return maker.from_code(maker.codes.at(file, origin["index"]))
    if read.projection is None:
        raise InputError("the record is damaged: a picture without an inversion")
    path = _located("image", origin, image, session)
    source = session.invert(
        photo_at(path, Quad(origin["quad"])) if "quad" in origin else path,
        make_config(ProjectionConfig, read.projection),
        _stopping(read.projection_stop, None),
    )
    if read.tuning is None:
        return source
    tuning = make_config(TuningConfig, read.tuning)
    stopping = _stopping(read.tuning_stop, None)
    return tuned_source(session.pack, source, tuning, session.device, stopping)


def _located(
    what: str,
    origin: Mapping[str, Any],
    given: str | Path | None,
    session: Session,
    cut: bool = False,
    option: str | None = None,
) -> Path:
    """The recorded file, found and unchanged; `cut` if only a face's square of it is used."""
    path, option = given or origin.get("path"), option or what
    if path is None:
        raise InputError(
            f"the {what} of the record was given without a file; name it by --{option}"
        )
    if not Path(path).is_file():
        raise InputError(
            f"there is no file {path}, the {what} of the record; give it by --{option}"
        )
    if origin["kind"] == "pixels":
        whole = cut or "quad" in origin
        size = session.pack.manifest.resolution
        digest = image_sha256(open_image(path, None if whole else size).image)
    else:
        digest = file_origin(path)["sha256"]
    if digest != origin["sha256"]:
        raise InputError(
            f"{path} is not the {what} of the record (its hash differs); give the recorded one "
            f"by --{option}"
        )
    return Path(path)


def _stopping(stop: int | None, callback: Any) -> Callable[[Any], bool | None] | None:
    """`callback`, ending the descent at the step where the recorded one was stopped."""
    if stop is None:
        return callback

    def stopping(progress: Any) -> bool | None:
        wanted = callback(progress) if callback is not None else None
        return False if progress.step >= stop else wanted

    return stopping


def _differences(now: Mapping[str, Any], read: EditRecord) -> tuple[str, ...]:
    before = read.versions
    found = [
        f"{name} {value} instead of {before.get(name)}"
        for name, value in now["versions"].items()
        if before.get(name) != value
    ]
    if now["device"] != read.device:
        found.append(f"device {now['device']} instead of {read.device}")
    if read.batch > now["batch"]:
        found.append(f"edited alone instead of in a batch of {read.batch}")
    return tuple(found)
