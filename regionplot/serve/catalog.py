"""The catalog: everything that a request can name, as plain values.

A generation makes the catalog when it has loaded its data. The front gets a copy. A request is looked up in these
dictionaries, and never becomes a path, an address or an expression.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from regionplot.geo.extent import FULL_TURN
from regionplot.settings.serve import ServeSettings

FORMATS: Mapping[str, str] = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg"}
"""Media types of images by name of the format."""
SHEET_FORMATS: Mapping[str, str] = {
    "png": "image/png",
    "webp": "image/webp",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
}
"""Media types of the maps of regions by suffix."""
Box = tuple[float, float, float, float]
"""xmin, ymin, xmax, ymax."""


@dataclass(frozen=True)
class FieldFacts:
    """One raster: one product at one time."""

    key: str
    """Name of the field in its generation."""
    time: str = ""
    """Time of the data in ISO format (UTC), or empty."""
    reference_time: str = ""
    """Time of the model run in ISO format (UTC), or empty."""
    level: str = ""
    """Name of the level, if the product has several."""
    modified: float = 0.0
    """Time of the last change of the raster's file, in seconds since 1970."""


@dataclass(frozen=True)
class ProductFacts:
    """One product, and its times."""

    name: str
    title: str
    units: str
    fields: Mapping[str, FieldFacts]
    """The fields by time in ISO format. The key is empty if the time is unknown."""
    default_time: str
    bounds: Box
    """West, south, east and north in degrees."""
    crs: str
    """Code of the CRS of the maps, or empty if it has none."""
    proj4: str
    """The CRS of the maps as a PROJ string, for browsers."""
    own_bounds: Box
    """Bounds of the raster in the CRS of the maps."""
    overlays: tuple[str, ...]
    """Names of the layers over the raster, from bottom to top."""
    labeled: frozenset[str] = frozenset()
    """Those of the overlays that draw labels, so that their tiles are drawn together."""
    level: str = ""
    """The default level, such as `500 hPa`, or empty."""
    long_name: str = ""
    levels: Mapping[str, Mapping[str, FieldFacts]] = field(default_factory=dict)
    """For a product with several levels: the fields by time, for each level, beginning with the default level."""
    level_units: str = ""
    """Units of the names of the levels."""

    @property
    def world_bounds(self) -> Box:
        """The bounds as other programs expect them: longitudes from -180 to 180, and latitudes from -90 to 90.

        If the product crosses the antimeridian, these are all longitudes.
        """
        west, south, east, north = self.bounds
        shift = FULL_TURN * math.floor((west + FULL_TURN / 2) / FULL_TURN)
        west, east = west - shift, east - shift
        if east > FULL_TURN / 2:
            west, east = -FULL_TURN / 2, FULL_TURN / 2
        return west, max(south, -90.0), east, min(north, 90.0)

    def field(self, time: str) -> FieldFacts:
        """Return the field of a time at the default level. An empty text is the default time."""
        return self.fields[time or self.default_time]

    def all_fields(self) -> list[FieldFacts]:
        """Return the fields of all levels and times."""
        return [each for fields in (self.levels.values() or (self.fields,)) for each in fields.values()]


@dataclass(frozen=True)
class OverlayFacts:
    """One layer over the raster, such as borders."""

    name: str
    title: str


@dataclass(frozen=True)
class RegionFacts:
    """One region of the table."""

    name: str
    title: str
    bounds: Box
    """West, south, east and north in degrees."""


@dataclass(frozen=True)
class Catalog:
    """Everything that a request can name in one generation."""

    run: str
    """Id of the data and the settings: 16 hexadecimal digits. It changes when an input is replaced."""
    loaded: float
    """Time at which the data were loaded, in seconds since 1970."""
    products: Mapping[str, ProductFacts]
    overlays: Mapping[str, OverlayFacts]
    regions: Mapping[str, RegionFacts]
    settings: ServeSettings
    suffixes: tuple[str, ...] = tuple(SHEET_FORMATS)
    """Suffixes of the maps of regions."""
    size: tuple[int, int] = (1400, 900)
    """Size of the maps of regions in pixels."""
    attribution: str = ""
    """Source of the data, from `[serve] attribution` or `[credit]`."""
    north_first: frozenset[str] = frozenset()
    """Those CRS codes of products and boxes whose authority defines the order latitude, longitude or northing, easting.
    """
    boxes: Mapping[str, Mapping[str, Box]] = field(default_factory=dict)
    """Bounds of each product by CRS code, for capabilities."""

    @property
    def default_product(self) -> ProductFacts:
        """The first product."""
        return next(iter(self.products.values()))

    @property
    def modified(self) -> float:
        """Time of the last change of a raster, in seconds since 1970."""
        return max(each.modified for product in self.products.values() for each in product.all_fields())


def iso_time(time: datetime | None) -> str:
    """Return a time as ISO text in UTC, such as `2026-03-10T06:00:00Z`, or an empty text."""
    if time is None:
        return ""
    if time.tzinfo is not None:
        time = time.astimezone(UTC)
    return f"{time:%Y-%m-%dT%H:%M:%S}Z"
