"""Shapes of the latent mappers, free of torch so that commands list their options quickly."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from cfclip.errors import InputError
from cfclip.settings import CheckedSettings, EditSettings, check_choice, number

Group: TypeAlias = Literal["coarse", "medium", "fine"]
TextLayout: TypeAlias = Literal["active", "all", "none"]

GROUPS: tuple[Group, ...] = get_args(Group)
_MOST_LAYERS = 64
"""Far above any mapper: the sizes that a file claims are refused before networks are made."""

GROUP_LAYERS: dict[Group, slice] = {
    "coarse": slice(0, 4),
    "medium": slice(4, 8),
    "fine": slice(8, None),
}
"""Rows of a W+ code of any length that each group edits: pose and shape, features, colours.

The split of StyleCLIP (Patashnik et al., ICCV 2021), which CF-CLIP keeps."""


@dataclass(frozen=True, kw_only=True)
class LatentMapperConfig(CheckedSettings):
    """Shape of a `LatentMapper`. Raises `InputError` naming a value outside its limits."""

    num_ws: int = number(low=1, high=_MOST_LAYERS)
    """Rows of the generator's W+ codes."""

    w_dim: int = number(low=1)
    """Length of one row."""

    groups: tuple[Group, ...] = GROUPS
    """Groups of layers that are edited: coarse (layers 0-3), medium (4-7), fine (8 and up)."""

    mapping_layers: int = number(4, 1, _MOST_LAYERS)
    """Fully connected layers of each mapping network."""

    lr_multiplier: float = number(0.01, open_low=True)
    """Learning-rate multiplier of every fully connected layer."""

    step_scale: float = number(0.1, open_low=True)
    """What an edit adds of the mapper's output at strength 1."""

    legacy_pixel_norm: bool = False
    """Normalise over a group's layers, as released checkpoints need, instead of over channels."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for group in self.groups:
            check_choice("one of groups", group, GROUPS)
        if len(set(self.groups)) != len(self.groups):
            raise InputError(f"groups is {self.groups}, expected each one once")
        if not self.active_groups:
            raise InputError(
                f"groups is {self.groups}, expected at least one with layers: a generator with "
                f"num_ws {self.num_ws} has {', '.join(groups_of(self.num_ws))}"
            )

    @property
    def active_groups(self) -> tuple[Group, ...]:
        """The groups that are switched on and have layers, coarse first."""
        return tuple(group for group in groups_of(self.num_ws) if group in self.groups)

    @property
    def active_layers(self) -> tuple[int, ...]:
        """The layers of `active_groups`, in their order."""
        layers = range(self.num_ws)
        return tuple(row for group in self.active_groups for row in layers[GROUP_LAYERS[group]])


@dataclass(frozen=True, kw_only=True)
class TextMapperConfig(LatentMapperConfig):
    """Shape of a `TextMapper`. Raises `InputError` naming a value outside its limits."""

    text_dim: int = number(low=1)
    """Length of the embedder's text features."""

    text_layout: TextLayout = "active"
    """Which layers have a text network: active, those that are edited; all of them, as in released
    checkpoints, where those of a switched-off group do nothing; or none, StyleCLIP's mapper, which
    knows one edit and reads no text."""

    @property
    def text_layers(self) -> tuple[int, ...]:
        """The layers that have a text network."""
        if not self.reads_text:
            return ()
        return self.active_layers if self.text_layout == "active" else tuple(range(self.num_ws))

    @property
    def reads_text(self) -> bool:
        """Whether the text makes a difference."""
        return self.text_layout != "none"


@dataclass(frozen=True)
class MapperEditConfig(EditSettings):
    """How a trained mapper edits. Raises `InputError` naming a value outside its limits."""


def groups_of(num_ws: int) -> tuple[Group, ...]:
    """The groups that have at least one of `num_ws` layers, coarse first.

    >>> groups_of(6)
    ('coarse', 'medium')
    """
    return tuple(group for group in GROUPS if range(num_ws)[GROUP_LAYERS[group]])
