"""Routes of the Web Map Tile Service 1.0.0. Its tiles are those of OGC API - Tiles."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from regionplot.serve.catalog import FORMATS
from regionplot.serve.ogc_request import tile_drawing
from regionplot.serve.parameters import Parameters, RequestError, echo, named
from regionplot.serve.request import level_of
from regionplot.serve.service import Service, base_address, parameters_of
from regionplot.serve.tile_sets import tile_set
from regionplot.serve.times import find_time
from regionplot.serve.wmts_capabilities import wmts_capabilities

_BY_MEDIA_TYPE = {media: name for name, media in FORMATS.items()}
_XML = "text/xml"


def routes(service: Service) -> list[Route]:
    """Return the routes."""
    handler = _Wmts(service)
    return [Route(f"{start}/wmts", handler.answer) for start in ("", "/v/{run}")]


class _Wmts:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def answer(self, request: Request) -> Response:
        """Answer one request. Faults of the request are an XML document."""
        try:
            parameters = parameters_of(request)
            name = parameters.needed("request").lower()
            if parameters.text("service", "WMTS").upper() != "WMTS":
                raise RequestError("service must be WMTS", locator="service")
            if name == "getcapabilities":
                return self._capabilities(request)
            if name == "gettile":
                return await self._tile(request, parameters)
            raise RequestError(f"there is no request {echo(name)}", 400, "OperationNotSupported", "request")
        except RequestError as error:
            status = error.status if error.status != 404 else 400
            return Response(_report(error), status, media_type=_XML, headers={"Cache-Control": "no-store"})

    def _capabilities(self, request: Request) -> Response:
        catalog = self._service.snapshot(request.path_params.get("run", "")).catalog
        root = base_address(request, catalog.settings)
        headers = {"Cache-Control": "no-cache", "Vary": "Host", "Data-Run": catalog.run}
        return Response(wmts_capabilities(catalog, root), media_type=_XML, headers=headers)

    async def _tile(self, request: Request, parameters: Parameters) -> Response:
        run = request.path_params.get("run", "")
        snapshot = self._service.snapshot(run)
        product = parameters.key("layer", snapshot.catalog.products)
        if parameters.text("style", "default") != "default":
            raise RequestError("there is only the style default", locator="style")
        fact = find_time(product, parameters.text("time"), level_of(parameters))
        name = named(parameters.text("format", "image/png"), _BY_MEDIA_TYPE, "format")
        matrix, row, column = (parameters.needed(each) for each in ("tilematrix", "tilerow", "tilecol"))
        drawing = tile_drawing(product, fact, tile_set(parameters.needed("tilematrixset")), (matrix, row, column), name)
        return await self._service.image(request, snapshot, drawing, fact, is_pinned=bool(run))


def _report(error: RequestError) -> str:
    """Return an exception report as XML (OGC 06-121r3)."""
    locator = f" locator={quoteattr(error.locator)}" if error.locator else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ExceptionReport version="1.1.0" xmlns="http://www.opengis.net/ows/1.1">'
        f"<Exception exceptionCode={quoteattr(error.code)}{locator}>"
        f"<ExceptionText>{escape(error.message)}</ExceptionText></Exception></ExceptionReport>"
    )
