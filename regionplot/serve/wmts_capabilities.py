"""Write the capabilities of the Web Map Tile Service 1.0.0 (OGC 07-057r7) as XML. All texts are escaped."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from regionplot.serve.catalog import FORMATS, Catalog, ProductFacts
from regionplot.serve.tile_sets import CODES, tile_set

_START = (
    '<Capabilities version="1.0.0" xmlns="http://www.opengis.net/wmts/1.0" xmlns:ows="http://www.opengis.net/ows/1.1" '
    'xmlns:xlink="http://www.w3.org/1999/xlink">'
)
_STYLE = '<Style isDefault="true"><ows:Identifier>default</ows:Identifier></Style>'


def wmts_capabilities(catalog: Catalog, root: str) -> str:
    """Return the capabilities.

    Parameters
    ----------
    catalog : Catalog
        What requests can name.
    root : str
        Address of the service, without a slash at its end.
    """
    return "".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            _START,
            f"<ows:ServiceIdentification><ows:Title>{escape(catalog.settings.title)}</ows:Title>",
            "<ows:ServiceType>OGC WMTS</ows:ServiceType><ows:ServiceTypeVersion>1.0.0</ows:ServiceTypeVersion>",
            "</ows:ServiceIdentification>",
            "<ows:OperationsMetadata>",
            *(_operation(name, f"{root}/wmts?") for name in ("GetCapabilities", "GetTile")),
            "</ows:OperationsMetadata>",
            "<Contents>",
            *(line for product in catalog.products.values() for line in _layer(catalog, product, root)),
            *(line for name in CODES for line in _matrices(name)),
            "</Contents>",
            f"<ServiceMetadataURL xlink:href={quoteattr(f'{root}/wmts?service=WMTS&request=GetCapabilities')}/>",
            "</Capabilities>",
        ]
    )


def _operation(name: str, address: str) -> str:
    encoding = (
        '<ows:Constraint name="GetEncoding"><ows:AllowedValues><ows:Value>KVP</ows:Value></ows:AllowedValues>'
        "</ows:Constraint>"
    )
    get = f"<ows:Get xlink:href={quoteattr(address)}>{encoding}</ows:Get>"
    return f'<ows:Operation name="{name}"><ows:DCP><ows:HTTP>{get}</ows:HTTP></ows:DCP></ows:Operation>'


def _layer(catalog: Catalog, product: ProductFacts, root: str) -> Iterator[str]:
    west, south, east, north = product.world_bounds
    times = [time for time in product.fields if time]
    yield f"<Layer><ows:Title>{escape(product.title)}</ows:Title>"
    yield f"<ows:Abstract>{escape(' '.join(filter(None, (product.long_name, product.units))))}</ows:Abstract>"
    yield f"<ows:WGS84BoundingBox><ows:LowerCorner>{west:.9g} {south:.9g}</ows:LowerCorner>"
    yield f"<ows:UpperCorner>{east:.9g} {north:.9g}</ows:UpperCorner></ows:WGS84BoundingBox>"
    yield f"<ows:Identifier>{escape(product.name)}</ows:Identifier>"
    if box := catalog.boxes.get(product.name, {}).get("EPSG:3857"):  # GDAL cannot project a box that contains a pole
        xmin, ymin, xmax, ymax = box
        yield f'<ows:BoundingBox crs="urn:ogc:def:crs:EPSG::3857"><ows:LowerCorner>{xmin:.9g} {ymin:.9g}'
        yield f"</ows:LowerCorner><ows:UpperCorner>{xmax:.9g} {ymax:.9g}</ows:UpperCorner></ows:BoundingBox>"
    yield _STYLE
    for media in FORMATS.values():
        yield f"<Format>{media}</Format>"
    if times:
        yield "<Dimension><ows:Identifier>Time</ows:Identifier><ows:UOM>ISO8601</ows:UOM>"
        yield f"<Default>{escape(product.default_time)}</Default>"
        yield from (f"<Value>{escape(time)}</Value>" for time in times)
        yield "</Dimension>"
    if product.levels:
        yield "<Dimension><ows:Identifier>Elevation</ows:Identifier>"
        yield f"<ows:UOM>{escape(product.level_units)}</ows:UOM><Default>{escape(next(iter(product.levels)))}</Default>"
        yield from (f"<Value>{escape(level)}</Value>" for level in product.levels)
        yield "</Dimension>"
    yield from (f"<TileMatrixSetLink><TileMatrixSet>{name}</TileMatrixSet></TileMatrixSetLink>" for name in CODES)
    tiles = f"{root}/ogc/collections/{quote(product.name)}/map/tiles"
    path = f"{tiles}/{{TileMatrixSet}}/{{TileMatrix}}/{{TileRow}}/{{TileCol}}"
    for name, media in FORMATS.items():
        template = f"{path}?f={name}{'&datetime={Time}' if times else ''}"
        template += "&level={Elevation}" if product.levels else ""
        yield f'<ResourceURL format="{media}" resourceType="tile" template={quoteattr(template)}/>'
    yield "</Layer>"


def _matrices(name: str) -> Iterator[str]:
    found, code = tile_set(name), CODES[name]
    authority, _, number = code.partition(":")
    urn = "urn:ogc:def:crs:OGC:1.3:CRS84" if code == "OGC:CRS84" else f"urn:ogc:def:crs:{authority}::{number}"
    yield f"<TileMatrixSet><ows:Identifier>{name}</ows:Identifier><ows:SupportedCRS>{urn}</ows:SupportedCRS>"
    for each in found.document["tileMatrices"]:
        corner = " ".join(f"{number:.15g}" for number in each["pointOfOrigin"])
        yield f"<TileMatrix><ows:Identifier>{escape(each['id'])}</ows:Identifier>"
        yield f"<ScaleDenominator>{each['scaleDenominator']:.15g}</ScaleDenominator>"
        yield f"<TopLeftCorner>{corner}</TopLeftCorner>"
        yield f"<TileWidth>{each['tileWidth']}</TileWidth><TileHeight>{each['tileHeight']}</TileHeight>"
        yield f"<MatrixWidth>{each['matrixWidth']}</MatrixWidth><MatrixHeight>{each['matrixHeight']}</MatrixHeight>"
        yield "</TileMatrix>"
    yield "</TileMatrixSet>"
