"""Slope: compute how steep a height grid is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from regionplot.blocks.values import Values
from regionplot.prepare.base import STEP_CONFIG
from regionplot.prepare.options import Option, split_value
from regionplot.prepare.steps.terrain import Terrain


@dataclass(frozen=True, config=STEP_CONFIG)
class Slope(Terrain):
    """Compute the slope in degrees or percent.

    Heights are in meters, unless `z_factor` converts them to meters. The grid can have any unit of length, or degrees.
    """

    step: ClassVar[str] = "slope"
    option: ClassVar[Option] = Option(
        "[=degree|percent[:Z]]", "Slope of the ground.", "degree", r"(degree|percent)(:[-+.\d]*)?"
    )

    units: Literal["degree", "percent"] = "degree"
    """Units of the result."""
    z_factor: float = 1.0
    """Factor that converts heights to meters."""

    @classmethod
    def parse(cls, text: str) -> dict[str, Any]:
        """Return settings from `UNITS:Z`."""
        return split_value(text, ("units", "z_factor"), numbers=("z_factor",))

    def describe(self, description: Mapping[str, object]) -> dict[str, object]:
        """Return the description with the name and units of a slope."""
        return {**description, "long_name": "Slope", "units": self.units}

    def from_rise(self, east: NDArray[np.float64], north: NDArray[np.float64]) -> Values:
        """Return the slope."""
        rise = np.sqrt(east * east + north * north)
        return rise * 100 if self.units == "percent" else np.degrees(np.arctan(rise))
