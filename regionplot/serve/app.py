"""The application: routes and error answers. Each module `routes_*` adds the routes of one interface."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from regionplot.serve import routes_maps, routes_ogc, routes_page, routes_status, routes_wms, routes_wmts
from regionplot.serve.backend import Backend, BusyError, DrawingFailedError
from regionplot.serve.parameters import RequestError
from regionplot.serve.service import Service
from regionplot.serve.sharing import ClientGoneError
from regionplot.serve.shell import Shell
from regionplot.settings.serve import ServeSettings

logger = logging.getLogger(__name__)
Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]


def make_app(
    backend: Backend, settings: ServeSettings, log: Callable[[str], None], lifespan: Lifespan | None = None
) -> Shell:
    """Return the ASGI application.

    Parameters
    ----------
    backend : Backend
        The processes that draw.
    settings : ServeSettings
        The settings.
    log : callable
        Function that writes one line of the access log.
    lifespan : callable, optional
        Function that returns a context manager. The application runs within the context.
    """
    service = Service(backend, settings)
    routes = [
        *routes_page.routes(),
        *routes_status.routes(service),
        *routes_maps.routes(service),
        *routes_wms.routes(service),
        *routes_wmts.routes(service),
        *routes_ogc.routes(service),
    ]
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={
            RequestError: _refused,
            BusyError: _busy,
            DrawingFailedError: _failed,
            ClientGoneError: _gone,
            HTTPException: _http_error,
            Exception: _unexpected,
        },
    )
    app.router.redirect_slashes = False  # a redirect would name the host that the client has sent
    return Shell(app, settings, service.metrics, log)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError), "the handler is for this class"
    return JSONResponse(
        {"error": error.message, "code": error.code}, error.status, headers={"Cache-Control": "no-store"}
    )


async def _busy(_request: Request, error: Exception) -> Response:
    seconds = error.seconds if isinstance(error, BusyError) else 1
    headers = {"Retry-After": str(seconds), "Cache-Control": "no-store"}
    return JSONResponse({"error": "the service is busy; try again later"}, 503, headers=headers)


async def _failed(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"error": "the image could not be drawn"}, 500, headers={"Cache-Control": "no-store"})


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=499)


async def _http_error(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    reason = "there is no such page" if status == 404 else "the request is not valid"
    return JSONResponse({"error": reason}, status, headers={"Cache-Control": "no-store"})


async def _unexpected(_request: Request, error: Exception) -> Response:
    logger.error("a request failed", exc_info=error)
    return JSONResponse({"error": "internal error"}, 500, headers={"Cache-Control": "no-store"})
