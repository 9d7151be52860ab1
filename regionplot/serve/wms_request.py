"""Translate requests of the Web Map Service, versions 1.3.0 and 1.1.1, into drawing requests. This module is pure."""

from __future__ import annotations

from dataclasses import dataclass

from regionplot.serve.catalog import FORMATS, Catalog, FieldFacts, ProductFacts
from regionplot.serve.parameters import (
    Parameters,
    RequestError,
    echo,
    parse_box,
    parse_color,
    parse_crs,
    parse_dpi,
    parse_size,
)
from regionplot.serve.recoloring import Recoloring
from regionplot.serve.request import RASTER, LegendRequest, MapRequest, Point, ValueRequest, level_of
from regionplot.serve.times import check_count, find_time, find_times

VERSIONS = ("1.3.0", "1.1.1")
EXCEPTIONS = ("XML", "INIMAGE", "BLANK")
_BY_MEDIA_TYPE = {media_type: name for name, media_type in FORMATS.items()}
_LEGEND = (300, 120)


@dataclass(frozen=True)
class WmsMap:
    """A map, and the facts that its answer needs."""

    product: ProductFacts
    fact: FieldFacts
    drawing: MapRequest


def version_of(parameters: Parameters) -> str:
    """Return the version that a request names, or the newest version."""
    version = parameters.text("version") or parameters.text("wmtver")
    return version if version in VERSIONS else VERSIONS[0]


def wms_map(parameters: Parameters, catalog: Catalog) -> WmsMap:
    """Return the drawing request of `GetMap`.

    Raises
    ------
    RequestError
        If a parameter is missing or not valid.
    """
    version = version_of(parameters)
    product, layers = _layers(parameters.needed("layers"), catalog)
    style = _style(parameters.text("styles"), layers)
    width, height = parse_size(parameters, catalog.settings)
    name = _format(parameters.text("format", "image/png"))
    crs_name = "crs" if version == "1.3.0" else "srs"
    fact = find_time(product, parameters.text("time"), level_of(parameters))
    _check_reference_time(parameters, fact)
    color = parameters.text("bgcolor", "0xFFFFFF")
    drawing = MapRequest(
        fact.key,
        layers,
        parse_box(parameters.needed("bbox"), width, height),
        parse_crs(parameters.needed(crs_name), crs_name),
        width,
        height,
        name,
        parameters.flag("transparent", default=False) and name != "jpeg",
        parse_color(color, "bgcolor"),
        parse_dpi(_with_format_options(parameters), "dpi", "map_resolution", "format_options"),
        recoloring=Recoloring.of(parameters, style),
        authority_axes=version == "1.3.0",
    )
    return WmsMap(product, fact, drawing)


def _check_reference_time(parameters: Parameters, fact: FieldFacts) -> None:
    """Raise RequestError if the request names another time of the model run than that of the data."""
    text = parameters.text("dim_reference_time")
    if text and text.rstrip("Z") != fact.reference_time.rstrip("Z"):
        message = f"there is no run of {echo(text)}"
        raise RequestError(message, 400, "InvalidDimensionValue", "dim_reference_time")


def _with_format_options(parameters: Parameters) -> Parameters:
    """Return the parameters with the resolution in `FORMAT_OPTIONS=dpi:180`, as GeoServer has it."""
    options = dict(option.partition(":")[::2] for option in parameters.text("format_options").lower().split(";"))
    return Parameters({**parameters.values, "format_options": options.get("dpi", "")})


def _format(text: str) -> str:
    """Return the name of a format from its media type, such as `image/png; mode=8bit`."""
    media_type = text.partition(";")[0].strip().lower()
    if media_type not in _BY_MEDIA_TYPE:
        raise RequestError(f"there is no format {echo(text)}", 400, "InvalidFormat", "format")
    return _BY_MEDIA_TYPE[media_type]


