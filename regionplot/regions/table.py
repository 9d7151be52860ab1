"""Read regions from a table. All bad rows are reported together."""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, cast

from regionplot.errors import ConfigError, Place, Problem, RegionsError
from regionplot.geo.auto_projection import AUTO
from regionplot.geo.cartopy import RASTER
from regionplot.geo.foreign_crs import is_code
from regionplot.geo.region import Region
from regionplot.regions.columns import (
    CENTER_COLUMNS,
    DEGREE_COLUMNS,
    FORMS,
    TRACK_COLUMNS,
    UNIT_COLUMNS,
    limits_hint,
    standard_names,
)
from regionplot.regions.delimited import read_rows
from regionplot.regions.features import SUFFIXES, feature_rows, is_vector_file
from regionplot.regions.frames import FRAME_NAME, feature_frame_rows, frame_rows, has_geometries
from regionplot.regions.limits import (
    Limits,
    Row,
    from_cell,
    from_center,
    from_degrees,
    from_geometry,
    from_shape,
    from_units,
    shape_of,
)
from regionplot.regions.margins import with_margin
from regionplot.settings.regions import RegionSettings
from regionplot.text import plain_text, quoted

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)
_MAX_DUPLICATES = 10
"""Number of repeated names that are reported one by one. More names mean that the column is the wrong one."""
_NOT_ATTRIBUTES = {"name", "title", "geometry"}
_DEGREES = {"EPSG:4326", "OGC:CRS84", "4326", "WGS84", "WGS 84", "CRS84"}
"""Names of the CRS of limits in degrees, in upper case."""
_MAX_COLUMN_TEXT = 200
"""Maximum number of characters of the column names in a message."""
Source: TypeAlias = "str | Path | BinaryIO | pd.DataFrame"
"""A table of regions: path of a file, open binary file, or DataFrame."""
_PLAIN = RegionSettings.model_construct()  # the defaults, without the time to build a validator
_NAME = _PLAIN.name_field


def read_regions(source: Source, settings: RegionSettings = _PLAIN) -> list[Region]:
    """Read the regions to draw.

    Parameters
    ----------
    source : path, binary file or DataFrame
        A vector file (shapefile, zipped or not, GeoPackage, GeoJSON or FlatGeobuf) whose features are the regions, or a
        table. A table is a delimited text file in UTF-8 (delimiter, line endings and byte-order mark are detected), or
        a DataFrame with the same columns: `name`, an optional `title`, and the limits in one of these forms.

        - `west`, `east`, `south`, `north` in degrees; west > east means that the region crosses the antimeridian.
        - `xmin`, `xmax`, `ymin`, `ymax` in map units, or in the units of a `crs` column.
        - `lon`, `lat`, `width_km` and perhaps `height_km`: center in degrees, and size in kilometers.
        - `region`: x0, x1, y0, y1 in one cell, in map units or in the units of a `crs` column.
        - `geometry` as WKT, with a `crs` column; the limits are the bounding box of the geometry.
        - the geometries of a GeoDataFrame. Without a column `name`, the labels of the rows are the names.

        Upper and lower case do not matter. `minx, maxx, miny, maxy` and `lon_min, lon_max, lat_min, lat_max` are other
        spellings of the first two forms. Templates can use all other columns, and the attributes of features.
    settings : RegionSettings
        The `[regions]` section: margin, column of the names, layer, and condition.

    Raises
    ------
    RegionsError
        If the file is not such a table, has bad rows, or has no rows. Each bad row is a separate problem.
    """
    columns, regions = _read(source, settings)
    if not regions and _vector_path(source) is not None:
        fault = f"no feature meets the condition {quoted(settings.where)}" if settings.where else "it has no features"
        raise RegionsError(f"{_name_of(source)}: no regions: {fault}")
    if not columns:
        raise RegionsError(
            f"{_name_of(source)}: no regions: the file is empty; add a header line with name and {FORMS}"
        )
    if not regions:
        raise RegionsError(f"{_name_of(source)}: no regions: the table has no rows; add some, or use --allow-empty")
    return regions


def read_regions_if_any(source: Source, settings: RegionSettings = _PLAIN) -> list[Region]:
    """Read the regions to draw. Return an empty list for an empty file or a table without rows.

    Parameters
    ----------
    source : path, binary file or DataFrame
    settings : RegionSettings
        As for `read_regions`.

    Raises
    ------
    RegionsError
        If the file is not such a table, or has bad rows. Each bad row is a separate problem.
    """
    return _read(source, settings)[1]


