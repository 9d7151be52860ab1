"""Report the outcome of a run over blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from regionplot.blocks.grid import Block
from regionplot.executors.base import Outcome


class BlockObserver(Protocol):
    """Who wants to see a run as it goes, such as a progress bar."""

    def started(self, jobs: int, workers: int, start_method: str) -> None:
        """The first block is about to be done."""

    def finished(self, outcome: Outcome[Block]) -> None:
        """One block is done."""


@dataclass(frozen=True)
class BlocksReport:
    """What a run took.

    Examples
    --------
    >>> str(BlocksReport(3, 1.5, (0.2, 0.4, 0.9), 2, "fork"))
    '3 blocks in 1.5 s by 2 workers (fork); a block took 0.200 to 0.900 s, median 0.400 s'
    """

    blocks: int
    """How many were done."""
    seconds: float
    """Wall time, until the output was in its place."""
    durations: Sequence[float]
    """Seconds that each block took its worker, in the order in which they came."""
    workers: int
    executor: str
    """`serial`, `threads`, `dask`, or the start method of processes."""

    @property
    def shortest(self) -> float:
        """Seconds of the quickest block."""
        return min(self.durations, default=0.0)

    @property
    def median(self) -> float:
        """Seconds of a usual block."""
        return median(self.durations) if self.durations else 0.0

    @property
    def longest(self) -> float:
        """Seconds of the slowest block."""
        return max(self.durations, default=0.0)

    def __str__(self) -> str:
        blocks, workers = (
            f"{n} {name}{'' if n == 1 else 's'}" for n, name in ((self.blocks, "block"), (self.workers, "worker"))
        )
        return (
            f"{blocks} in {self.seconds:.1f} s by {workers} ({self.executor}); "
            f"a block took {self.shortest:.3f} to {self.longest:.3f} s, median {self.median:.3f} s"
        )
