"""Routes of regions, maps of any box, tiles and values."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from regionplot.serve.backend import Snapshot
from regionplot.serve.catalog import Catalog, FieldFacts, ProductFacts
from regionplot.serve.metatiles import Metatile, TileMatrix
from regionplot.serve.parameters import named, parse_dpi
from regionplot.serve.request import (
    MAX_ZOOM,
    RASTER,
    LegendRequest,
    chosen_field,
    find_product,
    map_request,
    region_request,
    tile_box,
    tile_request,
    value_request,
)
from regionplot.serve.service import Service, accepts_gzip, base_address, compress, data_headers, parameters_of

_LEGEND = (500, 200)
"""Default width and maximum height of legends in pixels."""


def routes(service: Service) -> list[Route]:
    """Return the routes. Addresses below `/v/{run}` name the run, so their answers never change."""
    maps = _Maps(service)
    paths = {
        "/catalog": maps.catalog,
        "/regions": maps.regions,
        "/regions/{name}.{format}": maps.region,
        "/map": maps.map,
        "/tiles/{product}.json": maps.tile_json,
        "/tiles/{product}/{z}/{x}/{y}.{format}": maps.tile,
        "/legend/{product}.{format}": maps.legend,
        "/value": maps.value,
    }
    return [Route(f"{start}{path}", handler) for start in ("", "/v/{run}") for path, handler in paths.items()]


class _Maps:
    """Handlers of the routes."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def _snapshot(self, request: Request) -> tuple[Snapshot, bool]:
        run = request.path_params.get("run", "")
        return self._service.snapshot(run), bool(run)

    async def catalog(self, request: Request) -> Response:
        """Return the catalog as JSON."""
        catalog = self._snapshot(request)[0].catalog
        return _compressed(request, JSONResponse(catalog_json(catalog), headers=_of_catalog(catalog)))

    async def regions(self, request: Request) -> Response:
        """Return the regions as JSON."""
        catalog = self._snapshot(request)[0].catalog
        found = [dataclasses.asdict(region) for region in catalog.regions.values()]
        found_json = {"run": catalog.run, "regions": found}
        return _compressed(request, JSONResponse(found_json, headers=_of_catalog(catalog)))

    async def region(self, request: Request) -> Response:
        """Return the map of a region: the bytes that a run writes."""
        snapshot, is_pinned = self._snapshot(request)
        parameters, path = parameters_of(request), request.path_params
        drawing = region_request(parameters, snapshot.catalog, path["name"], path["format"])
        fact = chosen_field(parameters, find_product(parameters, snapshot.catalog))
        return await self._service.image(request, snapshot, drawing, fact, is_pinned=is_pinned)

    async def map(self, request: Request) -> Response:
        """Return a map of a box, without title and color bar."""
        snapshot, is_pinned = self._snapshot(request)
        parameters = parameters_of(request)
        drawing = map_request(parameters, snapshot.catalog)
        fact = chosen_field(parameters, find_product(parameters, snapshot.catalog))
        return await self._service.image(request, snapshot, drawing, fact, is_pinned=is_pinned)

    async def tile(self, request: Request) -> Response:
        """Return an XYZ tile."""
        snapshot, is_pinned = self._snapshot(request)
        parameters, path = parameters_of(request), request.path_params
        place = path["z"], path["x"], path["y"]
        drawing = tile_request(parameters, snapshot.catalog, path["product"], place, path["format"])
        product = snapshot.catalog.products[path["product"]]
        fact = chosen_field(parameters, product)
        metatile = None
        if product.labeled.intersection(drawing.layers):
            zoom, column, row = map(int, place)
            matrix = TileMatrix(2**zoom, 2**zoom, partial(tile_box, zoom))
            metatile = Metatile.around(drawing, column, row, matrix)
        return await self._service.image(request, snapshot, drawing, fact, is_pinned=is_pinned, metatile=metatile)

    async def tile_json(self, request: Request) -> Response:
        """Return the description of the tiles of a product: TileJSON 3.0.0."""
        catalog = self._snapshot(request)[0].catalog
        product = named(request.path_params["product"], catalog.products, "product")
        found = tile_json(catalog, product, base_address(request, catalog.settings))
        return JSONResponse(found, headers={**_of_catalog(catalog), "Vary": "Host"})

    async def legend(self, request: Request) -> Response:
        """Return the color bar or legend of a product."""
        snapshot, is_pinned = self._snapshot(request)
        parameters, path, settings = parameters_of(request), request.path_params, snapshot.catalog.settings
        product = named(path["product"], snapshot.catalog.products, "product")
        named(path["format"], {"png": 1, "webp": 1}, "format")
        width, height = (
            parameters.whole(name, 1, settings.max_side, usual)
            for name, usual in zip(("width", "height"), _LEGEND, strict=True)
        )
        fact = chosen_field(parameters, product)
        drawing = LegendRequest(fact.key, width, height, path["format"], parse_dpi(parameters, "dpi"))
        return await self._service.image(request, snapshot, drawing, fact, is_pinned=is_pinned)

    async def value(self, request: Request) -> Response:
        """Return the value at a point as JSON."""
        snapshot, _ = self._snapshot(request)
        parameters = parameters_of(request)
        product = find_product(parameters, snapshot.catalog)
        fact = chosen_field(parameters, product)
        drawing = value_request(parameters, snapshot.catalog)
        reply = await snapshot.draw(drawing)
        answer, point = json.loads(reply.content), drawing.point
        found = {"product": product.name, "lon": point.x, "lat": point.y}
        found |= {"value": answer["values"][0], "units": answer["units"], **_times(fact)}
        found |= {"level": fact.level} if fact.level else {}
        return JSONResponse({**found, "run": snapshot.catalog.run}, headers=_of_field(snapshot, fact))


