"""The configuration of a CLIP: what it may say, and the folder that it lies in; free of torch.

open_clip builds whatever a configuration names: towers and tokenizers of other libraries, which
are fetched, files, tables of any size. cfclip edits and inverts with open_clip's own image
encoders, its text encoder and CLIP's tokenizer, and with the two towers of
`cfclip.embedders.towers`. All else is refused before anything is built, read or fetched.

A folder is of open_clip (`open_clip_config.json`), as packs hold them, or of transformers
(`config.json`). Its files are its own: what leads out of it is not read.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cfclip.errors import CheckpointError, InputError, shown
from cfclip.io import named, read_json, table_of

CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"
WEIGHTS_FILES = (
    WEIGHTS_FILE,
    "open_clip_pytorch_model.safetensors",
    "model.safetensors",
    "open_clip_pytorch_model.bin",
)
"""Our own name of the weights, and those in others' folders, the safest format first."""
MERGES_FILE = "bpe_merges.txt.gz"
"""Optional: the trimmed vocabulary of the text encoder, see `cfclip.embedders.clip_files`."""

TRANSFORMERS_CONFIG_FILE = "config.json"
TRANSFORMERS_WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")
PREPROCESSOR_FILE = "preprocessor_config.json"

_MODEL_TYPE = "clip"
_LONGEST_CONFIG = 1 << 20
"""Characters; a CLIP's has some thousand."""
_SNAPSHOTS, _BLOBS = "snapshots", "blobs"
"""The cache of the Hugging Face hub keeps files of `snapshots/HASH` in `blobs`, and links there."""

TOWERS = ("cfclip_compact_resnet", "cfclip_compact_plain")
"""The image towers of this project, by the names that timm knows them by."""
MOST_CELLS = 64
"""Patches in a row of a picture; attention takes memory and time by their fourth power."""

MOST_SCORES = 1 << 24
"""Of an attention layer for a picture or a text: heads times the square of what they look at, each
4 bytes. ViT-H-14-378 has half as many, the most of open_clip's own."""

_STAGES = 4
"""Of a residual network, whose layers are a list."""
RESIDUAL_REDUCTION = 32
"""The last map of a residual tower is this much smaller than the picture."""
_REMEDY = (
    "take one whose image and text encoders are open_clip's own, such as ViT-B-32-quickgelu:openai"
)


class _Values(NamedTuple):
    """What a key may have."""

    told: str
    fits: Callable[[Any], bool]


def _whole(low: int, high: int) -> _Values:
    told = f"a whole number from {low} to {high}"
    return _Values(told, lambda value: type(value) is int and low <= value <= high)


def _number(low: float, high: float) -> _Values:
    told = f"a number from {low:g} to {high:g}"
    return _Values(told, lambda value: type(value) in (int, float) and low <= value <= high)


def _one_of(*known: bool | str) -> _Values:
    told = " or ".join(repr(each) for each in known)
    return _Values(told, lambda value: isinstance(value, bool | str) and value in known)


def _layers(value: Any) -> bool:
    counts = value if isinstance(value, list) and len(value) == _STAGES else [value]
    return all(_LAYERS.fits(count) for count in counts)


_FLAG = _one_of(False, True)
_UNUSED = _one_of(False)
_WIDTH = _whole(1, 8192)
_LAYERS = _whole(1, 96)
_RATIO = _number(0.01, 32)
_SCALE = _number(-100, 100)
_LAYER_SCALE = _number(0, 10)

