"""Report the progress and the result of preparing a raster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from regionplot.blocks.report import BlockObserver, BlocksReport


@runtime_checkable
class PreparationObserver(Protocol):
    """Who wants to see the preparation before a run of maps."""

    def preparing(self) -> BlockObserver:
        """The raster is about to be prepared; what is given is told of each block."""


@dataclass(frozen=True)
class PreparationReport:
    """What a preparation took."""

    output: Path
    stages: tuple[BlocksReport, ...]
    """None if the output stands as it was, because nothing that it depends on is new."""
    seconds: float

    @property
    def unchanged(self) -> bool:
        """Whether nothing was done."""
        return not self.stages

    def __str__(self) -> str:
        if self.unchanged:
            return f"unchanged in {self.seconds:.1f} s"
        done = sum(stage.blocks for stage in self.stages)
        last = self.stages[-1]
        return f"{done} blocks in {self.seconds:.1f} s, {last.workers} x {last.executor}"
