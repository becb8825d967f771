"""The table of a measurement."""

from collections.abc import Sequence

from cfclip_benchmark.report import markdown_table
from cfclip_benchmark.speed.speed_lines import Line, Rates
from cfclip_benchmark.speed.speed_plan import WORKS, Plan

SPEED_MARK = "speed"
"""Name of the marks between which a page has it."""
_HEADER = ("work", "way", "seconds", "peak memory, GB", "floor, seconds", "share of the floor")
_BILLION = 1e9


def speed_table(plan: Plan, rates: Rates, lines: Sequence[Line]) -> str:
    """What was measured on which machine with which models, and a row for each line."""
    reached = ", ".join(
        f"{rate / _BILLION:,.0f} in {precision}" for precision, rate in rates.operations.items()
    )
    medians = f"Medians of {plan.repeats}" if plan.repeats > 1 else "One step each"
    text = (
        f"{medians}, on {rates.machine}, torch {rates.torch}, Python {rates.python}; StyleGAN2 at "
        f"{plan.resolution} px, {plan.width} channels at most, and the CLIP {plan.clip}, of random "
        "weights. Billions of operations a second in a large matrix product or 3x3 convolution: "
        f"{reached}.\n\n"
    )
    return text + markdown_table(_HEADER, [_row(line) for line in lines])


def _row(line: Line) -> tuple[str, ...]:
    way = line.way if line.precision == "float32" else f"{line.way} ({line.precision})"
    memory = "-" if line.memory is None else f"{line.memory:.1f}"
    return (
        WORKS[line.work].title,
        way,
        _seconds(line.seconds),
        memory,
        _seconds(line.floor),
        f"{line.share:.0%}",
    )


def _seconds(seconds: float) -> str:
    """With two digits that say something, but no more than a ten thousandth.

    >>> [_seconds(each) for each in (11.32, 0.0214, 0.00001)]
    ['11.3', '0.021', '0.0000']
    """
    for limit, decimals in ((100, 0), (10, 1), (1, 2), (0.1, 2), (0.01, 3)):
        if seconds >= limit:
            return f"{seconds:.{decimals}f}"
    return f"{seconds:.4f}"
