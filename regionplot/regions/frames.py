"""Read regions from tables in memory: DataFrames, and GeoDataFrames whose geometries give the limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj

from regionplot.errors import ConfigError, RegionsError
from regionplot.geo.foreign_crs import drawable_crs
from regionplot.regions.limits import Row

if TYPE_CHECKING:
    import pandas as pd

FRAME_NAME = "regions"
"""Name of a DataFrame in messages."""


def has_geometries(source: object) -> bool:
    """Return True for a GeoDataFrame, and for similar tables with geometries."""
    return hasattr(source, "columns") and hasattr(source, "geometry") and hasattr(source, "crs")


def frame_rows(frame: pd.DataFrame) -> tuple[list[str], list[Row]]:
    """Return the columns and rows of a DataFrame. Rows are numbered from 1."""
    cells = frame.rename(columns=str).astype("string").fillna("")
    columns = list(cells.columns)
    records = enumerate(cells.itertuples(index=False, name=None), 1)
    return columns, [
        Row(FRAME_NAME, number, dict(zip(columns, (str(value).strip() for value in values), strict=True)))
        for number, values in records
    ]


def feature_frame_rows(frame: Any, name: str) -> tuple[list[str], list[Row]]:
    """Return the columns of a GeoDataFrame, and one row for each geometry.

    Without a column of names, the labels of the rows are the names.

    Parameters
    ----------
    frame : GeoDataFrame
        The table.
    name : str
        Name of the table, for messages.

    Raises
    ------
    RegionsError
        If the table has no CRS, or a CRS that cannot be used.
    """
    import pandas as pd  # noqa: PLC0415 (only tables in memory need it)

    from regionplot.inputs.vector_table import with_code  # noqa: PLC0415 (imports pyogrio)

    if frame.crs is None:
        raise RegionsError(f"{name}: the geometries have no CRS; set it with .set_crs")
    try:
        crs = drawable_crs(pyproj.CRS.from_user_input(frame.crs).to_wkt())
    except (ConfigError, pyproj.exceptions.CRSError) as error:
        raise RegionsError(f"{name}: {error}") from None
    geometries, code = with_code(np.array([*frame.geometry, None], dtype=object)[:-1], crs)
    others = [column for column in frame.columns if column != frame.geometry.name]
    table = pd.DataFrame({column: list(frame[column]) for column in others}, index=range(len(geometries)))
    if not any(str(column).casefold() == "name" for column in others):
        table = table.assign(name=[str(label) for label in frame.index])
    columns, rows = frame_rows(table)
    return columns, [
        Row(row.table, row.line, {**row.cells, "crs": code}, shape=shape)
        for row, shape in zip(rows, geometries, strict=True)
    ]