def _read(source: Source, settings: RegionSettings) -> tuple[list[str], list[Region]]:
    """Return the names of the columns and the regions. A blank file has no columns."""
    name = _name_of(source)
    path = _vector_path(source)
    has_shapes = path is not None or has_geometries(source)
    if path is not None:
        columns, rows = feature_rows(path, settings.layer, settings.where)
    else:
        _check_no_vector_settings(name, settings)
        columns, rows = feature_frame_rows(source, name) if has_shapes else _rows_of(source, name)
    if not (columns or rows):
        return [], []
    names = _names(name, columns, settings.name_field)
    rows = [_with_standard_names(row, names) for row in rows] if names else list(rows)
    limits = from_shape if has_shapes else _limits(name, columns, [*columns, *names.values()], settings)
    if limits is from_degrees:
        _warn_of_unused_crs(rows)
    repeated = list(_duplicates(rows))
    regions, problems = _regions(rows, limits, settings.margin)
    if problems or repeated:
        raise RegionsError(*dict.fromkeys([*problems, *repeated]))
    return columns or ["name"], regions


def _vector_path(source: Source) -> Path | None:
    """Return the path of a vector file, or None for a table."""
    if isinstance(source, str | os.PathLike) and is_vector_file(Path(source)):
        return Path(source)
    return None


def _check_no_vector_settings(name: str, settings: RegionSettings) -> None:
    for key, value in (("layer", settings.layer), ("where", settings.where)):
        if value:
            raise RegionsError(
                f"{name}: [regions] {key} is for vector files, whose names end in {', '.join(SUFFIXES)}; remove it"
            )


def _names(table: str, columns: Sequence[str], name_field: str) -> dict[str, str]:
    """Return the standard name of each column that has another spelling, or whose use the settings define."""
    names = standard_names(columns)
    if name_field != _NAME:
        found = _column_of(name_field, columns)
        if found is None:
            listed = plain_text(", ".join(columns), _MAX_COLUMN_TEXT) or "none"
            raise RegionsError(
                f"{table}: there is no column {quoted(name_field)} (name_field); the columns are: {listed}"
            )
        names = {column: name for column, name in names.items() if name != "name"} | {found: "name"}
    if "name" not in columns and "name" not in names.values():
        raise RegionsError(
            f"{table}: columns {plain_text(', '.join(columns), _MAX_COLUMN_TEXT) or 'none'}: "
            "there is no 'name' column; rename the column that holds the names, or name it in name_field"
        )
    return names


def _column_of(name_field: str, columns: Sequence[str]) -> str | None:
    """Return the column with a name. If there is none, return the only column that differs in case, or None."""
    if name_field in columns:
        return name_field
    alike = [column for column in columns if column.casefold() == name_field.casefold()]
    return alike[0] if len(alike) == 1 else None


def _name_of(source: Source) -> str:
    if isinstance(source, str | os.PathLike):
        return str(source)
    return str(source.name) if hasattr(source, "read") and hasattr(source, "name") else FRAME_NAME


def _rows_of(source: Source, name: str) -> tuple[list[str], list[Row]]:
    if isinstance(source, str | os.PathLike):
        return read_rows(Path(source), name)
    if hasattr(source, "read"):
        return read_rows(cast("BinaryIO", source), name)
    if not hasattr(source, "columns"):
        raise RegionsError(f"the table is of type {type(source).__name__}; pass a path, a binary file or a DataFrame")
    return frame_rows(cast("pd.DataFrame", source))


def _with_standard_names(row: Row, names: Mapping[str, str]) -> Row:
    """Return a row that also has its cells under the standard names of the columns."""
    return replace(row, cells={**row.cells, **{name: row.cells[column] for column, name in names.items()}})


def _warn_of_unused_crs(rows: Sequence[Row]) -> None:
    """Log a warning if a table in degrees has a CRS other than degrees, because this CRS is not used."""
    for row in rows:
        crs = row.cells.get("crs", "")
        if crs and crs.upper() not in _DEGREES:
            logger.warning(
                "%s",
                row.problem(
                    f"{quoted(crs)} is ignored, because west, east, south and north are in degrees; "
                    "name the columns xmin, xmax, ymin and ymax if they are in this CRS",
                    "crs",
                ),
            )
            return


