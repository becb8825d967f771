"""What hands rows to workers, whichever way."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol, TypeAlias, get_args

from cfclip.batches.editing import Outcome
from cfclip.batches.rows import Row

EngineName: TypeAlias = Literal["local", "ray"]
ENGINES: tuple[str, ...] = get_args(EngineName)


class Engine(AbstractContextManager["Engine"], Protocol):
    """Workers, ready once the block of the engine is entered, and ended with it."""

    def run(
        self, chunks: Iterator[Sequence[Row]], stopping: Callable[[], bool]
    ) -> Iterator[list[Outcome]]:
        """The outcome of every row of every chunk, as they come.

        Once `stopping` is true, no more rows are begun, and it ends when those at hand are done.
        Rows whose worker was killed are done by another.

        Raises:
            CfclipError: workers that cannot work at all.
        """

    def synthesis_rate(self, seconds: float) -> float:
        """Pictures per second of the generators of all workers at the same time, and nothing
        else, measured for about so long."""
