"""Translate the parameters of a request into a drawing request. This module is pure: it reads and draws nothing.

All bounds are checked here. Names are keys of the catalog. Numbers are plain decimal numbers in a bounded range.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from regionplot.serve.catalog import FORMATS, SHEET_FORMATS, Box, Catalog, FieldFacts, ProductFacts
from regionplot.serve.parameters import (
    DEFAULT_DPI,
    Parameters,
    RequestError,
    check_pixels,
    echo,
    named,
    parse_box,
    parse_color,
    parse_crs,
    parse_dpi,
    parse_size,
    parse_whole,
    parse_whole_up_to,
)
from regionplot.serve.recoloring import Recoloring

RASTER = "raster"
"""Name of the raster among the layers of a product."""
MAX_ZOOM = 24
WORLD = 20_037_508.342789244
"""Half of the width of the world in EPSG:3857, in meters."""
TILE = 256


@dataclass(frozen=True, slots=True)
class MapRequest:
    """A map without title and color bar: the panel fills the image."""

    field: str
    """Key of the field in the generation."""
    layers: tuple[str, ...]
    """Layers from bottom to top: `raster` for the field, and names of overlays."""
    box: Box
    crs: str
    """Code of the CRS, such as `EPSG:3857` or `OGC:CRS84`."""
    width: int
    """Width in pixels. 0: pixels have equal sides, and the height determines the width."""
    height: int
    """Height in pixels. 0: the width determines the height."""
    format: str = "png"
    transparent: bool = True
    background: str = ""
    """Color `#rrggbb` under opaque images. Empty: the color in the settings."""
    dpi: float = DEFAULT_DPI
    recoloring: Recoloring | None = None
    """Colors that the request chooses. None: those of the settings."""
    authority_axes: bool = False
    """True: the box has the axis order that the authority defines, as in WMS 1.3.0. False: x, y."""
    box_crs: str = ""
    """Code of the CRS of the box, if it is not `crs`."""


@dataclass(frozen=True, slots=True)
class RegionRequest:
    """The map of a region, as a run draws it."""

    field: str
    region: str
    suffix: str
    width: int = 0
    """Width in pixels. 0: as in the settings."""
    height: int = 0


@dataclass(frozen=True, slots=True)
class ValueRequest:
    """The value of a field at a point."""

    field: str
    x: float
    y: float
    crs: str = "OGC:CRS84"
    authority_axes: bool = False
    box: Box | None = None
    """Box of a map. Then the point is the center of the pixel `pixel` of this map, and `x` and `y` are not used."""
    pixel: tuple[int, int] = (0, 0)
    """Column and row."""
    size: tuple[int, int] = (1, 1)
    """Width and height of the map in pixels."""


@dataclass(frozen=True, slots=True)
class SeriesRequest:
    """The values of several fields at one point. A series is one job, so it takes one place in the queue."""

    fields: tuple[str, ...]
    x: float
    y: float
    crs: str = "OGC:CRS84"
    authority_axes: bool = False


@dataclass(frozen=True, slots=True)
class LegendRequest:
    """The color bar or legend of a product."""

    field: str
    width: int
    height: int
    format: str = "png"
    dpi: float = DEFAULT_DPI
    recoloring: Recoloring | None = None


Drawing = MapRequest | RegionRequest | ValueRequest | SeriesRequest | LegendRequest


def digest_of(run: str, drawing: object) -> str:
    """Return the digest of an answer: 32 hexadecimal digits. It depends on the data and on the drawing request.

    Parameters
    ----------
    run : str
        Id of the data.
    drawing : Drawing, or another frozen dataclass
        What is drawn. Its `repr` names all fields.
    """
    return hashlib.sha256(f"{run} {drawing!r}".encode()).hexdigest()[:32]


def find_product(parameters: Parameters, catalog: Catalog) -> ProductFacts:
    """Return the product that a request names, or the first product."""
    return parameters.key("product", catalog.products, catalog.default_product.name)


def find_field(product: ProductFacts, time: str) -> FieldFacts:
    """Return the field of a product at a time. An empty text and `latest` are the default time.

    Raises
    ------
    RequestError
        If the product has no such time.
    """
    if time in ("", "latest", "current"):
        return product.field("")
    exact = time if time.endswith("Z") else f"{time}Z"
    for key in (exact, exact.replace(".000Z", "Z"), f"{exact[:-1]}:00Z", f"{exact[:-1]}T00:00:00Z"):
        if key in product.fields:
            return product.fields[key]
    raise RequestError(f"{product.name} has no time {echo(time)}", 404, "InvalidDimensionValue", "time")


def find_layers(parameters: Parameters, catalog: Catalog, product: ProductFacts) -> tuple[str, ...]:
    """Return the layers of a map: all layers of the product, or those in the parameter `layers`."""
    text = parameters.text("layers")
    if not text:
        return (RASTER, *product.overlays)
    names = tuple(text.split(","))
    if len(names) > catalog.settings.max_layers:
        raise RequestError(f"there are more than {catalog.settings.max_layers} layers", locator="layers")
    for name in names:
        if name != RASTER:
            named(name, {each: each for each in product.overlays}, "layer")
    return names


def map_request(parameters: Parameters, catalog: Catalog) -> MapRequest:
    """Return the drawing request of `/map`.

    Raises
    ------
    RequestError
        If a parameter is missing or not valid.
    """
    product = find_product(parameters, catalog)
    width, height = parse_size(parameters, catalog.settings)
    name = parameters.text("format", "png")
    named(name, FORMATS, "format")
    transparent = parameters.flag("transparent", default=name != "jpeg")
    color = parameters.text("background")
    return MapRequest(
        find_field(product, parameters.text("time")).key,
        find_layers(parameters, catalog, product),
        parse_box(parameters.needed("bbox"), width, height),
        parse_crs(parameters.text("crs", "OGC:CRS84")),
        width,
        height,
        name,
        transparent and name != "jpeg",
        parse_color(color, "background") if color else "",
        parse_dpi(parameters, "dpi"),
    )


def tile_request(
    parameters: Parameters, catalog: Catalog, product: str, place: tuple[str, str, str], name: str
) -> MapRequest:
    """Return the drawing request of an XYZ tile in EPSG:3857.

    Parameters
    ----------
    parameters : Parameters
        `time`, `layers` and `scale` (1 or 2: pixels per pixel of a standard screen).
    catalog : Catalog
        The catalog.
    product : str
        Name of the product.
    place : tuple of str
        Zoom level, column and row. Row 0 is in the north.
    name : str
        Name of the format, which can follow `@2x.`.

    Raises
    ------
    RequestError
        If there is no such tile.
    """
    found = named(product, catalog.products, "product")
    named(name, FORMATS, "format")
    scale = parameters.whole("scale", 1, 2, 1)
    zoom = parse_whole(place[0], "zoom level", 0, MAX_ZOOM)
    column, row = (parse_whole_up_to(text, "tile", 2**zoom - 1) for text in place[1:])
    return MapRequest(
        find_field(found, parameters.text("time")).key,
        find_layers(parameters, catalog, found),
        tile_box(zoom, column, row),
        "EPSG:3857",
        TILE * scale,
        TILE * scale,
        name,
        name != "jpeg",
        "",
        DEFAULT_DPI * scale,
    )


def tile_box(zoom: int, column: int, row: int) -> Box:
    """Return the box of a tile in EPSG:3857."""
    size = math.ldexp(2 * WORLD, -zoom)
    xmin, ymax = column * size - WORLD, WORLD - row * size
    return xmin, ymax - size, xmin + size, ymax


def region_request(parameters: Parameters, catalog: Catalog, region: str, suffix: str) -> RegionRequest:
    """Return the drawing request of `/regions/{name}.{format}`.

    Raises
    ------
    RequestError
        If there is no such region, or a parameter is not valid.
    """
    named(region, catalog.regions, "region")
    named(suffix, {each: SHEET_FORMATS[each] for each in catalog.suffixes}, "format")
    time = find_field(find_product(parameters, catalog), parameters.text("time")).key
    text = parameters.text("size")
    if not text:
        return RegionRequest(time, region, suffix)
    width, _, height = text.partition("x")
    columns, rows = (parse_whole(side, "size", 100, catalog.settings.max_side) for side in (width, height))
    check_pixels(columns, rows, catalog.settings)
    return RegionRequest(time, region, suffix, columns, rows)


def value_request(parameters: Parameters, catalog: Catalog) -> ValueRequest:
    """Return the drawing request of `/value`.

    Raises
    ------
    RequestError
        If a parameter is missing or not valid.
    """
    product = find_product(parameters, catalog)
    longitude, latitude = parameters.number("lon", -540, 540), parameters.number("lat", -90, 90)
    return ValueRequest(find_field(product, parameters.text("time")).key, longitude, latitude)
