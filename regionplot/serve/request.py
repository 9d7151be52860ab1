"""Translate the parameters of a request into a drawing request. This module is pure: it reads and draws nothing.

All bounds are checked here. Names are keys of the catalog. Numbers are plain decimal numbers in a bounded range.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

from regionplot.serve.catalog import FORMATS, SHEET_FORMATS, Box, Catalog, FieldFacts, ProductFacts
from regionplot.serve.parameters import (
    DEFAULT_DPI,
    Parameters,
    RequestError,
    check_pixels,
    echo,
    is_number,
    named,
    parse_box,
    parse_color,
    parse_crs,
    parse_dpi,
    parse_size,
    parse_whole,
    parse_whole_up_to,
    utc_time,
)
from regionplot.serve.recoloring import Recoloring

RASTER = "raster"
"""Name of the raster among the layers of a product."""
MAX_ZOOM = 24
_MAX_LISTED = 20
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
class StackRequest:
    """Several maps of one box that lie over one another: each shows the map below where it has no data."""

    maps: tuple[MapRequest, ...]
    """The maps from bottom to top. They differ in fields, layers and colors."""


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
class Point:
    """A point of the earth: two coordinates, or the center of a pixel of a map."""

    x: float = 0.0
    y: float = 0.0
    crs: str = "OGC:CRS84"
    """Code of the CRS of the coordinates, or of the map."""
    authority_axes: bool = False
    """True: the coordinates have the axis order that the authority defines."""
    box: Box | None = None
    """Box of a map. Then `x` and `y` are not used."""
    pixel: tuple[int, int] = (0, 0)
    """Column and row."""
    size: tuple[int, int] = (1, 1)
    """Width and height of the map in pixels."""


@dataclass(frozen=True, slots=True)
class ValueRequest:
    """The values of some fields at a point. They are one job, so they take one place in the queue."""

    fields: tuple[str, ...]
    point: Point


@dataclass(frozen=True, slots=True)
class LegendRequest:
    """The color bar or legend of a product."""

    field: str
    width: int
    height: int
    format: str = "png"
    dpi: float = DEFAULT_DPI
    recoloring: Recoloring | None = None


Drawing = MapRequest | StackRequest | RegionRequest | ValueRequest | LegendRequest


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


def chosen_field(parameters: Parameters, product: ProductFacts) -> FieldFacts:
    """Return the field of a product that the parameters `time` and `level` name. `elevation` is the level, too.

    Raises
    ------
    RequestError
        If the product has no such time or level.
    """
    return find_field(product, parameters.text("time"), level_of(parameters))


def level_of(parameters: Parameters) -> str:
    """Return the text of the parameter `level` or `elevation`."""
    return parameters.text("level") or parameters.text("elevation")


def fields_at(product: ProductFacts, level: str) -> Mapping[str, FieldFacts]:
    """Return the fields of a product on a level, by time. An empty text is the default level.

    Raises
    ------
    RequestError
        If the product has no such level.
    """
    text = level.removesuffix(product.level_units).strip() if product.level_units else level
    if text in ("", "default"):
        return product.fields
    if text not in product.levels and is_number(text):
        text = next((name for name in product.levels if is_number(name) and float(name) == float(text)), text)
    if text not in product.levels:
        listed = ", ".join(list(product.levels)[:_MAX_LISTED])
        message = f"{product.name} has no level {echo(level)}" + (f"; its levels are {listed}" if listed else "")
        raise RequestError(message, 404, "InvalidDimensionValue", "elevation")
    return product.levels[text]


def find_field(product: ProductFacts, time: str, level: str = "") -> FieldFacts:
    """Return the field of a product at a time. An empty text and `latest` are the default time.

    Parameters
    ----------
    product : ProductFacts
        The product.
    time : str
        Time in ISO format, in UTC or with an offset.
    level : str, optional
        Level, with or without units. By default, the default level.

    Raises
    ------
    RequestError
        If the product has no such time or level.
    """
    fields = fields_at(product, level)
    if time in ("", "latest", "current"):
        time = product.default_time
    time = utc_time(time)
    exact = time if time.endswith("Z") or not time else f"{time}Z"
    for key in (exact, exact.replace(".000Z", "Z"), f"{exact[:-1]}:00Z", f"{exact[:-1]}T00:00:00Z"):
        if key in fields:
            return fields[key]
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
        chosen_field(parameters, product).key,
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
        chosen_field(parameters, found).key,
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
    time = chosen_field(parameters, find_product(parameters, catalog)).key
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
    return ValueRequest((chosen_field(parameters, product).key,), Point(longitude, latitude))