def _layers(text: str, catalog: Catalog) -> tuple[ProductFacts, tuple[str, ...]]:
    """Return the product of some layers, and the layers of the drawing request."""
    names = text.split(",")
    if len(names) > catalog.settings.max_layers:
        raise RequestError(
            f"there are more than {catalog.settings.max_layers} layers", 400, "LayerNotDefined", "layers"
        )
    for name in names:
        if name not in catalog.products and name not in catalog.overlays:
            raise RequestError(f"there is no layer {echo(name)}", 400, "LayerNotDefined", "layers")
    products = [catalog.products[name] for name in names if name in catalog.products]
    if len(products) > 1:
        raise RequestError("use one product in each request", 400, "LayerNotDefined", "layers")
    product = products[0] if products else _product_with(names, catalog)
    return product, tuple(RASTER if name in catalog.products else name for name in names)


def _product_with(names: list[str], catalog: Catalog) -> ProductFacts:
    """Return a product that has some overlays."""
    for product in catalog.products.values():
        if set(names) <= set(product.overlays):
            return product
    raise RequestError("the layers belong to several products", 400, "LayerNotDefined", "layers")


def _style(text: str, layers: tuple[str, ...]) -> str:
    """Return the name of the colormap that the style of the raster names. Empty: the default style.

    Raises
    ------
    RequestError
        If there are too many styles, or another layer has a style of its own.
    """
    names = ["" if name == "default" else name for name in text.split(",")] if text else []
    others = [name for name, layer in zip(names, layers, strict=False) if name and layer != RASTER]
    if len(names) > len(layers) or others:
        raise RequestError(f"there is no style {echo(text)}; use default", 400, "StyleNotDefined", "styles")
    return next((name for name, layer in zip(names, layers, strict=False) if layer == RASTER), "")


@dataclass(frozen=True)
class WmsValue:
    """The values under a pixel: of the field of the map, or of several times."""

    product: ProductFacts
    facts: tuple[FieldFacts, ...]
    is_series: bool
    """True if the request names several times, or a range."""
    drawing: ValueRequest


def wms_value(parameters: Parameters, catalog: Catalog) -> WmsValue:
    """Return the drawing request of `GetFeatureInfo`: the value under a pixel, at one time or several.

    Raises
    ------
    RequestError
        If a parameter is missing or not valid, or there are too many times.
    """
    names = ("i", "j") if version_of(parameters) == "1.3.0" else ("x", "y")
    time = parameters.text("time")
    is_series = "," in time or "/" in time
    found = wms_map(parameters.without("time") if is_series else parameters, catalog)
    query, _ = _layers(parameters.needed("query_layers"), catalog)
    if query is not found.product:
        raise RequestError("the query layer is not on the map", 400, "LayerNotDefined", "query_layers")
    drawing = found.drawing
    column = parameters.whole(names[0], 0, drawing.width - 1)
    row = parameters.whole(names[1], 0, drawing.height - 1)
    size = drawing.width, drawing.height
    point = Point(0.0, 0.0, drawing.crs, drawing.authority_axes, drawing.box, (column, row), size)
    facts = tuple(find_times(query, time, level_of(parameters))) if is_series else (found.fact,)
    check_count(len(facts))
    return WmsValue(query, facts, is_series, ValueRequest(tuple(fact.key for fact in facts), point))


def wms_legend(parameters: Parameters, catalog: Catalog) -> tuple[FieldFacts, LegendRequest]:
    """Return the drawing request of `GetLegendGraphic`.

    Raises
    ------
    RequestError
        If a parameter is missing or not valid.
    """
    product, _ = _layers(parameters.needed("layer"), catalog)
    name = _format(parameters.text("format", "image/png"))
    width, height = (
        parameters.whole(key, 1, catalog.settings.max_side, usual)
        for key, usual in zip(("width", "height"), _LEGEND, strict=True)
    )
    fact = find_time(product, parameters.text("time"), level_of(parameters))
    style = parameters.text("style", "default")
    recoloring = Recoloring.of(parameters, "" if style == "default" else style)
    return fact, LegendRequest(fact.key, width, height, name, parse_dpi(parameters, "dpi"), recoloring)
