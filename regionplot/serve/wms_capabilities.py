"""Write the capabilities and the exceptions of the Web Map Service as XML. All texts are escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from regionplot.serve.catalog import FORMATS, Box, Catalog, ProductFacts
from regionplot.serve.parameters import RequestError
from regionplot.serve.wms_request import EXCEPTIONS

INFO_FORMATS = ("application/json", "text/plain", "text/html")
_START = {
    "1.3.0": '<WMS_Capabilities version="1.3.0" xmlns="http://www.opengis.net/wms">',
    "1.1.1": '<WMT_MS_Capabilities version="1.1.1">',
}
_END = {"1.3.0": "</WMS_Capabilities>", "1.1.1": "</WMT_MS_Capabilities>"}


def capabilities(catalog: Catalog, version: str, address: str) -> str:
    """Return the capabilities.

    Parameters
    ----------
    catalog : Catalog
        The products, times and layers.
    version : str
        `1.3.0` or `1.1.1`.
    address : str
        Address of the service, ending with `?`.
    """
    return "".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            _START[version],
            *_service(catalog, version, address),
            "<Capability>",
            *_requests(version, address),
            *_exception_formats(version),
            "<Layer>",
            f"<Title>{escape(catalog.settings.title)}</Title>",
            *_codes(catalog, version),
            *(line for product in catalog.products.values() for line in _product(catalog, product, version, address)),
            *(line for name in catalog.overlays for line in _overlay(catalog, name, version)),
            "</Layer>",
            "</Capability>",
            _END[version],
        ]
    )


def _service(catalog: Catalog, version: str, address: str) -> Iterator[str]:
    name = "WMS" if version == "1.3.0" else "OGC:WMS"
    settings = catalog.settings
    yield f"<Service><Name>{name}</Name><Title>{escape(settings.title)}</Title>"
    yield _link(address)
    if version == "1.3.0":
        yield f"<LayerLimit>{settings.max_layers}</LayerLimit>"
        yield f"<MaxWidth>{settings.max_side}</MaxWidth><MaxHeight>{settings.max_side}</MaxHeight>"
    yield "</Service>"


def _link(address: str) -> str:
    """Return a link. The DTD of version 1.1.1 allows the namespace only here."""
    space = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<OnlineResource {space} xlink:type="simple" xlink:href={quoteattr(address)}/>'


def _requests(version: str, address: str) -> Iterator[str]:
    media = "text/xml" if version == "1.3.0" else "application/vnd.ogc.wms_xml"
    formats = {"GetCapabilities": (media,), "GetMap": tuple(FORMATS.values()), "GetFeatureInfo": INFO_FORMATS}
    if version == "1.1.1":
        formats["GetLegendGraphic"] = ("image/png", "image/webp")
    yield "<Request>"
    for name, own in formats.items():
        listed = "".join(f"<Format>{each}</Format>" for each in own)
        yield f"<{name}>{listed}<DCPType><HTTP><Get>{_link(address)}</Get></HTTP></DCPType></{name}>"
    yield "</Request>"


def _exception_formats(version: str) -> Iterator[str]:
    old = ("application/vnd.ogc.se_xml", "application/vnd.ogc.se_inimage", "application/vnd.ogc.se_blank")
    names = EXCEPTIONS if version == "1.3.0" else old
    yield "<Exception>" + "".join(f"<Format>{name}</Format>" for name in names) + "</Exception>"


def _codes(catalog: Catalog, version: str) -> Iterator[str]:
    tag = "CRS" if version == "1.3.0" else "SRS"
    own = [product.crs for product in catalog.products.values() if product.crs]
    extra = ["CRS:84"] if version == "1.3.0" else []
    for code in dict.fromkeys([*catalog.settings.projections, *own, *extra]):
        yield f"<{tag}>{escape(code)}</{tag}>"


def _product(catalog: Catalog, product: ProductFacts, version: str, address: str) -> Iterator[str]:
    yield '<Layer queryable="1">'
    yield f"<Name>{escape(product.name)}</Name><Title>{escape(product.title)}</Title>"
    yield f"<Abstract>{escape(' '.join(filter(None, (product.long_name, product.level, product.units))))}</Abstract>"
    yield from _bounds(catalog, [product], version)
    yield from _dimensions(product, version)
    request = f"{address}service=WMS&version={version}&request=GetLegendGraphic"
    href = f"{request}&layer={quote(product.name)}&format=image/png"
    legend = f'<LegendURL width="300" height="60"><Format>image/png</Format>{_link(href)}</LegendURL>'
    yield f"<Style><Name>default</Name><Title>default</Title>{legend}</Style></Layer>"


def _overlay(catalog: Catalog, name: str, version: str) -> Iterator[str]:
    yield f"<Layer><Name>{escape(name)}</Name><Title>{escape(catalog.overlays[name].title)}</Title>"
    yield from _bounds(catalog, [each for each in catalog.products.values() if name in each.overlays], version)
    yield "<Style><Name>default</Name><Title>default</Title></Style></Layer>"


def _bounds(catalog: Catalog, products: Sequence[ProductFacts], version: str) -> Iterator[str]:
    """Yield the boxes that contain some products, in degrees and in each CRS in which all of them have a box."""
    west, south, east, north = _union([each.world_bounds for each in products])
    if version == "1.3.0":
        yield f"<EX_GeographicBoundingBox><westBoundLongitude>{west}</westBoundLongitude>"
        yield f"<eastBoundLongitude>{east}</eastBoundLongitude><southBoundLatitude>{south}</southBoundLatitude>"
        yield f"<northBoundLatitude>{north}</northBoundLatitude></EX_GeographicBoundingBox>"
    else:
        yield f'<LatLonBoundingBox minx="{west}" miny="{south}" maxx="{east}" maxy="{north}"/>'
    tag = "CRS" if version == "1.3.0" else "SRS"
    boxes = [_boxes(catalog, each) for each in products]
    for code in [each for each in boxes[0] if all(each in own for own in boxes)]:
        xmin, ymin, xmax, ymax = _union([own[code] for own in boxes])
        is_swapped = version == "1.3.0" and code in catalog.north_first
        box = (ymin, xmin, ymax, xmax) if is_swapped else (xmin, ymin, xmax, ymax)
        limits = " ".join(
            f'{name}="{edge:.9g}"' for name, edge in zip(("minx", "miny", "maxx", "maxy"), box, strict=True)
        )
        yield f'<BoundingBox {tag}="{escape(code)}" {limits}/>'


def _boxes(catalog: Catalog, product: ProductFacts) -> dict[str, Box]:
    """Return the bounds of a product by CRS code."""
    boxes = dict(catalog.boxes.get(product.name, {}))
    if product.crs:
        boxes.setdefault(product.crs, product.own_bounds)
    return boxes


def _union(boxes: Sequence[Box]) -> Box:
    lefts, bottoms, rights, tops = zip(*boxes, strict=True)
    return min(lefts), min(bottoms), max(rights), max(tops)


def _dimensions(product: ProductFacts, version: str) -> Iterator[str]:
    """Yield the dimensions of a product: time, time of the model run, and level."""
    reference = product.field("").reference_time
    times = [time for time in product.fields if time]
    yield from _dimension("time", "ISO8601", times, product.default_time, version)
    yield from _dimension("reference_time", "ISO8601", [reference] if reference else [], reference, version)
    default = next(iter(product.levels), "")
    yield from _dimension("elevation", product.level_units, list(product.levels), default, version)


def _dimension(name: str, units: str, values: Sequence[str], default: str, version: str) -> Iterator[str]:
    """Yield a dimension with values, or nothing if there are no values."""
    if not values:
        return
    symbol = f" unitSymbol={quoteattr(units)}" if units and units != "ISO8601" else ""
    start, end = f'name="{name}" units={quoteattr(units)}{symbol}', f"default={quoteattr(default)}"
    content = escape(",".join(values))
    if version == "1.3.0":
        yield f"<Dimension {start} {end}>{content}</Dimension>"
    else:
        yield f'<Dimension {start}/><Extent name="{name}" {end}>{content}</Extent>'


def exception_report(error: RequestError, version: str) -> str:
    """Return a service exception as XML."""
    locator, space = "", ""
    if version == "1.3.0":
        locator = f" locator={quoteattr(error.locator)}" if error.locator else ""
        space = ' xmlns="http://www.opengis.net/ogc"'
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><ServiceExceptionReport version="{version}"{space}>'
        f"<ServiceException code={quoteattr(error.code)}{locator}>{escape(error.message)}</ServiceException>"
        "</ServiceExceptionReport>"
    )