def _limits(table: str, header: Sequence[str], columns: Sequence[str], settings: RegionSettings) -> Limits:
    """Return the function that parses the limits in the rows of a table.

    Parameters
    ----------
    table : str
        Name of the table, for messages.
    header : sequence of str
        Names of the columns as they are in the table, for messages.
    columns : sequence of str
        Names of the columns, and their standard names.
    settings : RegionSettings
        The tracks and the margin.
    """
    forms: list[tuple[set[str], Limits]] = [
        (set(DEGREE_COLUMNS), from_degrees),
        (set(UNIT_COLUMNS), from_units),
        (set(CENTER_COLUMNS), from_center),
        ({"geometry", "crs"}, from_geometry),
        ({"region"}, from_cell),
    ]
    if settings.tracks:
        from regionplot.regions.tracks import TrackLimits  # noqa: PLC0415 (few tables have regions that move)

        forms.append((set(TRACK_COLUMNS), TrackLimits.of(settings.tracks, settings.margin)))
    found = [limits for needed, limits in forms if needed <= set(columns)]
    place = f"{table}: columns {plain_text(', '.join(header), _MAX_COLUMN_TEXT)}"
    if not found:
        raise RegionsError(f"{place}: {limits_hint(columns)}")
    if len(found) > 1:
        raise RegionsError(f"{place}: limits are given twice; keep one of {FORMS}")
    return found[0]


def _regions(rows: list[Row], limits: Limits, margin: str) -> tuple[list[Region], list[Problem]]:
    """Return the regions of good rows, and the problems of bad rows.

    The rows are removed from the list, so that their memory can be used for the regions.
    """
    regions: list[Region] = []
    problems: list[Problem] = []
    rows.reverse()
    while rows:
        try:
            regions.append(_region(rows.pop(), limits, margin))
        except RegionsError as error:
            problems.extend(error.problems)
    return regions, problems


def _region(row: Row, limits: Limits, margin: str) -> Region:
    name = row.cells["name"]
    if not name:
        raise row.error("the region has no name; fill in this cell", "name")
    extent, crs = limits(row)
    track_of = getattr(limits, "track_of", None)  # of `TrackLimits`
    track = None if track_of is None else track_of(row)
    try:
        extent = with_margin(extent, crs, margin) if track is None else extent
    except (ValueError, ConfigError) as error:
        raise row.error(str(error), "crs") from None
    attributes = {column: cell for column, cell in row.cells.items() if column not in _NOT_ATTRIBUTES}
    shape = b"" if limits not in (from_shape, from_geometry) else shape_of(row)
    if track is not None:
        _, longitude, latitude = track.fixes[0]
        attributes |= {"lon": f"{longitude:.2f}", "lat": f"{latitude:.2f}"}
    title, origin = row.cells.get("title", ""), str(row.place)
    return Region(name, extent, crs, title, attributes, origin, shape, _projection(row), track)


def _projection(row: Row) -> str:
    """Return the projection of the map of a row. An attribute of a feature can have the same name for other uses."""
    text = row.cells.get("projection", "")
    if text.casefold() in (AUTO, RASTER):
        return text.casefold()
    return text if row.shape is None or is_code(text) else ""


def _duplicates(rows: Sequence[Row]) -> Iterator[Problem]:
    """Report names that some file systems treat as equal, because they ignore case or compose characters."""
    first: dict[str, Row] = {}
    count = 0
    for row in rows:
        name = row.cells["name"]
        earlier = first.setdefault(unicodedata.normalize("NFC", name).casefold(), row)
        if earlier is not row and name:
            count += 1
            if count <= _MAX_DUPLICATES:
                yield _duplicate(row, earlier)
    if count > _MAX_DUPLICATES:
        yield Problem(f"{count - _MAX_DUPLICATES:,} more names are repeated", Place(file=rows[0].table))


def _duplicate(row: Row, earlier: Row) -> Problem:
    name, taken = (quoted(each.cells["name"]) for each in (row, earlier))
    where = f"on line {earlier.line}" if earlier.shape is None else f"of feature {earlier.line}"
    return row.problem(
        f"the name {name} is taken by {taken} {where}; "
        "names that differ only in case, or in how characters are composed, count as equal; "
        "to use another column for the names, give name_field"
    )
