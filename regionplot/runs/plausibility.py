"""Check that the color scale of the settings suits a raster that is not the raster of the settings file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.colors.classes import Classes
from regionplot.colors.classifier import has_class
from regionplot.colors.units import needed_conversion
from regionplot.errors import Place, Problem
from regionplot.settings.colors import ColorSettings
from regionplot.settings.config import Config
from regionplot.shared.data import SharedData

_FEW = 10_000
"""Number of cells in a first sample of classes."""
_ENOUGH = 1_000_000
"""Number of cells in a first sample. All cells are checked only if no cell of the sample is within the color scale."""


def scale_problem(shared: SharedData) -> Problem | None:
    """Return a problem if the settings name another raster, and no cell is within their color scale.

    Classes are also a problem if the values are fractions, and no cell has a class. The maps would then be blank.

    Parameters
    ----------
    shared : SharedData
        The loaded data.

    Returns
    -------
    Problem or None
        None if the raster comes from the settings file and has numbers, or if a cell is within the scale.
    """
    config = shared.config
    if isinstance(shared.coloring, Classes):
        return _class_problem(shared, shared.coloring)
    if not can_be_for_other_data(config) or shared.coloring is not None:
        return None
    if shared.codes is not None and config.colors.levels and has_class(shared.codes, len(config.colors.levels)):
        return None
    key, low, high = _limits(config.colors)
    if not config.places.states("colors", key):  # the scale comes from a file or from the package
        return None
    units = needed_conversion(shared.info.units, config.colors.units)
    low, high = units.stored(np.array([low, high])).tolist()
    step = max(1, math.isqrt(shared.cells.size // _ENOUGH))
    if not key or any(_is_within(cells, low, high) for cells in (shared.cells[::step, ::step], shared.cells)):
        return None
    found = shared.cells[np.isfinite(shared.cells)]
    if not found.size:
        return None
    return Problem(
        f"no cell of the raster ({found.min():g} to {found.max():g}) is within the color scale ({low:g} to {high:g}); "
        "if these settings are for other data, leave them out with --no-config",
        config.places.locate(Place(section="colors", key=key)),
    )


def _class_problem(shared: SharedData, classes: Classes) -> Problem | None:
    """Return a problem if numbers with fractions are drawn as classes. Whole numbers can be events that are rare."""
    settings, cells = shared.config.colors, shared.cells
    if not settings.classes or cells.dtype.kind != "f":
        return None
    values = [value for value, _ in classes.values_and_colors]
    step = max(1, math.isqrt(cells.size // _FEW))
    for found in (cells[::step, ::step], cells):
        known = found[np.isfinite(found)]
        if np.isin(known, values).any() or not (known % 1).any():
            return None
    place = Place(section="colors", key="classes" if shared.config.places.states("colors", "classes") else "file")
    return Problem(
        f"no cell of the raster ({known.min():g} to {known.max():g}) has the value of a class, so the maps are "
        "blank; remove the classes, or set levels",
        shared.config.places.locate(place),
    )


def can_be_for_other_data(config: Config) -> bool:
    """Return True if an option replaces the raster of the settings file."""
    return config.places.is_override("raster", "path") and bool(config.places.text)


def _limits(colors: ColorSettings) -> tuple[str, float, float]:
    """Return the key that sets the scale, and the limits of the scale. For an automatic scale, the key is empty."""
    if colors.levels is not None:
        return "levels", colors.levels[0], colors.levels[-1]
    if colors.is_ramp and colors.stops is not None:
        return "stops", colors.stops[0][0], colors.stops[-1][0]
    key = "vmin" if colors.vmin is not None else "vmax" if colors.vmax is not None else ""
    low, high = colors.vmin, colors.vmax
    return key, -math.inf if low is None else low, math.inf if high is None else high


def _is_within(cells: NDArray[Any], low: float, high: float) -> bool:
    return bool(((cells >= low) & (cells <= high)).any())
