"""Make the color scale of a raster."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from regionplot.colors.base import Scale
from regionplot.colors.choose import Coloring
from regionplot.colors.classes import Classes, ClassScale
from regionplot.colors.colormaps import ColormapColors, colors_of
from regionplot.colors.numbers import ColorScale, sample_of
from regionplot.colors.units import Conversion, needed_conversion
from regionplot.inputs.color_tables import RgbBands
from regionplot.settings.config import Config


def scale_of(
    coloring: Coloring,
    config: Config,
    cells: NDArray[Any] | None,
    colormap: ColormapColors | None = None,
    units: str = "",
) -> Scale:
    """Return the color scale of a raster.

    Parameters
    ----------
    coloring : Coloring, optional
        How the raster is drawn. None: the raster is drawn as numbers.
    config : Config
        The settings.
    cells : ndarray, shape (rows, columns), optional
        Loaded cells. They determine the limits of a continuous scale, if the settings do not give limits.
    colormap : ColormapColors, optional
        Colors of the colormap. By default, the colormap is found in matplotlib by its name.
    units : str
        Units of the cells.
    """
    match coloring:
        case Classes() as classes:
            return ClassScale.of(classes, config)
        case RgbBands() as bands:
            from regionplot.colors.truecolor import TrueColorScale  # noqa: PLC0415 (most rasters are numbers)

            return TrueColorScale(bands, config.map.background)
        case _:
            return _number_scale(config, cells, colormap, needed_conversion(units, config.colors.units))


def _number_scale(
    config: Config, cells: NDArray[Any] | None, colormap: ColormapColors | None, units: Conversion
) -> Scale:
    """Return the scale of a raster that is drawn as numbers."""
    if not config.colors.is_ramp and config.colors.norm != "quantile":
        return ColorScale.of(config, cells, colormap, units)
    from regionplot.colors.intervals import IntervalScale  # noqa: PLC0415 (few scales have such intervals)

    if config.colors.is_ramp:
        return IntervalScale.of_stops(config, units)
    assert cells is not None, "the values determine the limits of a continuous scale"
    return IntervalScale.of_quantiles(config, units, sample_of(cells), colormap or colors_of(config))
