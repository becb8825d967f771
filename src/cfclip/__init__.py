"""cfclip: edit images with text, including into what the generator has never seen.

    from cfclip import Session

    session = Session.open("avatars")
    result = session.edit("sample:7", "an avatar with green hair")
    result.save("out")

Everything here is loaded on first use, so that `import cfclip` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cfclip.editing import EditResult, Session, Source, counterfactual_editing, rerun
    from cfclip.editors import LatentOptimisationConfig
    from cfclip.encoders import ProjectionConfig
    from cfclip.errors import CfclipError, InputError, PackError
    from cfclip.version import __version__

_HOMES = {
    "Session": "cfclip.editing.session",
    "EditResult": "cfclip.editing.results",
    "Source": "cfclip.editing.sources",
    "rerun": "cfclip.editing.replay",
    "counterfactual_editing": "cfclip.editing.counterfactual",
    "LatentOptimisationConfig": "cfclip.editors.optimisation_config",
    "ProjectionConfig": "cfclip.encoders.projection_config",
    "CfclipError": "cfclip.errors",
    "InputError": "cfclip.errors",
    "PackError": "cfclip.errors",
    "__version__": "cfclip.version",
}

__all__ = [
    "CfclipError",
    "EditResult",
    "InputError",
    "LatentOptimisationConfig",
    "PackError",
    "ProjectionConfig",
    "Session",
    "Source",
    "__version__",
    "counterfactual_editing",
    "rerun",
]


def __getattr__(name: str) -> object:
    """Import the module that defines a public name when the name is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cfclip' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
