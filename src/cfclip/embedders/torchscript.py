"""The tensors of a TorchScript archive, read without running what the archive holds.

`torch.jit.save` writes a zip file: `code/` (a program), `data.pkl` (the modules with their values)
and a file in `data/` for each storage. `torch.jit.load` compiles the program. Here only `data.pkl`
is read, as data (`cfclip.foreign.pickles`), where modules become inert, and tensors what they are.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from cfclip.errors import CheckpointError, reason_of
from cfclip.foreign.pickle_values import Budget, Function
from cfclip.foreign.pickles import PickleReader
from cfclip.foreign.state_dicts import state_dict_of
from cfclip.foreign.torch_files import map_file
from cfclip.foreign.torch_layout import Storages, tensor_names, torch_archive

_MOST_VALUES = 500_000
_MOST_TENSORS = 10_000
"""By their names: modules may be shared, and their tensors with them."""
_LONGEST_NAME = 1000
_PROGRAM = "__torch__."
_LISTS = "torch.jit._pickle."


def is_torchscript(path: str | Path) -> bool:
    """Whether a file is a TorchScript archive, told by its content; False if it cannot be read."""
    try:
        return torch_archive(map_file(Path(path))).is_program
    except (OSError, ValueError, CheckpointError):
        return False


def read_torchscript(path: str | Path) -> dict[str, Tensor]:
    """Every tensor of an archive by its dotted name, on the CPU, in the type it is stored in.

    Parameters, buffers and tensors that are plain attributes come alike: the archive does not tell
    them apart. Raises `CheckpointError` when the file is missing, damaged, no such archive, or asks
    for anything but modules and tensors.
    """
    try:
        return _read(map_file(Path(path), private=True))
    except MemoryError:
        raise
    except Exception as error:  # a damaged archive makes the readers stumble over anything
        raise CheckpointError(
            f"{path} is not a readable TorchScript archive (nothing in it was run); get the file "
            f"again, or save its state dict with torch.save: {reason_of(error)}"
        ) from error


class _Module:
    """A module of the archive, without what it can do: its attributes are in `values`."""

    def __init__(self) -> None:
        self.values: dict[Any, Any] = {}

    def set_state(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise CheckpointError("it has a module without named attributes")
        self.values = state


class _Names(dict[str, Any]):
    """Those of tensors, and by their first parts those of modules and of lists with a type."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or str(name).startswith((_PROGRAM, _LISTS))

    def __missing__(self, name: str) -> Function:
        return Function(_Module if name.startswith(_PROGRAM) else _plain)


def _plain(value: Any, *_: Any) -> Any:
    return value


def _read(data: memoryview) -> dict[str, Tensor]:
    archive = torch_archive(data)
    if not archive.is_program:
        raise CheckpointError("it has no program, so it is not of torch.jit.save")
    budget = Budget()
    names = _Names(tensor_names(budget))
    root = PickleReader(archive.pickle, names, budget, Storages(archive.values)).read_last()
    tensors: dict[str, Tensor] = {}
    for name, tensor in _tensors(root):
        if len(tensors) == _MOST_TENSORS:
            raise CheckpointError(f"it has more than {_MOST_TENSORS} tensors")
        tensors[name] = tensor
    return state_dict_of(tensors, "its modules")


def _tensors(root: Any) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested modules by its dotted name."""
    waiting, seen = [("", root)], 0
    while waiting:
        name, value = waiting.pop()
        # Modules may be shared, so that a small file could ask for any number of names.
        seen += 1
        if seen > _MOST_VALUES or len(name) > _LONGEST_NAME:
            raise CheckpointError("it has modules that are nested without end")
        if isinstance(value, Tensor):
            yield name, value
        elif isinstance(value, _Module):
            inside = [(f"{name}.{key}" if name else str(key), v) for key, v in value.values.items()]
            waiting += reversed(inside)
