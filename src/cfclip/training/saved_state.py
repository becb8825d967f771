"""Checkpoints of a training: written whole or not at all, read strictly, bound to their settings.

The file holds tensors, numbers and texts only; it is read without executing anything::

    format      FORMAT
    identity    all that decides what the training computes, as JSON values
    step        steps done
    parts       name to state: mapper, optimizer, average, schedule, random state, ...
"""

import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from torch import Tensor

from cfclip.errors import CheckpointError, TrainingError, failing_to, reason_of
from cfclip.foreign import Budget, map_file, read_torch_data
from cfclip.io import atomic_write, parse_json
from cfclip.settings import completed
from cfclip.training.processes import ALONE, Processes

CHECKPOINT = "checkpoint.pt"
"""Name of the file in the folder of a run."""

FORMAT = "cfclip.training.v1"

_STEPS = "steps"
"""The setting that may grow once all of them are made."""
_LONGEST_SHOWN = 40  # characters of a setting in a message


class Stateful(Protocol):
    """What a checkpoint holds: modules, optimizers, averages, ..."""

    def state_dict(self) -> Any:
        """Tensors, numbers and texts, in dictionaries and lists."""

    def load_state_dict(self, state: Any, /) -> Any:
        """Go on from what `state_dict` gave."""


def plain_identity(identity: Mapping[str, Any]) -> dict[str, Any]:
    """`identity` as it reads when it comes back from a file: JSON values, the rest as text."""
    plain: dict[str, Any] = parse_json(json.dumps(dict(identity), default=str))
    return plain


def write_checkpoint(
    folder: Path, identity: Mapping[str, Any], step: int, parts: Mapping[str, Stateful]
) -> None:
    """Write the checkpoint of a run; the previous one stays until the new one is whole.

    Raises `TrainingError`, and keeps the previous one, for a state that is not finite or when it
    cannot be written.
    """
    states = {name: part.state_dict() for name, part in parts.items()}
    if broken := [name for name, state in states.items() if not is_finite(state)]:
        raise TrainingError(
            f"{', '.join(broken)} became not finite at step {step} of {folder}, whose last good "
            "checkpoint is kept; start again with a lower learning rate in another folder"
        )
    content = {"format": FORMAT, "identity": plain_identity(identity), "step": step}
    # Through memory: torch's own file writer hides why it could not write.
    buffer = io.BytesIO()
    torch.save({**content, "parts": states}, buffer)
    with writing(folder / CHECKPOINT) as temporary, open(temporary, "wb") as stream:
        stream.write(buffer.getbuffer())
        stream.flush()
        os.fsync(stream.fileno())  # else a power cut could leave the name without the content


def read_checkpoint(
    folder: Path,
    identity: Mapping[str, Any],
    parts: Mapping[str, Stateful],
    processes: Processes = ALONE,
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> int | None:
    """Restore the parts of a run from its checkpoint; returns the steps done.

    None if there is no checkpoint. The first of several processes reads it for all. A run that has
    made all its steps may be given more of them; nothing else of the identity may differ. What
    either identity lacks is taken from `defaults`: a setting that is newer than the checkpoint.

    Raises `CheckpointError` when it is damaged, of another version of this format, made with
    another identity (naming what differs), or does not fit the parts.
    """
    path = folder / CHECKPOINT
    data = processes.hand_out(_bytes_of(path) if processes.first else b"")
    if not data:
        return None
    content = _load(path, data)
    saved, asked = (
        completed(each, plain_identity(defaults))
        for each in (content["identity"], plain_identity(identity))
    )
    if differences := ", ".join(_differences(saved, asked, content["step"])):
        raise CheckpointError(
            f"{path} was made with other settings ({differences}); give the same settings, or "
            "start anew in another folder"
        )
    states, step = content["parts"], content["step"]
    if set(states) != set(parts):
        raise _damaged(path, f"it holds {', '.join(sorted(states))}")
    for name, part in parts.items():
        try:
            part.load_state_dict(states[name])
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise _damaged(path, f"{name}: {reason_of(error)}") from error
    return int(step)


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """`atomic_write` whose failures say what is kept. Raises `TrainingError`."""
    remedy = "what was there is kept, make room and resume"
    with (
        failing_to(f"write {path}", remedy, SafetensorError, kind=TrainingError),
        atomic_write(path) as temporary,
    ):
        yield temporary


def is_finite(state: Any) -> bool:
    """Whether all tensors anywhere in nested dictionaries and lists are finite."""
    if isinstance(state, Tensor):
        return bool(torch.isfinite(state).all())
    if isinstance(state, Mapping):
        return all(map(is_finite, state.values()))
    return not isinstance(state, list | tuple) or all(map(is_finite, state))


def _bytes_of(path: Path) -> memoryview | bytes:
    """Those of a file; none if there is none."""
    if not path.exists():
        return b""
    try:
        return map_file(path)
    except (CheckpointError, OSError) as error:
        raise _damaged(path, reason_of(error)) from error


def _load(path: Path, data: memoryview | bytes) -> dict[str, Any]:
    try:
        content = read_torch_data(memoryview(data), Budget())
    except MemoryError:
        raise
    except Exception as error:  # the reader raises whatever a damaged file makes it stumble over
        raise _damaged(path, reason_of(error)) from error
    version = content.get("format") if isinstance(content, dict) else None
    if version != FORMAT:
        raise CheckpointError(
            f"{path} is not a checkpoint of this version: its format is {version!r}, expected "
            f"{FORMAT!r}; start anew in another folder"
        )
    if not {"identity", "step", "parts"} <= content.keys():
        raise _damaged(path, f"it holds only {', '.join(content)}")
    return dict(content)


def _damaged(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{path} cannot be used ({reason}); remove it to start again, or give another folder"
    )


def _differences(saved: Mapping[str, Any], asked: Mapping[str, Any], done: int) -> Iterator[str]:
    """`lr 0.5, now 0.1` for each setting that differs, in nested tables too, after `done` steps."""
    for name in {**saved, **asked}:
        before, now = saved.get(name), asked.get(name)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _differences(before, now, done)
        elif name == _STEPS and before == done and isinstance(now, int) and now > done:
            continue  # it was finished, and is extended
        elif before != now:
            yield f"{name} {_shown(before)}, now {_shown(now)}"


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
