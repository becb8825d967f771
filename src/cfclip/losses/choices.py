"""Choices of CLIP-NCE, free of torch so that commands list their options quickly."""

from typing import Literal, TypeAlias

Positives: TypeAlias = Literal["both", "direction", "image"]
Negatives: TypeAlias = Literal["own", "released", "none"]
OwnNegatives: TypeAlias = Literal["own", "none"]
"""Those with which no image depends on the others of its batch."""
