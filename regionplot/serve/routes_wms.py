"""Routes of the Web Map Service."""

from __future__ import annotations

from starlette.routing import Route

from regionplot.serve.service import Service


def routes(service: Service) -> list[Route]:
    """Return the routes."""
    del service
    return []
