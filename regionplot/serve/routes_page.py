"""Routes of the page: a viewer for browsers. Its files are read once, and requests name them only by key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from regionplot.serve.parameters import named
from regionplot.serve.service import accepts_gzip, compress, matches

_INDEX = "index.html"
_MEDIA_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}


@dataclass(frozen=True)
class PageFile:
    """One file of the page."""

    content: bytes
    media_type: str
    digest: str
    compressed: bytes
    """The content as gzip."""


def page_files() -> dict[str, PageFile]:
    """Return the files of the page by name."""
    found = {}
    for path in files("regionplot.serve").joinpath("page").iterdir():
        suffix = path.name[path.name.rfind(".") :]
        if path.is_file() and suffix in _MEDIA_TYPES:
            content = path.read_bytes()
            found[path.name] = _page_file(content, _MEDIA_TYPES[suffix])
    return found


def _page_file(content: bytes, media_type: str) -> PageFile:
    return PageFile(content, media_type, hashlib.sha256(content).hexdigest()[:32], compress(content))


def routes() -> list[Route]:
    """Return the routes."""
    pages = page_files()

    async def index(request: Request) -> Response:
        return _answer(request, pages[_INDEX])

    async def file(request: Request) -> Response:
        return _answer(request, named(request.path_params["name"], pages, "file"))

    return [Route("/", index), Route("/page/{name}", file)]


def _answer(request: Request, page: PageFile) -> Response:
    headers = {"ETag": f'"{page.digest}"', "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if matches(request.headers.get("if-none-match", ""), page.digest):
        return Response(status_code=304, headers=headers)
    if accepts_gzip(request):
        headers["Content-Encoding"] = "gzip"
    content = page.compressed if accepts_gzip(request) else page.content
    return Response(content, media_type=page.media_type, headers=headers)
