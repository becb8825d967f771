"""Files of this project that claim sizes which their tensors do not have: nothing is asked for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from cfclip.editors import channel_statistics, linear_text_map, text_mapper
from cfclip.encoders import latent_encoder, load_encoder, style_encoder
from cfclip.errors import CheckpointError
from cfclip.generators import latent_statistics
from cfclip.io import ModelFormat

HUGE, FAR = 1 << 22, 1 << 50
ENCODER = {"image_size": 128, "num_ws": 8, "w_dim": 8, "channels": [8, 8]}
MAPPER = {"num_ws": 8, "w_dim": 8, "text_dim": 8, "groups": ["coarse"]}


@pytest.mark.parametrize("size", [HUGE, FAR])
@pytest.mark.parametrize(
    ("load", "model_format", "config"),
    [
        (load_encoder, latent_encoder.FORMAT, {**ENCODER, "hidden": ...}),
        (load_encoder, latent_encoder.FORMAT, {**ENCODER, "blocks": ...}),
        (load_encoder, latent_encoder.FORMAT, {**ENCODER, "num_ws": ...}),
        (
            load_encoder,
            style_encoder.FORMAT,
            {"kind": "e4e", "num_ws": 8, "width": ...},
        ),
        (
            load_encoder,
            style_encoder.FORMAT,
            {"kind": "e4e", "num_ws": ..., "width": 64},
        ),
        (text_mapper.load_text_mapper, text_mapper.FORMAT, {**MAPPER, "w_dim": ...}),
        (text_mapper.load_text_mapper, text_mapper.FORMAT, {**MAPPER, "num_ws": ...}),
        (text_mapper.load_text_mapper, text_mapper.FORMAT, {**MAPPER, "mapping_layers": ...}),
        (
            linear_text_map.load_text_map,
            linear_text_map.FORMAT,
            {"text_dim": ..., "w_dim": 1 << 20, "fuses": False, "models": {}},
        ),
        (
            channel_statistics.load_channel_statistics,
            channel_statistics.FORMAT,
            {"channels": ..., "dim": 1 << 20, "models": {}},
        ),
        (
            latent_statistics.load_latent_statistics,
            latent_statistics.FORMAT,
            {"w_dim": ..., "count": 10},
        ),
    ],
)
def test_claims_are_compared_with_the_tensors(
    load: Callable[[Path], object],
    model_format: ModelFormat,
    config: dict[str, Any],
    size: int,
    tmp_path: Path,
) -> None:
    claimed = {name: size if value is ... else value for name, value in config.items()}
    path = tmp_path / "model.safetensors"
    about = {"format": model_format.tag, "config": json.dumps(claimed)}
    save_file({"mean": torch.zeros(1)}, path, about)
    with pytest.raises(CheckpointError) as caught:
        load(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
