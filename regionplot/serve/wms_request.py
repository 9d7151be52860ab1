"""Translate requests of the Web Map Service, versions 1.3.0 and 1.1.1, into drawing requests. This module is pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

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
from regionplot.serve.request import (
    RASTER,
    LegendRequest,
    MapRequest,
    Point,
    StackRequest,
    ValueRequest,
    level_of,
)
from regionplot.serve.times import check_count, find_time, find_times

VERSIONS = ("1.3.0", "1.1.1")
EXCEPTIONS = ("XML", "INIMAGE", "BLANK")
_BY_MEDIA_TYPE = {media_type: name for name, media_type in FORMATS.items()}
_LEGEND = (300, 120)
_MAX_RASTERS = 8
"""Maximum number of rasters on one map."""


@dataclass
class _Part:
    """Layers of a map that belong to one product: at most one raster, and overlays."""

    product: ProductFacts
    layers: list[str]
    """`raster` for the product, and names of overlays, from bottom to top."""
    style: str = ""
    """Name of the colormap of the raster. Empty: the default style."""


@dataclass(frozen=True)
class WmsMap:
    """A map, and the facts that its answer needs."""

    facts: Mapping[str, FieldFacts]
    """The fields by product, from bottom to top."""
    drawing: MapRequest | StackRequest

    @property
    def fact(self) -> FieldFacts:
        """The topmost field."""
        return list(self.facts.values())[-1]

    @property
    def panel(self) -> MapRequest:
        """The lowest map. All maps have its box and size."""
        return self.drawing.maps[0] if isinstance(self.drawing, StackRequest) else self.drawing


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
    parts = _parts(parameters, catalog)
    facts = {part.product.name: _field_of(part.product, parameters, len(parts)) for part in parts}
    for fact in facts.values():
        _check_reference_time(parameters, fact)
    whole = _whole(parameters, catalog)
    maps = tuple(
        replace(
            whole,
            field=facts[part.product.name].key,
            layers=tuple(part.layers),
            recoloring=Recoloring.of(parameters, part.style) if RASTER in part.layers else None,
        )
        for part in parts
    )
    return WmsMap(facts, maps[0] if len(maps) == 1 else StackRequest(maps))


def _whole(parameters: Parameters, catalog: Catalog) -> MapRequest:
    """Return the drawing request without field and layers."""
    version = version_of(parameters)
    width, height = parse_size(parameters, catalog.settings)
    name = _format(parameters.text("format", "image/png"))
    crs_name = "crs" if version == "1.3.0" else "srs"
    return MapRequest(
        "",
        (),
        parse_box(parameters.needed("bbox"), width, height),
        parse_crs(parameters.needed(crs_name), crs_name),
        width,
        height,
        name,
        parameters.flag("transparent", default=False) and name != "jpeg",
        parse_color(parameters.text("bgcolor", "0xFFFFFF"), "bgcolor"),
        parse_dpi(_with_format_options(parameters), "dpi", "map_resolution", "format_options"),
        authority_axes=version == "1.3.0",
    )


def _field_of(product: ProductFacts, parameters: Parameters, count: int) -> FieldFacts:
    """Return the field of a product on a map of some products.

    Of several products, those without times ignore `TIME`, and those without levels ignore `ELEVATION`.
    """
    time, level = parameters.text("time"), level_of(parameters)
    if count > 1:
        time, level = time if any(product.fields) else "", level if product.levels else ""
    return find_time(product, time, level)


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


def _names(text: str, catalog: Catalog) -> list[str]:
    """Return the names of some layers."""
    names = text.split(",")
    if len(names) > catalog.settings.max_layers:
        message = f"there are more than {catalog.settings.max_layers} layers"
        raise RequestError(message, 400, "LayerNotDefined", "layers")
    for name in names:
        if name not in catalog.products and name not in catalog.overlays:
            raise RequestError(f"there is no layer {echo(name)}", 400, "LayerNotDefined", "layers")
    return names


def _parts(parameters: Parameters, catalog: Catalog) -> list[_Part]:
    """Divide the layers of a map into parts that are drawn one after another.

    A part ends before the next raster, and before an overlay that its product does not have.
    """
    names = _names(parameters.needed("layers"), catalog)
    parts: list[_Part] = []
    for name, style in zip(names, _styles(parameters.text("styles"), names, catalog), strict=True):
        last = parts[-1] if parts else None
        if name not in catalog.products:
            if last is None or name not in last.product.overlays:
                parts.append(last := _Part(_product_with(name, catalog), []))
            last.layers.append(name)
            continue
        product = catalog.products[name]
        if last is None or RASTER in last.layers or not set(last.layers) <= set(product.overlays):
            parts.append(last := _Part(product, []))
        last.product, last.style = product, style
        last.layers.append(RASTER)
    if sum(RASTER in part.layers for part in parts) > _MAX_RASTERS:
        raise RequestError(f"there are more than {_MAX_RASTERS} rasters", 400, "LayerNotDefined", "layers")
    return parts


def _product_with(overlay: str, catalog: Catalog) -> ProductFacts:
    """Return the first product that has an overlay."""
    return next(product for product in catalog.products.values() if overlay in product.overlays)


def _product(text: str, catalog: Catalog) -> ProductFacts:
    """Return the only product among some layers, or the product of the first overlay."""
    names = _names(text, catalog)
    products = [catalog.products[name] for name in names if name in catalog.products]
    if len(products) > 1:
        raise RequestError("name one product", 400, "LayerNotDefined", "layers")
    return products[0] if products else _product_with(names[0], catalog)


def _styles(text: str, names: list[str], catalog: Catalog) -> list[str]:
    """Return the style of each layer. Empty: the default style.

    Raises
    ------
    RequestError
        If there are too many styles, or a layer that is no raster has a style of its own.
    """
    styles = ["" if style == "default" else style for style in text.split(",")] if text else []
    others = [name for name, style in zip(names, styles, strict=False) if style and name not in catalog.products]
    if len(styles) > len(names) or others:
        raise RequestError(f"there is no style {echo(text)}; use default", 400, "StyleNotDefined", "styles")
    return [*styles, *[""] * (len(names) - len(styles))]


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
    query = _product(parameters.needed("query_layers"), catalog)
    if query.name not in found.facts:
        raise RequestError("the query layer is not on the map", 400, "LayerNotDefined", "query_layers")
    panel = found.panel
    pixel = parameters.whole(names[0], 0, panel.width - 1), parameters.whole(names[1], 0, panel.height - 1)
    point = Point(0.0, 0.0, panel.crs, panel.authority_axes, panel.box, pixel, (panel.width, panel.height))
    single = (found.facts[query.name],)
    facts = tuple(find_times(query, time, level_of(parameters))) if is_series else single
    check_count(len(facts))
    return WmsValue(query, facts, is_series, ValueRequest(tuple(fact.key for fact in facts), point))


def wms_legend(parameters: Parameters, catalog: Catalog) -> tuple[FieldFacts, LegendRequest]:
    """Return the drawing request of `GetLegendGraphic`.

    Raises
    ------
    RequestError
        If a parameter is missing or not valid.
    """
    product = _product(parameters.needed("layer"), catalog)
    name = _format(parameters.text("format", "image/png"))
    width, height = (
        parameters.whole(key, 1, catalog.settings.max_side, usual)
        for key, usual in zip(("width", "height"), _LEGEND, strict=True)
    )
    fact = find_time(product, parameters.text("time"), level_of(parameters))
    style = parameters.text("style", "default")
    recoloring = Recoloring.of(parameters, "" if style == "default" else style)
    return fact, LegendRequest(fact.key, width, height, name, parse_dpi(parameters, "dpi"), recoloring)
