"""Routes of OGC API - Common, Maps, Tiles and EDR. They begin with `/ogc`."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from regionplot._version import __version__
from regionplot.serve.backend import Snapshot
from regionplot.serve.catalog import FORMATS, Catalog, FieldFacts, ProductFacts
from regionplot.serve.coverage import coverage
from regionplot.serve.ogc_request import CRS84, collection_map, collection_tile, position, uri_of
from regionplot.serve.openapi import openapi
from regionplot.serve.parameters import named
from regionplot.serve.service import Service, base_address, data_headers, parameters_of, root_path
from regionplot.serve.tile_sets import CODES, tile_set
from regionplot.settings.serve import ServeSettings

_ROOT = "/ogc"
_JSON, _OPENAPI, _COVERAGE = (
    "application/json",
    "application/vnd.oai.openapi+json;version=3.0",
    "application/prs.coverage+json",
)
_SPEC = "http://www.opengis.net/spec"
_REL = "http://www.opengis.net/def/rel/ogc/1.0"
_GREGORIAN = "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"
_POSITION = {"query_type": "position", "output_formats": ["CoverageJSON"], "default_output_format": "CoverageJSON"}
_TMS = "http://www.opengis.net/def/tilematrixset/OGC/1.0"
_CONFORMANCE = (
    f"{_SPEC}/ogcapi-common-1/1.0/conf/core",
    f"{_SPEC}/ogcapi-common-1/1.0/conf/json",
    f"{_SPEC}/ogcapi-common-1/1.0/conf/oas30",
    f"{_SPEC}/ogcapi-common-2/1.0/conf/collections",
    f"{_SPEC}/ogcapi-maps-1/1.0/conf/core",
    f"{_SPEC}/ogcapi-maps-1/1.0/conf/collection-map",
    f"{_SPEC}/ogcapi-maps-1/1.0/conf/background",
    f"{_SPEC}/ogcapi-maps-1/1.0/conf/crs",
    f"{_SPEC}/ogcapi-maps-1/1.0/conf/scaling",
    f"{_SPEC}/ogcapi-maps-1/1.0/conf/spatial-subsetting",
    f"{_SPEC}/ogcapi-maps-1/1.0/conf/datetime",
    f"{_SPEC}/ogcapi-maps-1/1.0/conf/png",
    f"{_SPEC}/ogcapi-maps-1/1.0/conf/jpeg",
    f"{_SPEC}/ogcapi-tiles-1/1.0/conf/core",
    f"{_SPEC}/ogcapi-tiles-1/1.0/conf/tileset",
    f"{_SPEC}/ogcapi-tiles-1/1.0/conf/tilesets-list",
    f"{_SPEC}/ogcapi-tiles-1/1.0/conf/dataset-tilesets",
    f"{_SPEC}/ogcapi-tiles-1/1.0/conf/geodata-tilesets",
    f"{_SPEC}/ogcapi-tiles-1/1.0/conf/png",
    f"{_SPEC}/ogcapi-edr-1/1.1/conf/core",
    f"{_SPEC}/ogcapi-edr-1/1.1/conf/covjson",
)
Links = list[dict[str, Any]]


def routes(service: Service) -> list[Route]:
    """Return the routes. Addresses below `/v/{run}` name the run."""
    api = _Api(service)
    paths = {
        "": api.landing,
        "/": api.landing,
        "/api": api.description,
        "/conformance": api.conformance,
        "/tileMatrixSets": api.tile_sets,
        "/tileMatrixSets/{matrices}": api.tile_set,
        "/collections": api.collections,
        "/collections/{name}": api.collection,
        "/collections/{name}/map": api.map,
        "/collections/{name}/styles": api.styles,
        "/collections/{name}/map/tiles": api.collection_tile_sets,
        "/collections/{name}/map/tiles/{matrices}": api.collection_tile_set,
        "/collections/{name}/map/tiles/{matrices}/{matrix}/{row}/{column}": api.tile,
        "/collections/{name}/position": api.position,
    }
    return [Route(f"{start}{_ROOT}{path}", handler) for start in ("", "/v/{run}") for path, handler in paths.items()]


class _Addresses:
    """The addresses of links: those of the request, because the service does not know its own name."""

    def __init__(self, request: Request, settings: ServeSettings) -> None:
        self._base = f"{base_address(request, settings)}{_ROOT}"

    def link(self, rel: str, path: str, media_type: str = _JSON, **more: Any) -> dict[str, Any]:
        """Return a link to a path below the root."""
        return {"rel": rel, "href": f"{self._base}{path}", "type": media_type, **more}


class _Api:
    """Handlers of the routes."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def _start(self, request: Request) -> tuple[Snapshot, _Addresses]:
        snapshot = self._service.snapshot(request.path_params.get("run", ""))
        return snapshot, _Addresses(request, snapshot.catalog.settings)

    async def landing(self, request: Request) -> Response:
        """Return the landing page."""
        snapshot, at = self._start(request)
        links = [
            at.link("self", "/"),
            at.link("service-desc", "/api", _OPENAPI),
            at.link("conformance", "/conformance"),
            at.link("data", "/collections"),
            at.link(f"{_REL}/tiling-schemes", "/tileMatrixSets"),
        ]
        catalog = snapshot.catalog
        found = {"title": catalog.settings.title, "description": "Maps of georeferenced rasters", "links": links}
        return _json(found | ({"attribution": catalog.attribution} if catalog.attribution else {}))

    async def description(self, request: Request) -> Response:
        """Return the OpenAPI document."""
        snapshot, _ = self._start(request)
        return _json(openapi(snapshot.catalog, __version__, root_path(request, snapshot.catalog.settings)), _OPENAPI)

    async def conformance(self, request: Request) -> Response:
        """Return the conformance classes."""
        self._start(request)
        return _json({"conformsTo": _CONFORMANCE})

    async def collections(self, request: Request) -> Response:
        """Return all products."""
        snapshot, at = self._start(request)
        found = [_collection(product, at) for product in snapshot.catalog.products.values()]
        return _json({"links": [at.link("self", "/collections")], "collections": found})

    async def collection(self, request: Request) -> Response:
        """Return one product."""
        snapshot, at = self._start(request)
        return _json(_collection(_product(request, snapshot.catalog), at))

    async def styles(self, request: Request) -> Response:
        """Return the styles of a product: there is one, which the settings define."""
        snapshot, at = self._start(request)
        name = quote(_product(request, snapshot.catalog).name)
        style = {
            "id": "default",
            "title": "default",
            "links": [at.link(f"{_REL}/map", f"/collections/{name}/map", "image/png")],
        }
        return _json({"styles": [style], "default": "default"})

    async def map(self, request: Request) -> Response:
        """Return a map of a product."""
        snapshot, _ = self._start(request)
        found = collection_map(parameters_of(request), snapshot.catalog, request.path_params["name"])
        return await self._image(request, snapshot, found.drawing, found.fact)

    async def tile(self, request: Request) -> Response:
        """Return a tile of a product."""
        snapshot, _ = self._start(request)
        path = request.path_params
        place = path["matrix"], path["row"], path["column"]
        found = collection_tile(parameters_of(request), snapshot.catalog, path["name"], path["matrices"], place)
        return await self._image(request, snapshot, found.drawing, found.fact)

    async def _image(self, request: Request, snapshot: Snapshot, drawing: Any, fact: FieldFacts) -> Response:
        is_pinned = bool(request.path_params.get("run", ""))
        return await self._service.image(request, snapshot, drawing, fact, is_pinned=is_pinned)

    async def tile_sets(self, request: Request) -> Response:
        """Return the names of all tile matrix sets."""
        _, at = self._start(request)
        found = [
            {
                "id": name,
                "uri": f"{_TMS}/{name}",
                "crs": uri_of(code),
                "links": [at.link("self", f"/tileMatrixSets/{name}")],
            }
            for name, code in CODES.items()
        ]
        return _json({"tileMatrixSets": found})

    async def tile_set(self, request: Request) -> Response:
        """Return the definition of a tile matrix set."""
        self._start(request)
        return _json(dict(tile_set(request.path_params["matrices"]).document))

    async def collection_tile_sets(self, request: Request) -> Response:
        """Return the tile sets of a product."""
        snapshot, at = self._start(request)
        product = _product(request, snapshot.catalog)
        return _json({"tilesets": [_tiles(product, name, at) for name in CODES]})

    async def collection_tile_set(self, request: Request) -> Response:
        """Return the description of one tile set of a product."""
        snapshot, at = self._start(request)
        matrices = tile_set(request.path_params["matrices"])
        return _json(_tiles(_product(request, snapshot.catalog), matrices.name, at))

    async def position(self, request: Request) -> Response:
        """Return the values at a point as CoverageJSON."""
        snapshot, _ = self._start(request)
        found = position(parameters_of(request), snapshot.catalog, request.path_params["name"])
        reply = await snapshot.draw(found.drawing)
        newest = found.levels[0][-1]
        headers = data_headers(snapshot.catalog, newest, "", is_pinned="run" in request.path_params)
        del headers["ETag"]
        return JSONResponse(coverage(found, json.loads(reply.content)), media_type=_COVERAGE, headers=headers)


