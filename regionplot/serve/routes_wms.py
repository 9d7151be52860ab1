"""Routes of the Web Map Service: GetCapabilities, GetMap, GetFeatureInfo and GetLegendGraphic."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from regionplot.serve.backend import Snapshot
from regionplot.serve.catalog import FieldFacts
from regionplot.serve.error_image import error_image
from regionplot.serve.parameters import Parameters, RequestError, echo, named
from regionplot.serve.request import Drawing
from regionplot.serve.service import Service, base_address, parameters_of
from regionplot.serve.wms_capabilities import capabilities, exception_report
from regionplot.serve.wms_request import version_of, wms_legend, wms_map, wms_value

_XML = {"1.3.0": "text/xml", "1.1.1": "application/vnd.ogc.se_xml"}
Facts = dict[str, Any]
Handler = Callable[[Request, Snapshot, Parameters], Awaitable[Response]]


def routes(service: Service) -> list[Route]:
    """Return the routes."""
    handler = _Wms(service)
    return [Route("/wms", handler.answer), Route("/v/{run}/wms", handler.answer)]


class _Wms:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._requests: dict[str, Handler] = {
            "getcapabilities": self._capabilities,
            "getmap": self._map,
            "getfeatureinfo": self._value,
            "getlegendgraphic": self._legend,
        }

    async def answer(self, request: Request) -> Response:
        """Answer one request. Faults of the request are an XML document, or an image if the request asks for it."""
        snapshot = self._service.snapshot(request.path_params.get("run", ""))
        parameters = Parameters()
        try:
            parameters = parameters_of(request)
            return await self._handler(parameters)(request, snapshot, parameters)
        except RequestError as error:
            kind = parameters.text("exceptions").upper().rpartition("SE_")[2]
            if kind in ("INIMAGE", "BLANK"):
                message = error.message if kind == "INIMAGE" else ""
                image = error_image(message, parameters, snapshot.catalog.settings)
                return Response(image, media_type="image/png", headers={"Cache-Control": "no-store"})
            version = version_of(parameters)
            status = error.status if error.status != 404 else 400
            return Response(exception_report(error, version), status, media_type=_XML[version])

    def _handler(self, parameters: Parameters) -> Handler:
        name = parameters.needed("request").lower()
        if parameters.text("service", "WMS").upper() != "WMS":
            raise RequestError("service must be WMS", locator="service")
        if name not in self._requests:
            raise RequestError(f"there is no request {echo(name)}", 400, "OperationNotSupported", "request")
        return self._requests[name]

    async def _capabilities(self, request: Request, snapshot: Snapshot, parameters: Parameters) -> Response:
        address = f"{base_address(request, snapshot.catalog.settings)}/wms?"
        version = version_of(parameters)
        media_type = "text/xml" if version == "1.3.0" else "application/vnd.ogc.wms_xml"
        headers = {"Cache-Control": "no-cache", "Vary": "Host", "Data-Run": snapshot.catalog.run}
        return Response(capabilities(snapshot.catalog, version, address), media_type=media_type, headers=headers)

    async def _map(self, request: Request, snapshot: Snapshot, parameters: Parameters) -> Response:
        found = wms_map(parameters, snapshot.catalog)
        return await self._image(request, snapshot, found.drawing, found.fact)

    async def _legend(self, request: Request, snapshot: Snapshot, parameters: Parameters) -> Response:
        fact, drawing = wms_legend(parameters, snapshot.catalog)
        return await self._image(request, snapshot, drawing, fact)

    async def _image(self, request: Request, snapshot: Snapshot, drawing: Drawing, fact: FieldFacts) -> Response:
        is_pinned = bool(request.path_params.get("run", ""))
        return await self._service.image(request, snapshot, drawing, fact, is_pinned=is_pinned)

    async def _value(self, _request: Request, snapshot: Snapshot, parameters: Parameters) -> Response:
        found = wms_value(parameters, snapshot.catalog)
        media_type = parameters.text("info_format", "text/plain")
        named(media_type, _WRITERS, "format", "InvalidFormat")
        answer = json.loads((await snapshot.draw(found.drawing)).content)
        facts: Facts = {"layer": found.product.name, "units": answer["units"]}
        if found.facts[0].level:
            facts["level"] = f"{found.facts[0].level} {found.product.level_units}".strip()
        rows = [{"time": fact.time, "value": value} for fact, value in zip(found.facts, answer["values"], strict=True)]
        return _WRITERS[media_type]({**facts, "values": rows} if found.is_series else {**facts, **rows[0]})


def _text_info(facts: Facts) -> Response:
    """Return facts about a point as lines: `name: value`, and `time: value` for a series."""
    return PlainTextResponse("".join(f"{name}: {value}\n" for name, value in _shown(facts)))


def _html_info(facts: Facts) -> Response:
    """Return facts about a point as a table."""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in _shown(facts))
    return HTMLResponse(f"<!doctype html><meta charset=utf-8><title>Value</title><table>{rows}</table>")


def _shown(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield names and values as texts."""
    for name, value in facts.items():
        if name == "values":
            yield from (pair for row in value for pair in _shown({row["time"]: row["value"]}))
        elif value != "":
            yield name, "no data" if value is None else str(value)


_WRITERS: Mapping[str, Callable[[Facts], Response]] = {
    "application/json": JSONResponse,
    "application/geo+json": JSONResponse,
    "text/plain": _text_info,
    "text/html": _html_info,
}
"""Writers of facts about a point by media type."""
