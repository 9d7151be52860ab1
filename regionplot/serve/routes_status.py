"""Routes for operators: health, readiness and metrics."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from regionplot.serve.service import Service

_NEVER = {"Cache-Control": "no-store"}


def routes(service: Service) -> list[Route]:
    """Return the routes."""

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers=_NEVER)

    async def ready(_request: Request) -> Response:
        catalog = service.snapshot().catalog
        times = {name: product.default_time for name, product in catalog.products.items()}
        return JSONResponse({"status": "ready", "run": catalog.run, "times": times}, headers=_NEVER)

    async def metrics(_request: Request) -> Response:
        gauges = dict(service.backend.gauges())
        if service.backend.current is not None:
            gauges["data_age_seconds"] = time.time() - service.backend.current.catalog.modified
        gauges["cache_bytes"] = service.cache.bytes
        text = service.metrics.text(gauges)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4", headers=_NEVER)

    return [Route("/health", health), Route("/ready", ready), Route("/metrics", metrics)]
