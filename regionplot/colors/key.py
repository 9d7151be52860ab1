"""Plan the key of a raster's color scale before the scale is known."""

from __future__ import annotations

from regionplot.colors.choose import Coloring
from regionplot.colors.classes import Classes
from regionplot.inputs.color_tables import RgbBands
from regionplot.sheet.key import ColorBarKey, Key, LegendKey


def planned_key(coloring: Coloring) -> Key | None:
    """Return a key for the layout of a sheet. Its colors are not set.

    Parameters
    ----------
    coloring : Coloring, optional
        How the raster is drawn. None: the raster is drawn as numbers.
    """
    match coloring:
        case Classes():
            return LegendKey(tuple(item.label for item in coloring.shown))
        case RgbBands():
            return None
        case _:
            return ColorBarKey()
