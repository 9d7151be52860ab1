"""Settings of contour lines and filled contours."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field as Limits
from pydantic import model_validator

from regionplot.errors import RegionError
from regionplot.geo.contours import Floats, levels_between
from regionplot.layers.base import LayerSettings
from regionplot.layers.hatching import Hatch
from regionplot.settings.base import Color, Text
from regionplot.settings.field import FieldSettings

_MAX_LEVELS = 500
NONE = "none"


class ContourSettings(LayerSettings):
    """`[[contours]]`: contour lines."""

    is_array: ClassVar[bool] = True

    raster: FieldSettings | None = None
    """Raster with the values, such as `{ path = "pressure.grib2", band = "PRMSL" }`. Default: the raster of the map, in
    `[colors] units`."""
    name: Text = ""
    """Name of the quantity for `{contents}` in titles. Default: the name in the file of `raster`."""
    interval: Annotated[float, Limits(gt=0)] | None = None
    """Difference between the values of two lines."""
    base: float = 0.0
    """Value from which the interval is counted."""
    levels: Annotated[tuple[float, ...], Limits(min_length=1, max_length=_MAX_LEVELS, strict=False)] | None = None
    """Values of the lines, instead of `interval`."""
    scale: float = 1.0
    """Factor for the values. Levels and labels are the values multiplied by `scale`, plus `offset`."""
    offset: float = 0.0
    """Number to add to the values."""
    smooth: Annotated[float, Limits(ge=0, le=200)] | Literal["auto"] = "auto"
    """Blur of the field before lines are traced: standard deviation in pixels. `auto`: 0.8 cells if neighboring cells
    differ much, as in noisy fields, otherwise 0.2 cells; at least 3 pixels."""
    color: Color = "#2f5088"
    """Color of lines and labels."""
    linewidth: Annotated[float, Limits(ge=0, le=100)] = 1.0
    """Line width in points. 0: no lines."""
    bold: Annotated[int, Limits(ge=0, le=1000)] = 5
    """Draw every n-th line with `bold_linewidth`. 0: none."""
    bold_linewidth: Annotated[float, Limits(ge=0, le=100)] = 1.7
    """Width of bold lines in points."""
    casing: Color = "#ffffff8c"
    """Color of the casing under the lines. `none`: no casing."""
    casing_width: Annotated[float, Limits(ge=0, le=100)] = 0.8
    """Width of the casing on each side of a line, in points."""
    min_length: Annotated[float, Limits(ge=0, le=10_000)] = 40.0
    """Minimum length of a line in pixels. Shorter lines are left out."""
    key_label: Text | None = None
    """Label of the key beside a short color bar. Default: name and units of the quantity. An empty text: no key."""
    labels: bool = True
    """Write the values in gaps of the lines."""
    font_size: Annotated[float, Limits(gt=0, le=100)] = 9.5
    """Font size of the labels in points, on a sheet of 14 × 9 inches."""
    highs_lows: bool = False
    """Mark highs with H and lows with L, and write their values."""
    high_color: Color = "#1d4f9e"
    """Color of the marks of highs."""
    low_color: Color = "#b02a20"
    """Color of the marks of lows."""
    fill: Annotated[tuple[Color, ...], Limits(strict=False)] = ()
    """Colors of the areas below, between and above the levels: one more than `levels`. `none`: no color."""
    hatch: Annotated[tuple[Hatch, ...], Limits(strict=False)] = ()
    """Hatching of the areas below, between and above the levels, one more than `levels`: `none`, `/`, `\\`, `-`, `|`,
    `x`, `+` or `.`."""
    hatch_color: Color = "#3a4046"
    """Color of the hatching."""
    hatch_spacing: Annotated[float, Limits(ge=3, le=200)] = 8.0
    """Pixels between two lines or dots of the hatching."""
    hatch_linewidth: Annotated[float, Limits(gt=0, le=100)] = 0.6
    """Line width of the hatching in points. Dots have three times this diameter."""

    @model_validator(mode="after")
    def _check_levels(self) -> Self:
        if (self.interval is None) == (self.levels is None):
            raise ValueError("set either interval, such as 4, or levels, such as [0, 10, 20]")
        for name, given in (("fill", self.fill), ("hatch", self.hatch)):
            if given and len(given) != len(self.levels or ()) + 1:
                raise ValueError(f"{name} needs levels, and one value more than levels, not {len(given)}")
        return self

    def levels_in(self, values: Floats) -> list[tuple[float, bool]]:
        """Return the levels between the smallest and the largest value, and True for bold levels.

        Raises
        ------
        RegionError
            If there are too many levels.
        """
        if not np.isfinite(values).any():
            return []
        if self.interval is None:
            return [(level, self._is_bold(number)) for number, level in enumerate(sorted(self.levels or ()))]
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        if (high - low) / self.interval > _MAX_LEVELS:
            raise RegionError(
                f"[[contours]] interval: {self.interval:g} is too small for values from {low:g} to {high:g}; "
                "use a larger interval"
            )
        found = levels_between(low, high, self.interval, self.base)
        found = found[found > low]  # a line at the smallest value would run around areas of equal values, such as 0
        return [(float(each), self._is_bold(round((each - self.base) / self.interval))) for each in found]

    def _is_bold(self, number: int) -> bool:
        return self.bold > 0 and number % self.bold == 0

    @property
    def has_casing(self) -> bool:
        """True if the lines have a casing."""
        return self.casing != NONE and self.casing_width > 0 and self.linewidth > 0
