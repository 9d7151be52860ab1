"""A region: a named extent with the columns of its row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from regionplot.geo.extent import LONLAT, Extent


@dataclass(frozen=True, slots=True)
class Region:
    """A named extent to be drawn, with what its row says beyond that.

    Examples
    --------
    >>> Region("nc", Extent(-84.5, -75.3, 33.8, 36.7)).title
    'nc'
    """

    name: str
    """Unique name, as text."""
    extent: Extent
    """The limits asked for, in the units of `crs`."""
    crs: str | None = LONLAT
    """CRS of the limits, as pyproj understands it; None: the map's own."""
    title: str = ""
    """What the map is called; the name by default."""
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The other columns of the row, for templates."""
    origin: str = ""
    """Where it was read from, `regions.csv:7`."""

    def __post_init__(self) -> None:
        if not self.title:
            object.__setattr__(self, "title", self.name)

    def __reduce__(self) -> tuple[type[Region], tuple[Any, ...]]:
        """Pickle through the constructor, so that read-only attributes travel as a plain dict."""
        fields = (self.name, self.extent, self.crs, self.title, dict(self.attributes), self.origin)
        return type(self), fields

    @property
    def fields(self) -> Mapping[str, str]:
        """What a template may use: the row's columns, `name` and `title`."""
        return MappingProxyType({**self.attributes, "name": self.name, "title": self.title})
