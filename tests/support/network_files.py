"""Files of tiny networks of random weights that pictures are compared by."""

from pathlib import Path

import torch

from cfclip.features import IdentityNetwork
from cfclip.features.vgg import VGG19Features


def write_identity(path: Path) -> Path:
    """Laid out as `model_ir_se50.pth`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(IdentityNetwork(16, 8).state_dict(), path)
    return path


def write_vgg(path: Path) -> Path:
    """Laid out as `vgg19_conv.pth`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(VGG19Features(4, caffe=True).convolutions.state_dict(), path)
    return path
