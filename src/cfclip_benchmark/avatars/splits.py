"""What avatars and prompts are for; free of numpy, so that commands list their options quickly."""

from typing import Literal, get_args

Split = Literal["validation", "test"]
"""Settings are chosen on the one and judged on the other."""
SPLITS: tuple[Split, ...] = get_args(Split)
