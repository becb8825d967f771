"""Photos among the pictures that a command works through."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import tyro

from cfclip.apps.tasks import Task
from cfclip.errors import InputError
from cfclip.photos.face_config import FEATHER, FaceConfig, PasteBack

if TYPE_CHECKING:
    from cfclip.editing.sources import Picture

FaceOptions: TypeAlias = Annotated[FaceConfig, tyro.conf.arg(name="")]


@dataclass(frozen=True)
class Paste:
    """Whether and how an edit is put back into its photo."""

    paste_back: Literal["no", "changed", "whole"] = "no"
    """Also write the whole photo with the edit in it: where it changed something, or the whole
    crop of the face."""

    feather: float = FEATHER
    """Width of the soft edge of what is pasted, as a share of the crop's side."""

    def __post_init__(self) -> None:
        PasteBack(feather=self.feather)  # which knows the limits

    @property
    def chosen(self) -> PasteBack | None:
        """The settings, if it is put back."""
        return None if self.paste_back == "no" else PasteBack(self.paste_back, self.feather)


PasteOptions: TypeAlias = Annotated[Paste, tyro.conf.arg(name="")]


def check_photos(tasks: Sequence[Task], face: FaceConfig, paste: PasteBack | None = None) -> None:
    """Raise `InputError` if faces are to be cut from what are no photos, by landmarks of another
    picture, or put back without having been cut."""
    if not face.chosen:
        if paste is not None:
            raise InputError(
                f"paste_back is {paste.region!r}, but no face is cut from a photo; ask for that "
                "too (--align or --landmarks FILE)"
            )
        return
    for task in tasks:
        if isinstance(task.picture, str):
            raise InputError(
                f"{task.picture} is the generator's own picture, which has no face to be cut from "
                "it; leave out --align and --landmarks"
            )
    from cfclip.photos.photo import check_landmarks

    check_landmarks(face, len(tasks))


def picture_of(task: Task, face: FaceConfig) -> "Picture":
    """The picture of a task, with the face in it if that is to be cut from it."""
    if not face.chosen:
        return task.picture
    from cfclip.photos.photo import open_photo

    return open_photo(task.picture, face)
