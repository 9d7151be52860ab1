"""List the colors of a scale with their meanings, before the data are loaded."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from regionplot.colors.base import on_background
from regionplot.colors.choose import Coloring
from regionplot.colors.classes import Classes
from regionplot.colors.colormaps import colors_of
from regionplot.colors.names import rgba_of
from regionplot.colors.readable import Order, Swatch
from regionplot.inputs.color_tables import RgbBands
from regionplot.settings.config import Config

_SAMPLES = 24
"""Number of colors that stand for a gradual transition."""


def swatches_of(coloring: Coloring, config: Config) -> tuple[list[Swatch], Order]:
    """Return the colors of a scale, and how they belong together. Images in true color have no colors of a scale.

    Parameters
    ----------
    coloring : Classes, RgbBands or None
        How the raster is drawn.
    config : Config
        Settings whose `[colors]` name no file and no scale of the package.
    """
    match coloring:
        case Classes():
            return _swatches([(item.label, rgba_of(item.color)) for item in coloring.shown], config), Order.NONE
        case RgbBands():
            return [], Order.NONE
    settings, rows = config.colors, colors_of(config).rows
    if settings.levels is not None:
        names = [f"{low:g} to {high:g}" for low, high in pairwise(settings.levels)]
        return _swatches(list(zip(names, rows, strict=True)), config), Order.CLASSES
    places = np.linspace(0, len(rows) - 1, min(_SAMPLES, len(rows))).astype(int)
    names = [f"{place / max(1, len(rows) - 1):.0%} of the scale" for place in places]
    if settings.is_ramp and settings.stops is not None:
        low, high = settings.stops[0][0], settings.stops[-1][0]
        names = [f"{low + (high - low) * place / (len(rows) - 1):.4g}" for place in places]
    return _swatches([(name, rows[place]) for name, place in zip(names, places, strict=True)], config), Order.GRADUAL


def _swatches(found: list[tuple[str, tuple[float, float, float, float]]], config: Config) -> list[Swatch]:
    if not found:
        return []
    opaque = on_background([color for _, color in found], config.map.background) / 255
    return [Swatch(name, tuple(color[:3].tolist())) for (name, _), color in zip(found, opaque, strict=True)]
