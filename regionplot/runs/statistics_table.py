"""Write the statistics of all maps of a folder as a table, from the entries of its manifest."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from regionplot.errors import OutputError
from regionplot.geo.region import Region
from regionplot.system.files import atomic_replace, open_exclusive, open_plain_file

STATISTICS = "statistics"
"""Key of the statistics in the entry of a map."""
_FIRST = ("name", "title", "product", "time", "state", "file")
"""Columns from the entry of a map."""
_BOUNDS = ("west", "south", "east", "north")
"""Columns of the limits in degrees."""
_TURN = 360.0
_MAX_BYTES = 200 * 2**20
"""Maximum size of an older table that is read."""
Row = dict[str, Any]


def write_table(
    path: Path, entries: Sequence[Mapping[str, Any]], regions: Mapping[str, Region], run: str, older: Path | None = None
) -> None:
    """Write the table of a folder atomically.

    Parameters
    ----------
    path : Path
        The table. Its suffix sets the format.
    entries : sequence of mapping
        Entries of the manifest.
    regions : mapping
        Regions of this run by file of the map, for the titles and the shapes.
    run : str
        Id of the run.
    older : Path, optional
        The table of the previous run. GeoJSON takes the shapes of regions that this run does not include from it.

    Raises
    ------
    OutputError
        If the table cannot be written.
    """
    own = [regions.get(str(entry["file"])) for entry in entries]
    rows = [_row(entry, region) for entry, region in zip(entries, own, strict=True)]
    is_geojson = path.suffix.lower() == ".geojson"
    known = _known_shapes(older or path) if is_geojson and None in own else {}
    shapes = [_shape_of(row, region, known) for row, region in zip(rows, own, strict=True)] if is_geojson else []
    columns = list(dict.fromkeys(key for row in rows for key in row))
    encode = _ENCODERS[path.suffix.lower()]
    try:
        content = encode(columns, rows, shapes)
        with atomic_replace(path, run) as temporary, open_exclusive(temporary) as file:
            file.write(content)
    except (OSError, ImportError) as error:
        raise OutputError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None


def _row(entry: Mapping[str, Any], region: Region | None) -> Row:
    found = dict(entry.get(STATISTICS) or {})
    bounds = found.pop("bounds", None) or [None] * len(_BOUNDS)
    title = found.pop("title", None) if region is None else region.title
    names = {**entry, "title": title}
    first: Row = {key: names[key] for key in _FIRST if names.get(key)}
    return {**first, **found, **dict(zip(_BOUNDS, bounds, strict=True))}


def _csv(columns: Sequence[str], rows: Sequence[Row], _shapes: Any) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(errors="backslashreplace")


def _parquet(columns: Sequence[str], rows: Sequence[Row], _shapes: Any) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 (an optional package)
    from pyarrow import parquet  # noqa: PLC0415

    arrays = {column: _array([row.get(column) for row in rows], pa) for column in columns}
    buffer = io.BytesIO()
    parquet.write_table(pa.table(arrays), buffer)
    return buffer.getvalue()


def _array(values: list[Any], pa: Any) -> Any:
    """Return a column: text, or numbers in floating point."""
    if any(isinstance(value, str) for value in values):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    return pa.array([None if value is None else float(value) for value in values], pa.float64())


def _geojson(columns: Sequence[str], rows: Sequence[Row], shapes: Sequence[Any]) -> bytes:
    features = [
        {
            "type": "Feature",
            "geometry": shape,
            "properties": {column: row.get(column) for column in columns if column not in _BOUNDS},
        }
        for row, shape in zip(rows, shapes, strict=True)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, allow_nan=False).encode()


def _known_shapes(path: Path) -> Mapping[str, Any]:
    """Return the geometries of an older table by file of the map. Without a readable table, there are none."""
    try:
        with open_plain_file(path) as file:
            features = json.loads(file.read(_MAX_BYTES))["features"]
        return {str(each["properties"]["file"]): each["geometry"] for each in features}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _shape_of(row: Row, region: Region | None, known: Mapping[str, Any]) -> Any:
    if region is None:
        return known.get(row["file"]) or _geometry(row, b"", None)
    return _geometry(row, region.shape, region.crs)


def _geometry(row: Row, shape: bytes, crs: str | None) -> Any:
    """Return the polygon of a region in degrees, or its limits. None if they are not known."""
    import shapely  # noqa: PLC0415
    from shapely.affinity import translate  # noqa: PLC0415

    from regionplot.geo.areas import project_polygons  # noqa: PLC0415
    from regionplot.geo.coverage import polygons_in  # noqa: PLC0415
    from regionplot.geo.crs import parse_crs  # noqa: PLC0415
    from regionplot.geo.extent import LONLAT  # noqa: PLC0415

    polygons = polygons_in(shape)
    if polygons.size and crs is not None:
        projected = project_polygons(polygons, parse_crs(crs), parse_crs(LONLAT))
        return _as_json(list(shapely.get_parts(projected)))
    if row.get("west") is None:
        return None
    limits = shapely.box(*(row[key] for key in _BOUNDS))
    turns = (-_TURN, 0.0, _TURN)
    inside = (shapely.intersection(translate(limits, turn), shapely.box(-180, -90, 180, 90)) for turn in turns)
    return _as_json([part for part in inside if shapely.area(part) > 0])


def _as_json(polygons: list[Any]) -> Any:
    """Return one polygon, or several as one geometry, as GeoJSON."""
    import shapely  # noqa: PLC0415

    return shapely.geometry.mapping(polygons[0] if len(polygons) == 1 else shapely.multipolygons(polygons))


_ENCODERS: Mapping[str, Callable[[Sequence[str], Sequence[Row], Any], bytes]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".geojson": _geojson,
}
