"""Make the color scale of a raster."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from regionplot.colors.base import Scale
from regionplot.colors.choose import Coloring
from regionplot.colors.classes import Classes, ClassScale
from regionplot.colors.colormaps import ColormapColors
from regionplot.colors.numbers import ColorScale
from regionplot.colors.truecolor import TrueColorScale
from regionplot.inputs.color_tables import RgbBands
from regionplot.settings.config import Config


def scale_of(
    coloring: Coloring, config: Config, cells: NDArray[Any] | None, colormap: ColormapColors | None = None
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
    """
    match coloring:
        case Classes() as classes:
            return ClassScale.of(classes, config)
        case RgbBands() as bands:
            return TrueColorScale(bands, config.map.background)
        case _:
            return ColorScale.of(config, cells, colormap)
