"""Read regions from a GeoDataFrame: each row is a region, and its geometry gives the limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyproj

from regionplot.errors import ConfigError, RegionsError
from regionplot.geo.extent import LONLAT, Extent
from regionplot.geo.foreign_crs import drawable_crs
from regionplot.regions.limits import Row

_NAMES = ("name", "NAME", "Name")


def has_geometries(source: object) -> bool:
    """Return True for a GeoDataFrame, and for similar tables with geometries."""
    return hasattr(source, "columns") and hasattr(source, "geometry") and hasattr(source, "crs")


def with_names(frame: Any) -> Any:
    """Return the columns of a GeoDataFrame without its geometries, as a DataFrame with a column of names.

    The names are in the column `name`. Without such a column, the labels of the rows are the names.
    """
    geometry = frame.geometry.name
    import pandas as pd  # noqa: PLC0415 (only tables in memory need it)

    table = pd.DataFrame({column: frame[column] for column in frame.columns if column != geometry}, index=frame.index)
    found = next((name for name in _NAMES if name in table.columns), None)
    names = frame.index if found is None else table[found]
    return table.drop(columns=[] if found is None else [found]).assign(name=[str(name) for name in names])


def limits_of(frame: Any, name: str) -> tuple[Callable[[Row], tuple[Extent, str | None]], str | None]:
    """Return a function that gives the limits of a row, and the CRS of all limits.

    Parameters
    ----------
    frame : GeoDataFrame
        The table.
    name : str
        Name of the table, for messages.

    Raises
    ------
    RegionsError
        If the table has no CRS, or a CRS that cannot be drawn.
    """
    if frame.crs is None:
        raise RegionsError(f"{name}: the geometries have no CRS; set it with .set_crs")
    try:
        crs = drawable_crs(pyproj.CRS.from_user_input(frame.crs).to_wkt())
    except (ConfigError, pyproj.exceptions.CRSError) as error:
        raise RegionsError(f"{name}: {error}") from None
    bounds = np.asarray(frame.geometry.bounds, dtype=float)
    code = crs.to_authority()
    text = LONLAT if crs == pyproj.CRS(LONLAT) else ":".join(code) if code else crs.to_wkt()

    def limits(row: Row) -> tuple[Extent, str | None]:
        xmin, ymin, xmax, ymax = (float(value) for value in bounds[row.line - 1])
        if not np.isfinite((xmin, ymin, xmax, ymax)).all():
            raise row.error("the geometry is missing or empty", "geometry")
        if not (xmin < xmax and ymin < ymax):
            raise row.error("the geometry has no area; give a polygon, for example with .buffer", "geometry")
        return Extent(xmin, xmax, ymin, ymax), text

    return limits, None if code else text
