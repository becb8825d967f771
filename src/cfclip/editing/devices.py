"""Devices that models can be on."""

import torch

from cfclip.errors import InputError

DEVICE_TYPES = ("cpu", "cuda", "mps")


def checked_device(device: str) -> torch.device:
    """The device of that name, such as "cpu" or "cuda:1".

    Raises `InputError` for another name, or a device that this machine does not have.
    """
    try:
        checked = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"unknown device {device!r}; use {', '.join(DEVICE_TYPES)}") from error
    if checked.type not in DEVICE_TYPES:
        raise InputError(f"unknown device {device!r}; use {', '.join(DEVICE_TYPES)}")
    missing = (
        (checked.type == "mps" and not torch.backends.mps.is_available())
        or (checked.type == "cuda" and not torch.cuda.is_available())
        or (checked.type == "cuda" and (checked.index or 0) >= torch.cuda.device_count())
    )
    if missing:
        raise InputError(f"this machine has no usable device {device!r}; use cpu")
    return checked