def _json(content: Any, media_type: str = _JSON) -> Response:
    return JSONResponse(content, media_type=media_type, headers={"Cache-Control": "no-cache", "Vary": "Host"})


def _product(request: Request, catalog: Catalog) -> ProductFacts:
    return named(request.path_params["name"], catalog.products, "collection")


def _collection(product: ProductFacts, at: _Addresses) -> dict[str, Any]:
    """Return the description of a product."""
    path = f"/collections/{quote(product.name)}"
    times = [time for time in product.fields if time]
    extent: dict[str, Any] = {"spatial": {"bbox": [product.world_bounds], "crs": uri_of(CRS84)}}
    if times:
        extent["temporal"] = {"interval": [[times[0], times[-1]]], "values": times, "trs": _GREGORIAN}
    if product.levels:
        names = list(product.levels)
        extent["vertical"] = {"interval": [[names[0], names[-1]]], "values": names, "vrs": product.level_units}
    images = [at.link(f"{_REL}/map", f"{path}/map?f={name}", media) for name, media in FORMATS.items()]
    links = [
        at.link("self", path),
        *images,
        at.link(f"{_REL}/tilesets-map", f"{path}/map/tiles"),
        at.link(f"{_REL}/styles", f"{path}/styles"),
        at.link("data", f"{path}/position", _COVERAGE),
    ]
    return {
        "id": product.name,
        "title": product.title,
        "description": " ".join(filter(None, (product.long_name, product.level))),
        "extent": extent,
        "crs": [uri_of(code) for code in dict.fromkeys((CRS84, *CODES.values(), *filter(None, (product.crs,))))],
        "storageCrs": uri_of(product.crs or CRS84),
        "parameter_names": {product.name: _quantity(product)},
        "data_queries": {"position": {"link": at.link("data", f"{path}/position", _COVERAGE, variables=_POSITION)}},
        "output_formats": ["CoverageJSON"],
        "links": links,
    }


def _quantity(product: ProductFacts) -> dict[str, Any]:
    """Return the description of the quantity of a product, as in EDR: its texts have no languages."""
    found: dict[str, Any] = {
        "type": "Parameter",
        "description": product.long_name,
        "observedProperty": {"label": product.long_name},
    }
    return found | ({"unit": {"label": product.units, "symbol": product.units}} if product.units else {})


def _tiles(product: ProductFacts, matrices: str, at: _Addresses) -> dict[str, Any]:
    """Return the description of a tile set."""
    path = f"/collections/{quote(product.name)}/map/tiles/{matrices}"
    template = f"{path}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}"
    west, south, east, north = product.world_bounds
    return {
        "title": product.title,
        "dataType": "map",
        "crs": uri_of(CODES[matrices]),
        "tileMatrixSetURI": f"{_TMS}/{matrices}",
        "boundingBox": {"lowerLeft": [west, south], "upperRight": [east, north], "crs": uri_of(CRS84)},
        "links": [
            at.link("self", path),
            at.link(f"{_REL}/tiling-scheme", f"/tileMatrixSets/{matrices}"),
            *(at.link("item", f"{template}?f={name}", media, templated=True) for name, media in FORMATS.items()),
        ],
    }
