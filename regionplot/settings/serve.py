"""The `[serve]` section."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from regionplot.settings.base import NOT_IN_DIGEST, Section, Text

_CODE = re.compile(r"[A-Z][A-Z0-9]{0,15}:[A-Z0-9]{1,15}", re.ASCII)
_UNIX = "unix:"
_MAX_PORT = 65_535


def _check_bind(text: str) -> str:
    if text.startswith(_UNIX) and len(text) > len(_UNIX):
        return text
    host, _, port = text.rpartition(":")
    if not (host and port.isdecimal() and int(port) <= _MAX_PORT):
        raise ValueError("write HOST:PORT, such as 127.0.0.1:8080, or unix:PATH")
    return text


def _check_root(text: str) -> str:
    if text and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", text, re.ASCII):
        raise ValueError("write a path such as /maps, without a slash at its end")
    return text


def _check_code(text: str) -> str:
    if not _CODE.fullmatch(text):
        raise ValueError("write AUTHORITY:CODE, such as EPSG:3857")
    return text


Seconds = Annotated[float, Field(gt=0, le=3600)]


class ServeSettings(Section):
    """The map service, `regionplot serve`."""

    bind: Annotated[Text, AfterValidator(_check_bind), NOT_IN_DIGEST] = "127.0.0.1:8080"
    """Address of the service: `HOST:PORT`, or `unix:PATH` for a Unix socket. The default accepts requests from this
    machine only."""
    workers: Annotated[Annotated[int, Field(ge=1, le=256)] | Literal["auto"], NOT_IN_DIGEST] = "auto"
    """Number of processes that draw; `auto` is one per usable CPU, but at least two."""
    queue: Annotated[int, Field(ge=1, le=10_000), NOT_IN_DIGEST] = 64
    """Number of requests that may wait for a worker. Further requests are answered with 503 at once."""
    timeout: Annotated[Seconds, NOT_IN_DIGEST] = 30
    """Time limit for drawing one image in seconds. A worker that takes longer is replaced."""
    keep: Annotated[float, Field(ge=1, le=3600), NOT_IN_DIGEST] = 10
    """Seconds for which old data stay available after an update, at the addresses that name their run."""
    drain: Annotated[Seconds, NOT_IN_DIGEST] = 10
    """Seconds that running requests may take after SIGTERM."""
    maps_per_worker: Annotated[int, Field(ge=1), NOT_IN_DIGEST] = 5000
    """Number of images after which a worker is replaced by a new process."""
    worker_memory: Annotated[int, Field(ge=32), NOT_IN_DIGEST] = 256
    """Memory of a worker in MB, without the shared data, above which the worker is replaced."""
    max_side: Annotated[int, Field(ge=64, le=20_000), NOT_IN_DIGEST] = 4096
    """Maximum width and height of an image in pixels."""
    max_pixels: Annotated[int, Field(ge=4096, le=100_000_000), NOT_IN_DIGEST] = 8_388_608
    """Maximum number of pixels of an image."""
    max_layers: Annotated[int, Field(ge=1, le=100), NOT_IN_DIGEST] = 16
    """Maximum number of layers in a request."""
    max_url: Annotated[int, Field(ge=256, le=65_536), NOT_IN_DIGEST] = 4096
    """Maximum length of the address of a request in bytes."""
    cache: Annotated[int, Field(ge=0, le=65_536), NOT_IN_DIGEST] = 64
    """Memory for encoded images in MB. 0: none are kept."""
    max_age: Annotated[float, Field(ge=0, le=31_536_000), NOT_IN_DIGEST] = 60
    """Seconds for which browsers and proxies may reuse an image without asking again."""
    projections: Annotated[
        tuple[Annotated[Text, AfterValidator(_check_code)], ...], Field(strict=False, max_length=32), NOT_IN_DIGEST
    ] = ("EPSG:3857", "EPSG:4326")
    """CRSs for which the layers are projected before the first request, and that capabilities list first."""
    cors: Annotated[tuple[Text, ...], Field(strict=False, max_length=32), NOT_IN_DIGEST] = ()
    """Origins whose pages may read the answers, such as `https://example.org`. `*`: all origins."""
    root_path: Annotated[Text, AfterValidator(_check_root), NOT_IN_DIGEST] = ""
    """Path under which a proxy offers the service, such as `/maps`."""
    trusted_proxies: Annotated[tuple[Text, ...], Field(strict=False, max_length=32), NOT_IN_DIGEST] = ()
    """Addresses of proxies whose `X-Forwarded-Proto` and `X-Forwarded-For` are used. `unix`: all clients of a Unix
    socket."""
    title: Annotated[Text, NOT_IN_DIGEST] = "regionplot"
    """Title of the service in capabilities and on the page."""
    attribution: Annotated[Text, NOT_IN_DIGEST] = ""
    """Source of the data, which pages show beside the maps. The default is the text of `[credit]`."""