_MODEL = {
    "embed_dim": _WIDTH,
    "quick_gelu": _FLAG,
    "custom_text": _FLAG,
    "nonscalar_logit_scale": _FLAG,
    "init_logit_scale": _SCALE,
    "init_logit_bias": _SCALE,
}
_VISION = {
    "layers": _Values(f"{_LAYERS.told}, or a list of {_STAGES}", _layers),
    "width": _WIDTH,
    "head_width": _whole(1, 1024),
    "mlp_ratio": _RATIO,
    "patch_size": _whole(1, 256),
    "image_size": _whole(RESIDUAL_REDUCTION // 2, 1024),
    "ls_init_value": _LAYER_SCALE,
    "patch_dropout": _number(0, 0.99),
    "no_ln_pre": _FLAG,
    "final_ln_after_pool": _FLAG,
    "pool_type": _one_of("tok", "avg"),
    "pos_embed_type": _one_of("learnable"),
    "attentional_pool": _UNUSED,
    "output_tokens": _UNUSED,
    "timm_model_name": _one_of(*TOWERS),
    "timm_model_pretrained": _UNUSED,
    "timm_pool": _one_of(""),
    "timm_proj": _one_of(""),
}
_TEXT = {
    "context_length": _whole(3, 1024),
    "vocab_size": _whole(514, 1 << 20),
    "width": _WIDTH,
    "heads": _whole(1, 512),
    "layers": _LAYERS,
    "mlp_ratio": _RATIO,
    "ls_init_value": _LAYER_SCALE,
    "no_causal_mask": _FLAG,
    "pool_type": _one_of("argmax", "first", "last"),
    "embed_cls": _UNUSED,
    "output_tokens": _UNUSED,
}
_TABLES = {"vision_cfg": _VISION, "text_cfg": _TEXT}

_MEAN = _number(0, 1)
_DEVIATION = _number(0.01, 10)


def checked_model_config(given: object) -> dict[str, Any]:
    """A copy of the `model_cfg` of an open_clip configuration that can be built without harm.

    Keys without a value are left out, as open_clip's own defaults are meant.

    Raises:
        InputError: another kind of CLIP than cfclip can use, a key that is not known, or a value
            out of its limits; says which.
    """
    if not isinstance(given, Mapping):
        raise InputError(f"its model_cfg is {shown(given)}, expected a table")
    tables = {name: given.get(name) for name in _TABLES}
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            raise InputError(f"its {name} is {shown(table)}, expected a table")
    _check_kind(given)
    own = _checked({key: v for key, v in given.items() if key not in _TABLES}, _MODEL, "model_cfg")
    if "embed_dim" not in own:
        raise InputError("its model_cfg has no embed_dim, the width of the embeddings")
    config = {**own, **{name: _checked(given[name], _TABLES[name], name) for name in _TABLES}}
    _check_together(config, config["vision_cfg"])
    text = config["text_cfg"]
    _check_scores("texts", text.get("heads", 8), text.get("context_length", 77))
    return config


def checked_statistics(preprocessing: object) -> dict[str, list[float]]:
    """`mean` and `std` of a `preprocess_cfg`, as far as it has them; all else is not used.

    Raises:
        InputError: values that are not three numbers each, within [0, 1] and [0.01, 10].
    """
    if not isinstance(preprocessing, Mapping):
        raise InputError(f"its preprocess_cfg is {shown(preprocessing)}, expected a table")
    found: dict[str, list[float]] = {}
    for name, values in (("mean", _MEAN), ("std", _DEVIATION)):
        if (three := preprocessing.get(name)) is None:
            continue
        if not isinstance(three, list) or len(three) != 3 or not all(map(values.fits, three)):
            raise InputError(f"its {name} of pictures is not 3 times {values.told}")
        found[name] = three
    return found


def file_in(folder: Path, name: str) -> Path | None:
    """The file of that name in a folder, if there is one.

    Raises `CheckpointError` for what is no file, such as a device, or a link out of the folder.
    """
    path = folder / name
    whole = folder.resolve()
    places = [whole]
    if whole.parent.name == _SNAPSHOTS:
        places.append(whole.parent.parent / _BLOBS)
    try:
        if not path.exists() and not path.is_symlink():
            return None
        real = path.resolve(strict=True)
        if not any(real.is_relative_to(place) for place in places):
            raise CheckpointError(f"{path} is a link out of the folder; put the file itself there")
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise CheckpointError(f"{path} is a link to nothing; put the file itself there") from error
    if not path.is_file():
        raise CheckpointError(f"{path} is no file; get the CLIP again")
    return path


def first_in(folder: Path, names: tuple[str, ...]) -> Path:
    """The first of several files that a folder has. Raises `CheckpointError` if it has none."""
    for name in names:
        if (path := file_in(folder, name)) is not None:
            return path
    raise CheckpointError(
        f"{folder / names[0]} is missing; restore the folder from where the model is from"
    )


def table_in(folder: Path, name: str) -> dict[str, Any]:
    """The table in a file of JSON. Raises `CheckpointError` if there is none."""
    path = first_in(folder, (name,))
    with named(path, "get it again", CheckpointError):
        return dict(table_of(read_json(path, _LONGEST_CONFIG)))


def is_of_transformers(folder: Path) -> bool:
    """Whether a folder has the configuration of a model of transformers, and none of open_clip."""
    found = file_in(folder, CONFIG_FILE) is None
    return found and file_in(folder, TRANSFORMERS_CONFIG_FILE) is not None


def read_config(folder: Path) -> dict[str, Any]:
    """The `open_clip_config.json` of a folder, its `model_cfg` checked.

    Raises `CheckpointError` for a file that is missing, or a CLIP that cannot be used.
    """
    config = table_in(folder, CONFIG_FILE)
    try:
        return {**config, "model_cfg": checked_model_config(config.get("model_cfg"))}
    except InputError as error:
        raise CheckpointError(f"{folder / CONFIG_FILE} cannot be used: {error}") from error


def read_transformers_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of a CLIP of transformers. Raises `CheckpointError` for another model."""
    config = table_in(folder, TRANSFORMERS_CONFIG_FILE)
    if (found := config.get("model_type")) != _MODEL_TYPE:
        raise CheckpointError(
            f"{folder / TRANSFORMERS_CONFIG_FILE} describes a {shown(found)} model; only CLIP "
            f"({_MODEL_TYPE!r}) is read from a folder of transformers, others as open_clip's "
            "MODEL:TAG"
        )
    return config


def check_folder(folder: Path) -> None:
    """Raise `CheckpointError` unless a folder has the configuration of a CLIP that can be used."""
    if is_of_transformers(folder):
        read_transformers_config(folder)
    else:
        read_config(folder)


def _check_kind(model: Mapping[str, Any]) -> None:
    """Refuse what is built by other libraries."""
    vision, text = model["vision_cfg"], model["text_cfg"]
    tower = vision.get("timm_model_name")
    reasons = [
        (
            model.get("multimodal_cfg"),
            "it is a CoCa, which also writes texts",
        ),
        (
            tower not in (None, *TOWERS) and tower,
            f"its image encoder is {shown(tower)} of timm, which pictures cannot be inverted by",
        ),
        (
            text.get("hf_model_name"),
            f"its text encoder is {shown(text.get('hf_model_name'))} of transformers",
        ),
        (
            text.get("hf_tokenizer_name"),
            f"its tokenizer is {shown(text.get('hf_tokenizer_name'))} of transformers, which "
            "packs do not hold",
        ),
    ]
    for found, reason in reasons:
        if found:
            raise InputError(f"{reason}; {_REMEDY}")


def _checked(given: Mapping[str, Any], known: Mapping[str, _Values], table: str) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in given.items():
        if value is None:
            continue
        if key not in known:
            raise InputError(f"its {table} has {shown(key)}, which cfclip does not know; {_REMEDY}")
        if not known[key].fits(value):
            raise InputError(f"its {key} is {shown(value)}, expected {known[key].told}")
        kept[key] = value
    return kept


def _check_together(model: Mapping[str, Any], vision: Mapping[str, Any]) -> None:
    """Refuse values that are fine by themselves."""
    side, width = vision.get("image_size", 224), vision.get("width", 768)
    patch, head = vision.get("patch_size", 16), vision.get("head_width", 64)
    if "timm_model_name" in vision:
        if model.get("custom_text"):
            raise InputError(f"its custom_text does not go with {vision['timm_model_name']}")
    elif isinstance(vision.get("layers"), list):
        if side < RESIDUAL_REDUCTION or width * RESIDUAL_REDUCTION % head:
            raise InputError(
                f"its residual network has an image_size of {side}, a width of {width} and a "
                f"head_width of {head}; expected at least {RESIDUAL_REDUCTION} px, and a "
                f"head_width that divides {RESIDUAL_REDUCTION} widths"
            )
    elif not 1 <= side // patch <= MOST_CELLS:
        raise InputError(
            f"its pictures of {side} px have {side // patch} patches of {patch} px in a row, "
            f"expected from 1 to {MOST_CELLS}"
        )
    else:
        _check_scores("pictures", max(1, width // head), (side // patch) ** 2 + 1)


def _check_scores(what: str, heads: int, length: int) -> None:
    """Refuse attention that takes memory without end, however small the weights are."""
    if heads * length**2 > MOST_SCORES:
        raise InputError(
            f"its {what} have {heads} heads of attention over {length} tokens; heads times the "
            f"square of tokens is at most {MOST_SCORES:,}"
        )
