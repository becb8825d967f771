"""A file of a tiny identity network of random weights, laid out as `model_ir_se50.pth`."""

from pathlib import Path

import torch

from cfclip.features.identity_network import IdentityNetwork


def write_identity(path: Path) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(IdentityNetwork(16, 8).state_dict(), path)
    return path
