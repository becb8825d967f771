"""The `render` command: a dataset of avatars, with a progress bar."""

from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cfclip_benchmark.avatars import RESOLUTION, TRAIN_SEED, Distribution
from recipes.avatars.dataset import render_dataset


@dataclass(frozen=True)
class Render:
    """Render avatars into a folder; the same command again goes on where it stopped."""

    distribution: Distribution
    """natural: what the generator sees; open: every colour on every part."""
    out: Path
    """Folder of the dataset."""
    count: int = 60_000
    """Number of images."""
    seed: int = TRAIN_SEED
    """101 for training, 202 for validation, 303 for test."""
    resolution: int = RESOLUTION
    """Pixels per side."""
    workers: int = 1
    """Processes."""

    def run(self) -> None:
        """Renders, with a bar on the terminal."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns) as bar:
            task = bar.add_task(f"{self.distribution} avatars", total=self.count)
            render_dataset(
                self.distribution,
                self.count,
                self.seed,
                self.out,
                self.resolution,
                self.workers,
                progress=lambda done, _: bar.update(task, completed=done),
            )
