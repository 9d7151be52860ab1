"""Read tracks: the positions of a storm or a fire, from a table or from the points of a vector file.

A table of regions names a track by the name that the settings give it (`[regions] tracks`), never by its path, because
tables can come from other people.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import shapely

from regionplot.errors import ConfigError, Problem, RegionError, RegionsError
from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.extent import FULL_TURN, LONLAT, Extent
from regionplot.geo.foreign_crs import parse_code
from regionplot.geo.track import Fix, Track
from regionplot.inputs.times import parse_time
from regionplot.regions.columns import HEIGHT_COLUMN, TRACK_COLUMNS, find_column, standard_names
from regionplot.regions.delimited import read_rows
from regionplot.regions.features import feature_rows, is_vector_file
from regionplot.regions.limits import Row, sizes_of
from regionplot.regions.margins import with_margin_in_kilometers
from regionplot.regions.numbers import parse_number
from regionplot.text import quoted

_TIMES = (
    "time datetime validtime valid date timestamp isotime dateandtime utc timeutc validtimeutc datetimeutc synoptictime"
)
"""Names of the column with the times, without case and separators."""
_POINT = 0
_POLE = 90.0


@dataclass(frozen=True)
class TrackLimits:
    """The limits of regions that move with tracks."""

    files: Mapping[str, Path]
    """File of each track by name."""
    margin: str
    """Space around the boxes, as in `[regions] margin`."""
    _read: dict[str, Sequence[Fix] | RegionsError]
    """Tracks that have been read, or the reason why they cannot be used."""

    @classmethod
    def of(cls, files: Mapping[str, Path], margin: str) -> TrackLimits:
        """Return the limits for the files of the settings. They are read on first use."""
        return cls(files, margin, {})

    def __call__(self, row: Row) -> tuple[Extent, str | None]:
        """Return the extent at the first time of the track, and its CRS.

        Raises
        ------
        RegionsError
            If the track is unknown, cannot be read or has faults, or the size is not positive.
        """
        track = self.track_of(row)
        try:
            return track.box(track.fixes[0][0])
        except RegionError as error:
            raise row.error(str(error), TRACK_COLUMNS[1]) from None

    def track_of(self, row: Row) -> Track:
        """Return the track of a row. See `__call__`."""
        name = row.cells[TRACK_COLUMNS[0]]
        if name not in self.files:
            known = ", ".join(map(repr, self.files))
            raise row.error(f"there is no track {quoted(name)} in [regions] tracks; the tracks are {known}", "track")
        columns = [TRACK_COLUMNS[1], HEIGHT_COLUMN if row.cells.get(HEIGHT_COLUMN) else TRACK_COLUMNS[1]]
        width, height = sizes_of(row, columns)
        size = with_margin_in_kilometers(width, height, self.margin)
        return Track(str(self.files[name]), tuple(self._fixes(name)), *size)

    def _fixes(self, name: str) -> Sequence[Fix]:
        """Return the positions of a track. Read each file once."""
        if name not in self._read:
            try:
                self._read[name] = read_track(self.files[name])
            except RegionsError as error:
                self._read[name] = error
        found = self._read[name]
        if isinstance(found, RegionsError):
            raise found
        return found


def read_track(path: Path) -> list[Fix]:
    """Return the positions in a file, in the order of their times.

    Parameters
    ----------
    path : Path
        A table with the columns `time`, `lon` and `lat`, or a vector file of points with a `time`.

    Raises
    ------
    RegionsError
        If the file cannot be read, lacks a column, or has faults. Each bad row is a separate problem.
    """
    columns, rows = feature_rows(path) if is_vector_file(path) else read_rows(path, str(path))
    time_column = find_column(columns, _TIMES)
    if time_column is None:
        raise RegionsError(f"{path}: there is no column with times; name it time")
    names = {**{name: name for name in columns}, **{name: column for column, name in standard_names(columns).items()}}
    if not is_vector_file(path) and not {"lon", "lat"} <= set(names):
        raise RegionsError(f"{path}: the track has no positions; add the columns lon and lat, in degrees")
    fixes: list[Fix] = []
    problems: list[Problem] = []
    for row in rows:
        try:
            position = _of_cells(row, names) if row.shape is None and "lon" in names else _of_point(row)
            fixes.append((_time(row, time_column), *position))
        except RegionsError as error:
            problems += error.problems
    fixes.sort()
    problems += _repeated(str(path), fixes)
    if problems:
        raise RegionsError(*problems)
    if not fixes:
        raise RegionsError(f"{path}: the track has no positions")
    return fixes


def _time(row: Row, column: str) -> datetime:
    time = parse_time(row.cells[column])
    if time is None:
        raise row.error(f"{quoted(row.cells[column])} is not a time; write, for example, 2026-03-10T06:00", column)
    return time


def _of_cells(row: Row, names: Mapping[str, str]) -> tuple[float, float]:
    longitude, latitude = (parse_number(row.cells[names[name]], row.decimal) for name in ("lon", "lat"))
    if not (abs(longitude) <= FULL_TURN and abs(latitude) <= _POLE):  # NaN, too
        raise row.error("the position is not a longitude and a latitude in degrees", names["lon"])
    return longitude, latitude


def _of_point(row: Row) -> tuple[float, float]:
    if row.shape is None or shapely.get_type_id(row.shape) != _POINT or shapely.is_empty(row.shape):
        raise row.error("the feature is not a point; a track is a file of points", "geometry")
    try:
        crs = parse_code(row.cells["crs"])
        longitude, latitude = transformer(crs, parse_crs(LONLAT)).transform(*shapely.get_coordinates(row.shape)[0])
    except ConfigError as error:
        raise row.error(str(error), "crs") from None
    if not (math.isfinite(longitude) and math.isfinite(latitude)):
        raise row.error("the point is not on the earth", "geometry")
    return float(longitude), float(latitude)


def _repeated(file: str, fixes: Sequence[Fix]) -> Iterator[Problem]:
    for one, other in pairwise(fixes):
        if one[0] == other[0]:
            yield Problem(f"{file}: two positions have the time {one[0]:%Y-%m-%d %H:%M} UTC; keep one of them")
