"""Hillshade: compute the shaded relief of a height grid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from regionplot.blocks.values import Values
from regionplot.prepare.base import STEP_CONFIG
from regionplot.prepare.options import Option, split_value
from regionplot.prepare.steps.terrain import Terrain

_BRIGHTEST = 255.0


@dataclass(frozen=True, config=STEP_CONFIG)
class Hillshade(Terrain):
    """Compute the brightness of the ground: 0 (dark) to 255 (fully lit)."""

    step: ClassVar[str] = "hillshade"
    option: ClassVar[Option] = Option(
        "[=AZIMUTH:ALTITUDE[:Z]]", "Shaded relief, by default 315:45.", "315:45", r"[-+.\d]+(:[-+.\d]*){1,2}"
    )

    azimuth: Annotated[float, Field(ge=0, le=360)] = 315.0
    """Direction of the light, in degrees clockwise from north."""
    altitude: Annotated[float, Field(ge=0, le=90)] = 45.0
    """Height of the light, in degrees above the horizon."""
    z_factor: float = 1.0
    """Factor that converts heights to meters."""

    @classmethod
    def parse(cls, text: str) -> dict[str, Any]:
        """Return settings from `AZIMUTH:ALTITUDE:Z`."""
        names = ("azimuth", "altitude", "z_factor")
        return split_value(text, names, numbers=names)

    def describe(self, description: Mapping[str, object]) -> dict[str, object]:
        """Return the description with the name of a hillshade and no units."""
        return {**description, "long_name": "Hillshade", "units": ""}

    def from_rise(self, east: NDArray[np.float64], north: NDArray[np.float64]) -> Values:
        """Return the brightness."""
        azimuth, altitude = math.radians(self.azimuth), math.radians(self.altitude)
        to_east, to_north = (math.cos(altitude) * part(azimuth) for part in (math.sin, math.cos))
        facing = math.sin(altitude) - to_east * east - to_north * north
        return np.maximum(0.0, _BRIGHTEST * facing / np.sqrt(1 + east * east + north * north))
