"""Files of prompts for small benchmarks."""

_HAIR = """
[[test]]
family = "hair"
prompt = "green hair"
words = { hair_colour = "green" }
"""
_SMILE = """
[[test]]
family = "control"
prompt = "a smile"
words = { mouth = "smile" }
"""
_SKIN = """
[[validation]]
family = "skin"
prompt = "blue skin"
words = { skin_colour = "blue" }
"""

PROMPTS = _HAIR + _SKIN
"""One to test on, one to choose settings on."""

PROMPTS_WITH_CONTROL = _HAIR + _SMILE + _SKIN
