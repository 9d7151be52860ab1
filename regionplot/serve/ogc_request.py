"""Translate requests of OGC API - Maps, Tiles and EDR into drawing requests. This module is pure.

The documents are OGC 20-058 (Maps), 20-057 (Tiles) and 19-086 (Environmental Data Retrieval, EDR).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from regionplot.serve.catalog import FORMATS, Catalog, FieldFacts, ProductFacts
from regionplot.serve.parameters import (
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
    parse_number,
    parse_whole_up_to,
)
from regionplot.serve.request import RASTER, TILE, MapRequest, Point, ValueRequest, fields_at, level_of, tile_box
from regionplot.serve.tile_sets import TileSet, tile_set
from regionplot.serve.times import check_count, find_time, find_times
from regionplot.settings.serve import ServeSettings

CRS84 = "OGC:CRS84"
_URI = re.compile(r"https?://www\.opengis\.net/def/crs/([A-Za-z]+)/[0-9.]+/([A-Za-z0-9]+)", re.ASCII)
_CURIE = re.compile(r"\[?([A-Z]+:[A-Z0-9]+)\]?", re.ASCII)
_POINT = re.compile(r"POINT\s*Z?\s*\(\s*(\S+)\s+(\S+)(?:\s+\S+)?\s*\)", re.IGNORECASE | re.ASCII)
_USUAL_WIDTH = 1024
_USUAL_DPI = 25.4 / 0.28
"""Pixels per inch of the standard screen, whose pixels have a side of 0.28 mm (OGC 06-042)."""


@dataclass(frozen=True)
class CollectionMap:
    """A drawing request, and the field that is drawn."""

    fact: FieldFacts
    drawing: MapRequest


def collection_map(parameters: Parameters, catalog: Catalog, name: str) -> CollectionMap:
    """Return the drawing request of `/collections/{name}/map`.

    Raises
    ------
    RequestError
        If a parameter is not valid.
    """
    product = named(name, catalog.products, "collection")
    fact = find_time(product, parameters.text("datetime"), level_of(parameters))
    text, box_crs = parameters.text("bbox"), code_of(parameters.text("bbox-crs", CRS84), "bbox-crs")
    crs = code_of(parameters.text("crs", box_crs), "crs")
    width, height = _size(parameters, catalog.settings)
    media = _format(parameters)
    transparent = parameters.flag("transparent", default=not parameters.text("bgcolor"))
    color = parameters.text("bgcolor")
    drawing = MapRequest(
        fact.key,
        (RASTER, *product.overlays),
        parse_box(text, max(width, 1), max(height, 1)) if text else product.bounds,
        crs,
        width,
        height,
        media,
        transparent and media != "jpeg",
        parse_color(color, "bgcolor") if color else "",
        _dpi(parameters),
        authority_axes=box_crs != CRS84,
        box_crs=box_crs if box_crs != crs else "",
    )
    return CollectionMap(fact, drawing)


def _size(parameters: Parameters, settings: ServeSettings) -> tuple[int, int]:
    """Return width and height. One of them can be 0: the worker finds it, because it knows the shape of the box."""
    width, height = (parameters.whole(name, 1, settings.max_side, 0) for name in ("width", "height"))
    if not (width or height):
        width = min(_USUAL_WIDTH, settings.max_side)
    check_pixels(width, height, settings)
    return width, height


def collection_tile(
    parameters: Parameters, catalog: Catalog, name: str, matrices: str, place: tuple[str, str, str]
) -> CollectionMap:
    """Return the drawing request of a tile.

    Parameters
    ----------
    parameters : Parameters
        `datetime`, `f`, `transparent` and `bgcolor`.
    catalog : Catalog
        The catalog.
    name : str
        Name of the product.
    matrices : str
        Name of the tile matrix set.
    place : tuple of str
        Tile matrix, row and column. Row 0 is in the north.

    Raises
    ------
    RequestError
        If there is no such tile.
    """
    product = named(name, catalog.products, "collection")
    fact = find_time(product, parameters.text("datetime"), level_of(parameters))
    drawing = tile_drawing(product, fact, tile_set(matrices), place, _format(parameters))
    color = parameters.text("bgcolor")
    transparent = parameters.flag("transparent", default=not color) and drawing.format != "jpeg"
    background = parse_color(color, "bgcolor") if color else ""
    return CollectionMap(fact, replace(drawing, transparent=transparent, background=background))


def tile_drawing(
    product: ProductFacts, fact: FieldFacts, matrices: TileSet, place: tuple[str, str, str], name: str
) -> MapRequest:
    """Return the drawing request of the tile of a tile matrix set, for a matrix, a row and a column.

    Raises
    ------
    RequestError
        If there is no such tile.
    """
    matrix = named(place[0], matrices.matrices, "tile matrix")
    row = parse_whole_up_to(place[1], "tile", matrix.rows - 1)
    column = parse_whole_up_to(place[2], "tile", matrix.columns - 1)
    box = tile_box(int(place[0]), column, row) if matrices.is_mercator else matrix.box(row, column)
    return MapRequest(
        fact.key, (RASTER, *product.overlays), box, matrices.code, TILE, TILE, name, name != "jpeg", "", _USUAL_DPI
    )


@dataclass(frozen=True)
class Position:
    """The request for values at a point: the fields of each level, by time, and the drawing request for all of them."""

    product: ProductFacts
    levels: tuple[tuple[FieldFacts, ...], ...]
    """The fields of each level. All levels have the same times."""
    drawing: ValueRequest
    has_levels: bool
    """True if the request names levels."""


def position(parameters: Parameters, catalog: Catalog, name: str) -> Position:
    """Return the request for the values of `/collections/{name}/position`.

    Raises
    ------
    RequestError
        If a parameter is missing or not valid, or there are too many values.
    """
    product = named(name, catalog.products, "collection")
    found = _POINT.fullmatch(parameters.needed("coords").strip())
    if found is None:
        raise RequestError("coords is not a point; write POINT(LON LAT)", locator="coords")
    crs = code_of(parameters.text("crs", CRS84), "crs")
    x, y = (parse_number(text, "coords", -1e9, 1e9) for text in found.groups())
    if crs == CRS84 and not (abs(x) <= 540 and abs(y) <= 90):
        raise RequestError("coords is outside of the earth; write POINT(LON LAT)", locator="coords")
    named(parameters.text("parameter-name", product.name), {product.name: 1}, "parameter-name")
    levels = find_levels(product, parameters.text("z") or level_of(parameters))
    facts = tuple(tuple(find_times(product, parameters.text("datetime"), level)) for level in levels)
    if len({tuple(fact.time for fact in own) for own in facts}) > 1:
        raise RequestError("the levels have different times; ask for one level, or one time", locator="z")
    check_count(sum(map(len, facts)))
    keys = tuple(fact.key for own in facts for fact in own)
    has_levels = bool(product.levels) and bool(parameters.text("z") or level_of(parameters))
    return Position(product, facts, ValueRequest(keys, Point(x, y, crs, authority_axes=crs != CRS84)), has_levels)


def find_levels(product: ProductFacts, text: str) -> list[str]:
    """Return the names of some levels: one, a list, or a range of numbers such as `500/850`. Empty: the default level.

    Raises
    ------
    RequestError
        If the product has no such level.
    """
    if text.count("/") == 1:
        low, high = sorted(parse_number(limit, "z", -1e9, 1e9) for limit in text.split("/"))
        found = [name for name in product.levels if is_number(name) and low <= float(name) <= high]
        if found:
            return found
        raise RequestError(f"{product.name} has no level in {echo(text)}", 404, "InvalidDimensionValue", "z")
    names = dict.fromkeys(text.split(","))
    for name in names:
        fields_at(product, name)
    return list(names)


def code_of(text: str, name: str) -> str:
    """Return the code of a CRS that is a URI, a CURIE or a code.

    Raises
    ------
    RequestError
        If the text has none of these forms.
    """
    found = _URI.fullmatch(text)
    if found is not None:
        return parse_crs(f"{found[1].upper()}:{found[2].upper()}", name)
    curie = _CURIE.fullmatch(text)
    return parse_crs(curie[1] if curie else text, name)


def uri_of(code: str) -> str:
    """Return the URI of the code of a CRS."""
    authority, _, number = code.partition(":")
    version = "1.3" if authority == "OGC" else "0"
    return f"http://www.opengis.net/def/crs/{authority}/{version}/{number}"


def _format(parameters: Parameters) -> str:
    name = parameters.text("f", "png").lower()
    name = {"jpg": "jpeg", **{media: each for each, media in FORMATS.items()}}.get(name, name)
    named(name, FORMATS, "format")
    return name


def _dpi(parameters: Parameters) -> float:
    if parameters.text("mm-per-pixel"):
        return 25.4 / parameters.number("mm-per-pixel", 0.05, 1.27)
    return parse_dpi(parameters, "dpi") if parameters.text("dpi") else _USUAL_DPI
