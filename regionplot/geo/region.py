"""A region: a named extent with the other values of its row in the table of regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from regionplot.errors import RegionError
from regionplot.geo.extent import LONLAT, Extent

if TYPE_CHECKING:
    from regionplot.geo.track import Track


@dataclass(frozen=True, slots=True)
class Region:
    """A named extent to draw, and the other columns of its row in the table of regions.

    Examples
    --------
    >>> Region("nc", Extent(-84.5, -75.3, 33.8, 36.7)).title
    'nc'
    """

    name: str
    """Unique name."""
    extent: Extent
    """Requested extent, in the units of `crs`."""
    crs: str | None = LONLAT
    """CRS of the extent, in a form that pyproj accepts. None is the map's CRS."""
    title: str = ""
    """Title of the map. By default, the name of the region."""
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Other columns of the row, for templates."""
    origin: str = ""
    """File and line that define the region, such as `regions.csv:7`, for messages."""
    shape: bytes = field(default=b"", repr=False, compare=False)
    """Geometry as WKB, in `crs`, for statistics and the layer `focus`. Empty: the region is the extent."""
    projection: str = ""
    """Projection of the map: `auto`, `raster` or a code such as `EPSG:5070`. Empty: the projection in the settings."""
    track: Track | None = field(default=None, repr=False)
    """Track with which the region moves. None: the region does not move, or it is the region at the time of a map."""

    def __post_init__(self) -> None:
        """Check the types, because a wrong type would fail later with an error that does not name the field.

        Raises
        ------
        RegionError
            If a field is not of the type that the class states, or the name is empty.
        """
        if not (isinstance(self.name, str) and self.name):
            raise RegionError(f"the name of a region is {self.name!r}; pass a text that is not empty")
        if not isinstance(self.extent, Extent):
            raise RegionError(f"region {self.name!r}: the extent is {self.extent!r}; pass a regionplot.Extent")
        if not isinstance(self.crs, str | None):
            raise RegionError(
                f"region {self.name!r}: the CRS is {self.crs!r}; pass a text such as 'EPSG:5070', or None for the "
                "CRS of the map"
            )
        if not (isinstance(self.title, str) and isinstance(self.attributes, Mapping)):
            raise RegionError(f"region {self.name!r}: the title must be a text, and the attributes must be a mapping")
        if not isinstance(self.projection, str):
            raise RegionError(f"region {self.name!r}: the projection must be a text, such as 'auto' or 'EPSG:5070'")
        if not self.title:
            object.__setattr__(self, "title", self.name)

    def __reduce__(self) -> tuple[type[Region], tuple[Any, ...]]:
        """Pickle read-only attributes as a plain dict, because a MappingProxyType does not pickle."""
        fields = (self.name, self.extent, self.crs, self.title, dict(self.attributes), self.origin)
        return type(self), (*fields, self.shape, self.projection, self.track)

    def at(self, time: object) -> Region:
        """Return the region at the time of a map. A region that does not move is returned unchanged.

        The templates of the result can use the attributes `lon` and `lat`, the center in degrees.

        Parameters
        ----------
        time : datetime or object
            Time for which the raster is valid. An object of another type: the time is not known.

        Raises
        ------
        RegionError
            If the region moves, and the time is unknown or outside of the track.
        """
        if self.track is None:
            return self
        if not (isinstance(time, datetime) and time.tzinfo):
            raise RegionError(
                f"the region moves with the track {self.track.file}, but the time of the raster is unknown; state it "
                "in the path of the file with {time:%Y%m%d%H}"
            )
        extent, crs = self.track.box(time)
        lon, lat = (f"{degrees:.2f}" for degrees in self.track.position(time))
        return replace(self, extent=extent, crs=crs, attributes={**self.attributes, "lon": lon, "lat": lat}, track=None)

    @property
    def at_start(self) -> Region:
        """The region at the first time of its track. A region that does not move is returned unchanged."""
        return self if self.track is None else self.at(self.track.fixes[0][0])

    @property
    def fields(self) -> Mapping[str, str]:
        """Values for templates: the columns of the row, `name` and `title`."""
        return MappingProxyType({**self.attributes, "name": self.name, "title": self.title})
