"""Answer requests: look up, compare digests, draw or take from the cache, and name the data in the headers."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from email.utils import formatdate
from functools import partial
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from regionplot.serve.backend import Backend, BusyError, Reply, Snapshot
from regionplot.serve.cache import ImageCache
from regionplot.serve.catalog import Catalog, FieldFacts
from regionplot.serve.metatiles import Metatile
from regionplot.serve.metrics import Metrics
from regionplot.serve.parameters import Parameters, RequestError
from regionplot.serve.request import Drawing, digest_of
from regionplot.serve.sharing import SharedDrawings
from regionplot.settings.serve import ServeSettings

_MEGABYTE = 2**20
_HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?", re.ASCII)
_GZIP = re.compile(r"gzip(\s*;\s*q=(1(\.0*)?|0?\.0*[1-9]\d*))?", re.ASCII)
_FOREVER = "public, max-age=31536000, immutable"
RUN_HEADER, TIME_HEADER, MODEL_HEADER = "Data-Run", "Data-Time", "Data-Reference-Time"


class Service:
    """The functions that all routes share.

    Parameters
    ----------
    backend : Backend
        The processes that draw.
    settings : ServeSettings
        The settings at the start.
    """

    def __init__(self, backend: Backend, settings: ServeSettings) -> None:
        self.backend, self.metrics = backend, Metrics()
        self.cache = ImageCache(settings.cache * _MEGABYTE)
        self._shared = SharedDrawings()

    def snapshot(self, run: str = "") -> Snapshot:
        """Return the newest generation, or that of a run.

        Raises
        ------
        BusyError
            If no data are loaded yet.
        RequestError
            If the data of the run are no longer loaded.
        """
        if self.backend.current is None:
            raise BusyError(2)
        found = self.backend.find(run) if run else self.backend.current
        if found is None:
            raise RequestError("the data of this run are no longer loaded; use the latest run", 410, "Gone", "run")
        return found

    async def image(
        self,
        request: Request,
        snapshot: Snapshot,
        drawing: Drawing,
        fact: FieldFacts,
        *,
        is_pinned: bool = False,
        metatile: Metatile | None = None,
    ) -> Response:
        """Return the answer to a drawing request: 304, from the cache, or drawn now.

        Parameters
        ----------
        request : Request
            The request.
        snapshot : Snapshot
            The generation in which the drawing request was looked up.
        drawing : Drawing
            What to draw.
        fact : FieldFacts
            The field that is drawn.
        is_pinned : bool
            True if the address names the run, so that the answer never changes.
        metatile : Metatile, optional
            The metatile of the drawing request, if it is a tile that must be drawn together with its neighbors.
        """
        digest = digest_of(snapshot.catalog.run, drawing)
        headers = data_headers(snapshot.catalog, fact, digest, is_pinned=is_pinned)
        if matches(request.headers.get("if-none-match", ""), digest):
            return Response(status_code=304, headers=headers)
        reply = self.cache.get(digest)
        if reply is not None:
            self.metrics.count("cache_hits")
            headers["Server-Timing"] = "cache"
        else:
            reply = await self._drawn(request, snapshot, drawing, digest, metatile)
            headers["Server-Timing"] = server_timing(reply.stages)
        return Response(reply.content, media_type=reply.media_type, headers=headers)

    async def _drawn(
        self, request: Request, snapshot: Snapshot, drawing: Drawing, digest: str, metatile: Metatile | None
    ) -> Reply:
        if metatile is None:
            draw = partial(self._draw, snapshot, drawing, digest)
            return await self._shared.reply(digest, draw, request.receive)
        whole = digest_of(snapshot.catalog.run, metatile.request)
        reply = await self._shared.reply(whole, partial(self._draw_metatile, snapshot, metatile), request.receive)
        return reply.split()[metatile.position]

    async def _draw_metatile(self, snapshot: Snapshot, metatile: Metatile) -> Reply:
        reply = await snapshot.draw(metatile.request)
        for tile, part in zip(metatile.tiles, reply.split(), strict=True):
            self.cache.put(digest_of(snapshot.catalog.run, tile), part)
        self.metrics.add_stages(reply.stages)
        return reply

    async def _draw(self, snapshot: Snapshot, drawing: Drawing, digest: str) -> Reply:
        reply = await snapshot.draw(drawing)
        self.cache.put(digest, reply)
        self.metrics.add_stages(reply.stages)
        return reply


def data_headers(catalog: Catalog, fact: FieldFacts, digest: str, *, is_pinned: bool = False) -> dict[str, str]:
    """Return the headers that name the data of an answer, and say how long it may be reused."""
    headers = {
        "ETag": f'"{digest}"',
        "Cache-Control": _FOREVER if is_pinned else f"public, max-age={catalog.settings.max_age:.0f}",
        "Last-Modified": formatdate(fact.modified or catalog.loaded, usegmt=True),
        RUN_HEADER: catalog.run,
    }
    times = {TIME_HEADER: fact.time, MODEL_HEADER: fact.reference_time}
    return headers | {name: time for name, time in times.items() if time}


def matches(condition: str, digest: str) -> bool:
    """Return True if the header `If-None-Match` names a digest."""
    tags = (tag.strip().removeprefix("W/") for tag in condition.split(","))
    return any(tag in ("*", f'"{digest}"') for tag in tags)


def accepts_gzip(request: Request) -> bool:
    """Return True if the client understands answers that are compressed with gzip."""
    given = request.headers.get("accept-encoding", "").lower()
    return any(_GZIP.fullmatch(part.strip()) for part in given.split(","))


def compress(content: bytes) -> bytes:
    """Return bytes as gzip. Equal bytes give equal results."""
    return gzip.compress(content, 6, mtime=0)


def server_timing(stages: Mapping[str, float]) -> str:
    """Return the header `Server-Timing`, in milliseconds."""
    return ", ".join(f"{stage};dur={seconds * 1000:.1f}" for stage, seconds in stages.items())


def root_path(request: Request, settings: ServeSettings) -> str:
    """Return the path of the service as the client sees it: the path of the proxy, then that of a mounted app."""
    return f"{settings.root_path}{quote(request.scope.get('root_path', ''))}"


def base_address(request: Request, settings: ServeSettings) -> str:
    """Return the address of the service as the client sees it, without a slash at its end.

    If the request names a run, the address names the run, too.

    The host comes from the client, so answers with this address are never kept for other clients. A host that is not a
    plain name or number is replaced.
    """
    host = request.headers.get("host", "")
    scheme, run = request.scope.get("scheme", "http"), request.path_params.get("run", "")
    root, pinned = root_path(request, settings), f"/v/{run}" if run else ""
    return f"{scheme}://{host if _HOST.fullmatch(host) else 'localhost'}{root}{pinned}"


def parameters_of(request: Request) -> Parameters:
    """Return the parameters of the address of a request."""
    return Parameters.of(request.query_params.multi_items())
