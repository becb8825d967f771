"""Opens a generator file of any known layout, told by its content and never by its name."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cfclip.errors import CheckpointError
from cfclip.generators import checkpoints
from cfclip.generators.nvidia_pickle import read_nvidia_pickle
from cfclip.generators.rosinality import from_rosinality
from cfclip.generators.stylegan2 import StyleGAN2

_ZIP = b"PK\x03\x04"
_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How torch's older files start: its magic number as a pickle."""
_PICKLE = b"\x80"
_DECODER = "decoder."
_MAX_BYTES = 8 << 30
_MAX_ENTRIES = 20_000


def load_generator(path: str | Path, device: str | torch.device = "cpu") -> StyleGAN2:
    """The generator in a file of cfclip, rosinality (also inside pSp and e4e) or NVIDIA.

    The result is float32, in eval mode and without gradients. Nothing that the file carries is
    run. Raises `CheckpointError` when the file is missing, too large, damaged, asks for code, or
    holds no StyleGAN2.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no generator file at {path}")
    with path.open("rb") as file:
        start = file.read(len(_LEGACY_TORCH))
    if start.startswith((_ZIP, _LEGACY_TORCH)):
        return _from_torch(path, is_zip=start.startswith(_ZIP)).to(device)
    if start.startswith(_PICKLE) and start[8:9] != b"{":
        return read_nvidia_pickle(path).to(device)
    return checkpoints.load_generator(path, device)


def _from_torch(path: Path, is_zip: bool) -> StyleGAN2:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise CheckpointError(f"{path} is larger than {_MAX_BYTES} bytes; no generator is")
        if is_zip:
            _check_zip(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is damaged or asks for more than tensors; nothing of it was run, save its "
            "state dict alone"
        ) from error
    except Exception as error:  # a damaged archive can fail in any way
        raise CheckpointError(
            f"{path} is not a readable torch file: {type(error).__name__}"
        ) from error
    return from_rosinality(*_generator_state(content, path))


def _check_zip(path: Path) -> None:
    """Torch stores its entries as they are; a compressed one could unpack to anything."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if len(entries) > _MAX_ENTRIES:
        raise CheckpointError(f"{path} holds {len(entries)} entries, at most {_MAX_ENTRIES}")
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED:
            raise CheckpointError(f"{path} holds compressed entries, which torch never writes")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise CheckpointError(f"{path} claims to hold more bytes than it has")


def _generator_state(content: Any, path: Path) -> tuple[dict[str, Tensor], Tensor]:
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds no dictionary of weights")
    state, average = content.get("g_ema"), content.get("latent_avg")
    inside = content.get("state_dict")
    if state is None and isinstance(inside, dict):
        state = {
            name.removeprefix(_DECODER): value
            for name, value in inside.items()
            if isinstance(name, str) and name.startswith(_DECODER)
        }
    if not isinstance(state, dict) or not state or not isinstance(average, Tensor):
        raise CheckpointError(f"{path} holds no generator: expected g_ema or decoder, latent_avg")
    if not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise CheckpointError(f"{path} holds something else than tensors among its weights")
    if average.ndim == 2 and len(average) and bool((average == average[0]).all()):
        average = average[0]  # pSp repeats the mean for every layer
    return state, average
