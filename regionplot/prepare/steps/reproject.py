"""Reproject: change the CRS."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic.dataclasses import dataclass

from regionplot.prepare.base import STEP_CONFIG
from regionplot.prepare.options import Option
from regionplot.prepare.steps.warp import GridSettings, parse_grid


@dataclass(frozen=True, config=STEP_CONFIG)
class Reproject(GridSettings):
    """Reproject all inputs to another CRS."""

    step: ClassVar[str] = "reproject"
    option: ClassVar[Option] = Option("CRS[@SIZE]", "Reproject to another CRS.")

    def __post_init__(self) -> None:
        if self.like is None and self.resolution is None and self.crs is None:
            raise ValueError("reproject needs crs, or like")
        self.check_target()

    @classmethod
    def parse(cls, text: str) -> dict[str, Any]:
        """Return settings from `CRS` or `CRS@SIZE`. An `@` can be part of the CRS, as in `+nadgrids=@null`."""
        crs, at, size = text.rpartition("@")
        if not at:
            return {"crs": text}
        grid = parse_grid(size)
        return {"crs": crs, **grid} if "resolution" in grid or Path(size).is_file() else {"crs": text}
