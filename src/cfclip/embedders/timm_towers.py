"""Registers the project's towers with timm, by whose names open_clip builds them; on import."""

from typing import Any

from timm.models import register_model

from cfclip.embedders.clip_config import TOWERS
from cfclip.embedders.towers import CompactNet, make_tower

_NAME, _PLAIN_NAME = TOWERS


@register_model
def cfclip_compact_resnet(pretrained: bool = False, **settings: Any) -> CompactNet:
    """timm's entry point; there are no weights to fetch, so `pretrained` must be False."""
    _refuse(pretrained, _NAME)
    return make_tower(_NAME, int(settings["num_classes"]))


@register_model
def cfclip_compact_plain(pretrained: bool = False, **settings: Any) -> CompactNet:
    """timm's entry point; there are no weights to fetch, so `pretrained` must be False."""
    _refuse(pretrained, _PLAIN_NAME)
    return make_tower(_PLAIN_NAME, int(settings["num_classes"]))


def _refuse(pretrained: bool, name: str) -> None:
    if pretrained:
        raise ValueError(f"{name} has no pretrained weights; load them from a CLIP folder")
