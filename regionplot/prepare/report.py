"""Report the progress and the result of preparing a raster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from regionplot.blocks.report import BlockObserver, BlocksReport


class PreparationObserver(Protocol):
    """Observer of a run that may prepare a raster first."""

    def preparing(self) -> BlockObserver | None:
        """Return an observer of the blocks. This method is called before the raster is prepared."""


@dataclass(frozen=True)
class PreparationReport:
    """Passes and time of a preparation."""

    output: Path
    """The prepared raster."""
    stages: tuple[BlocksReport, ...]
    """Passes over blocks. Empty if the existing output is current."""
    seconds: float
    """Wall time in seconds."""

    @property
    def unchanged(self) -> bool:
        """True if the existing output is current, so nothing was computed."""
        return not self.stages

    def __str__(self) -> str:
        if self.unchanged:
            return f"unchanged in {self.seconds:.1f} s"
        blocks = sum(stage.blocks for stage in self.stages)
        last = self.stages[-1]
        return f"{blocks} blocks in {self.seconds:.1f} s, {last.workers} x {last.executor}"
