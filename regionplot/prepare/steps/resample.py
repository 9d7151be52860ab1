"""Resample: change the cell size, or use the grid of another raster."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic.dataclasses import dataclass

from regionplot.prepare.base import STEP_CONFIG
from regionplot.prepare.options import Option
from regionplot.prepare.steps.warp import GridSettings, parse_grid


@dataclass(frozen=True, config=STEP_CONFIG)
class Resample(GridSettings):
    """Resample all inputs to another grid."""

    step: ClassVar[str] = "resample"
    option: ClassVar[Option] = Option("SIZE|FILE", "Resample to another cell size, or to the grid of another raster.")

    def __post_init__(self) -> None:
        if self.like is None and self.resolution is None and self.crs is None:
            raise ValueError("resample needs resolution, or like")
        self.check_target()

    @classmethod
    def parse(cls, text: str) -> dict[str, Any]:
        """Return settings from a size, `WIDTH,HEIGHT`, or a file."""
        return parse_grid(text)
