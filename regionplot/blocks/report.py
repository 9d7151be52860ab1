"""Report the outcome of a run over blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regionplot.blocks.grid import Block
from regionplot.executors.observer import JobObserver

BlockObserver = JobObserver[Block]
"""Base class of observers of a run over blocks, such as a progress bar. Observers get outcomes without values."""


@dataclass(frozen=True)
class BlocksReport:
    """Number of blocks and times of a run.

    Examples
    --------
    >>> str(BlocksReport(3, 1.5, (0.2, 0.4, 0.9), 2, "fork"))
    '3 blocks in 1.5 s by 2 workers (fork); a block took 0.200 to 0.900 s, median 0.400 s'
    """

    blocks: int
    """Number of blocks."""
    seconds: float
    """Wall time until the output was complete, in seconds."""
    durations: Sequence[float]
    """Seconds that each block took in its worker, in the order in which the blocks finished."""
    workers: int
    executor: str
    """Name of the executor, such as `fork`."""

    @property
    def shortest(self) -> float:
        """Time of the fastest block in seconds."""
        return min(self.durations, default=0.0)

    @property
    def median(self) -> float:
        """Median time of a block in seconds."""
        return float(np.median(self.durations)) if self.durations else 0.0

    @property
    def longest(self) -> float:
        """Time of the slowest block in seconds."""
        return max(self.durations, default=0.0)

    def __str__(self) -> str:
        blocks, workers = (
            f"{n} {name}{'' if n == 1 else 's'}" for n, name in ((self.blocks, "block"), (self.workers, "worker"))
        )
        return (
            f"{blocks} in {self.seconds:.1f} s by {workers} ({self.executor}); "
            f"a block took {self.shortest:.3f} to {self.longest:.3f} s, median {self.median:.3f} s"
        )