def _compressed(request: Request, answer: Response) -> Response:
    """Compress an answer if the client understands it. Catalogs with thousands of regions are long."""
    answer.headers["Vary"] = "Accept-Encoding"
    if accepts_gzip(request):
        answer.body = compress(bytes(answer.body))
        answer.headers.update({"Content-Encoding": "gzip", "Content-Length": str(len(answer.body))})
    return answer


def _times(fact: FieldFacts) -> dict[str, str]:
    return {"time": fact.time, "reference_time": fact.reference_time}


def _of_field(snapshot: Snapshot, fact: FieldFacts) -> dict[str, str]:
    headers = data_headers(snapshot.catalog, fact, "")
    return {name: value for name, value in headers.items() if name != "ETag"}


def _of_catalog(catalog: Catalog) -> dict[str, str]:
    return {"Data-Run": catalog.run, "Cache-Control": "no-cache"}


def catalog_json(catalog: Catalog) -> dict[str, Any]:
    """Return the catalog as values for JSON: products, times, layers and regions."""
    return {
        "title": catalog.settings.title,
        "attribution": catalog.attribution,
        "run": catalog.run,
        "loaded": catalog.loaded,
        "max_zoom": MAX_ZOOM,
        "products": [
            {
                "name": product.name,
                "title": product.title,
                "long_name": product.long_name,
                "units": product.units,
                "level": product.level,
                "levels": list(product.levels),
                "level_units": product.level_units,
                "bounds": product.bounds,
                "crs": product.crs,
                "proj4": product.proj4,
                "own_bounds": product.own_bounds,
                "times": [_times(each) for each in product.fields.values()],
                "default_time": product.default_time,
                "layers": [RASTER, *product.overlays],
            }
            for product in catalog.products.values()
        ],
        "regions": [dataclasses.asdict(region) for region in catalog.regions.values()],
        "size": catalog.size,
        "formats": list(catalog.suffixes),
    }


def tile_json(catalog: Catalog, product: ProductFacts, address: str) -> dict[str, Any]:
    """Return the description of the tiles of a product.

    Parameters
    ----------
    catalog : Catalog
        The catalog.
    product : ProductFacts
        The product.
    address : str
        Address of the service, without a slash at its end. If it names a run, the tiles are those of this run.
        Otherwise, they are always the newest ones, because programs read this description only once.
    """
    return {
        "tilejson": "3.0.0",
        "name": product.name,
        "description": product.long_name,
        "attribution": catalog.attribution,
        "scheme": "xyz",
        "tiles": [f"{address}/tiles/{quote(product.name)}/{{z}}/{{x}}/{{y}}.png"],
        "minzoom": 0,
        "maxzoom": MAX_ZOOM,
        "bounds": product.world_bounds,
    }
