"""Tracks: the positions of a storm or a fire at several times. A region can move with a track."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pyproj

from regionplot.errors import RegionError
from regionplot.geo.boxes import box_around
from regionplot.geo.extent import Extent

_ELLIPSOID = pyproj.Geod(ellps="WGS84")
Fix = tuple[datetime, float, float]
"""Time in UTC, longitude and latitude in degrees."""


@dataclass(frozen=True, slots=True)
class Track:
    """A box that moves. Its center is interpolated along geodesics between the positions of the track."""

    file: str
    """File of the track, for messages."""
    fixes: tuple[Fix, ...]
    """Positions in the order of their times. There is at least one."""
    width: float
    """Width of the box in kilometers."""
    height: float
    """Height of the box in kilometers."""
    problem: str = ""
    """The reason why the position at the time of a map is not known."""

    def position(self, time: datetime) -> tuple[float, float]:
        """Return longitude and latitude of the center at a time.

        Raises
        ------
        RegionError
            If the time is outside of the track.
        """
        moment = time.astimezone(UTC)
        first, last = self.fixes[0][0], self.fixes[-1][0]
        if not first <= moment <= last:
            raise RegionError(
                f"the time of the map, {_text(moment)}, is outside of the track {self.file}, which goes from "
                f"{_text(first)} to {_text(last)}; choose other times, or extend the track"
            )
        after = next(number for number, fix in enumerate(self.fixes) if fix[0] >= moment)
        (end, east, north), (start, west, south) = self.fixes[after], self.fixes[max(after - 1, 0)]
        if end == moment:
            return east, north
        azimuth, _, distance = _ELLIPSOID.inv(west, south, east, north)
        share = (moment - start) / (end - start)
        longitude, latitude, _ = _ELLIPSOID.fwd(west, south, azimuth, share * distance)
        return float(longitude), float(latitude)

    def box(self, time: datetime) -> tuple[Extent, str]:
        """Return the extent of the box at a time, and its CRS.

        Raises
        ------
        RegionError
            If the time is outside of the track.
        """
        return box_around(*self.position(time), self.width, self.height)


def _text(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
