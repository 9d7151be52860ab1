"""Suggest a color scale for a raster whose contents are not known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.colors.choose import coloring_of
from regionplot.colors.classes import Classes
from regionplot.colors.fields import field_scale
from regionplot.colors.files.base import hex_color
from regionplot.colors.shipped import DIVERGING, named_ramp
from regionplot.geo.statistics import Statistics
from regionplot.inputs.source import RasterInfo
from regionplot.settings.colors import ColorSettings
from regionplot.settings.raster import RasterSettings

_SEQUENTIAL = "batlow"
_PERCENTAGES = (2, 98)
"""Percentiles between which levels are placed, so that a few extreme cells do not take most of the colors."""
_CLASSES = 9
"""Approximate number of classes between the percentiles."""
_MIN_SIDE = 0.2
"""Minimum share of the range on each side of 0 for a diverging scale."""


@dataclass(frozen=True)
class SuggestedColors:
    """Keys of `[colors]`, and the reason for them."""

    keys: Mapping[str, Any]
    reason: str


def suggest_colors(info: RasterInfo, raster: RasterSettings, found: Statistics | None) -> SuggestedColors:
    """Return colors that suit a raster.

    The choice is, in this order: the colors in the file, the scale of the package for the quantity, and round levels
    between the 2nd and the 98th percentile.

    Parameters
    ----------
    info : RasterInfo
        Metadata of the raster.
    raster : RasterSettings
        The settings that select the band.
    found : Statistics, optional
        Statistics of `sample_statistics`. None if no cell was read.

    Raises
    ------
    ConfigError
        If the classes in the file cannot be drawn.
    """
    coloring = coloring_of(info, raster, ColorSettings())
    if isinstance(coloring, Classes):
        return SuggestedColors({}, f"color table of the file, with {len(coloring.shown)} classes")
    if coloring is not None:
        return SuggestedColors({}, "red, green and blue of the file")
    name = field_scale(info)
    if name is not None:
        return SuggestedColors({"colormap": name}, f"{name}, the scale for this quantity")
    if found is None or not found.count:
        return SuggestedColors({}, "no valid cell was found, so no scale can be suggested")
    low, high = (found.percentiles[key] for key in _PERCENTAGES)
    levels = round_levels(low, high)
    if not levels:
        return SuggestedColors({}, f"all cells of the sample are {found.min:g}, so no levels can be suggested")
    is_diverging = min(-low, high) > _MIN_SIDE * (high - low)
    colormap = DIVERGING if is_diverging else _SEQUENTIAL
    return SuggestedColors(
        {"levels": levels, "colormap": colormap, **_colors_beyond(levels, colormap, found)},
        f"levels from {levels[0]:g} to {levels[-1]:g}",
    )


def _colors_beyond(levels: list[float], colormap: str, found: Statistics) -> dict[str, str]:
    """Return the keys `under` and `over` if values lie beyond the levels, so that the color bar has arrows there."""
    ramp = named_ramp(colormap)
    assert ramp is not None, "the package has this colormap"
    under, over = (hex_color(*(255 * ramp.rgba[end])) for end in (0, -1))
    return {
        **({"under": under} if found.min < levels[0] else {}),
        **({"over": over} if found.max > levels[-1] else {}),
    }


def sample_statistics(cells: NDArray[Any]) -> Statistics:
    """Return the statistics of a sample of cells, without NaN and infinite values."""
    valid = cells[np.isfinite(cells)]
    return Statistics.of(valid, cells.size, _PERCENTAGES)


def round_levels(low: float, high: float) -> list[float]:
    """Return round levels at equal distances that contain a range. Return an empty list if the range is empty.

    Examples
    --------
    >>> round_levels(-18.4, 33.1)
    [-20, -15, -10, -5, 0, 5, 10, 15, 20, 25, 30, 35]
    >>> round_levels(0.012, 0.019)
    [0.012, 0.013, 0.014, 0.015, 0.016, 0.017, 0.018, 0.019]
    """
    width = high - low
    if not (math.isfinite(width) and width > 1e-9 * max(abs(low), abs(high))):
        return []
    power = 10.0 ** math.floor(math.log10(width / _CLASSES))
    step = min((factor * power for factor in (1, 2, 5, 10)), key=lambda size: abs(math.log(width / _CLASSES / size)))
    first, last = math.floor(low / step + 1e-6), math.ceil(high / step - 1e-6)
    levels = [float(f"{number * step:.12g}") for number in range(first, last + 1)]
    return [int(level) if level.is_integer() else level for level in levels]
