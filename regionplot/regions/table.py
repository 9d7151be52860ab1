"""Read regions from a table. All bad rows are reported together."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from regionplot.errors import Problem, RegionsError
from regionplot.geo.region import Region
from regionplot.regions.delimited import is_blank, read_rows
from regionplot.regions.limits import (
    DEGREE_COLUMNS,
    FORMS,
    UNIT_COLUMNS,
    Limits,
    Row,
    from_cell,
    from_degrees,
    from_geometry,
    from_units,
)

if TYPE_CHECKING:
    import pandas as pd

_FRAME_NAME = "regions"
"""Name of a DataFrame in messages."""
_NOT_ATTRIBUTES = {"name", "title", "geometry"}


def read_regions(source: str | Path | pd.DataFrame) -> list[Region]:
    """Read the regions to draw.

    Parameters
    ----------
    source : path or DataFrame
        A delimited text file in UTF-8 (delimiter, line endings and byte-order mark are detected), or a DataFrame with
        the same columns: `name`, an optional `title`, and the limits in one of these forms.

        - `west`, `east`, `south`, `north` in degrees; west > east means that the region crosses the antimeridian.
        - `xmin`, `xmax`, `ymin`, `ymax` in map units, or in the units of a `crs` column.
        - `region`: x0, x1, y0, y1 in one cell, in map units or in the units of a `crs` column.
        - `geometry` as WKT, with a `crs` column; the limits are the bounding box of the geometry.

        Templates can use all other columns.

    Raises
    ------
    RegionsError
        If the file is not such a table, has bad rows, or has no rows. Each bad row is a separate problem.
    """
    regions = _read(source)
    if not regions:
        raise RegionsError(f"{_name_of(source)}: no regions: the table has no rows below its header")
    return regions


def read_regions_if_any(source: str | Path | pd.DataFrame) -> list[Region]:
    """Read the regions to draw. Return an empty list for an empty file or a table without rows.

    Parameters
    ----------
    source : path or DataFrame
        As for `read_regions`.

    Raises
    ------
    RegionsError
        If the file is not such a table, or has bad rows. Each bad row is a separate problem.
    """
    return [] if isinstance(source, str | os.PathLike) and is_blank(Path(source)) else _read(source)


def _read(source: str | Path | pd.DataFrame) -> list[Region]:
    columns, rows = read_rows(Path(source)) if isinstance(source, str | os.PathLike) else _rows_of(source)
    limits = _limits(_name_of(source), columns)
    regions, problems = _regions(rows, limits)
    problems += _duplicates(rows)
    if problems:
        raise RegionsError(*problems)
    return regions


def _name_of(source: str | Path | pd.DataFrame) -> str:
    return str(source) if isinstance(source, str | os.PathLike) else _FRAME_NAME


def _rows_of(frame: pd.DataFrame) -> tuple[list[str], list[Row]]:
    """Return the columns and rows of a DataFrame. Rows are numbered from 1."""
    cells = frame.rename(columns=str).astype("string").fillna("")
    columns = list(cells.columns)
    records = enumerate(cells.itertuples(index=False, name=None), 1)
    return columns, [
        Row(_FRAME_NAME, number, dict(zip(columns, (str(value).strip() for value in values), strict=True)))
        for number, values in records
    ]


def _limits(table: str, columns: Sequence[str]) -> Limits:
    """Return the function that parses the limits in the rows of a table."""
    forms: list[tuple[set[str], Limits]] = [
        (set(DEGREE_COLUMNS), from_degrees),
        (set(UNIT_COLUMNS), from_units),
        ({"geometry", "crs"}, from_geometry),
        ({"region"}, from_cell),
    ]
    found = [limits for needed, limits in forms if needed <= set(columns)]
    place = f"{table}: columns {', '.join(columns)}"
    if "name" not in columns:
        raise RegionsError(f"{place}: there is no 'name' column")
    if not found:
        raise RegionsError(f"{place}: no limits; add the columns {FORMS}")
    if len(found) > 1:
        raise RegionsError(f"{place}: limits are given twice; keep one of {FORMS}")
    return found[0]


def _regions(rows: Sequence[Row], limits: Limits) -> tuple[list[Region], list[Problem]]:
    """Return the regions of good rows, and the problems of bad rows."""
    regions: list[Region] = []
    problems: list[Problem] = []
    for row in rows:
        try:
            regions.append(_region(row, limits))
        except RegionsError as error:
            problems.extend(error.problems)
    return regions, problems


def _region(row: Row, limits: Limits) -> Region:
    name = row.cells["name"]
    if not name:
        raise row.error("the region has no name", "name")
    extent, crs = limits(row)
    attributes = {column: cell for column, cell in row.cells.items() if column not in _NOT_ATTRIBUTES}
    return Region(name, extent, crs, row.cells.get("title", ""), attributes, str(row.place))


def _duplicates(rows: Sequence[Row]) -> Iterator[Problem]:
    """Report names that some file systems treat as equal, because they ignore case or compose characters."""
    first: dict[str, Row] = {}
    for row in rows:
        name = row.cells["name"]
        earlier = first.setdefault(unicodedata.normalize("NFC", name).casefold(), row)
        if earlier is not row and name:
            yield row.problem(
                f"the name {name!r} is taken by {earlier.cells['name']!r} on line {earlier.line}; "
                "names must differ in more than upper and lower case"
            )
