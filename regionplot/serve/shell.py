"""The outer layer of the application: methods, length of addresses, security headers, CORS, access log and counts."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from regionplot.serve.metrics import Metrics
from regionplot.settings.serve import ServeSettings

Message = dict[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]
POLICY = (
    "default-src 'none'; img-src 'self' data: blob:; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Content security policy of all answers."""
_SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_EXPOSED = b"Data-Run, Data-Time, Data-Reference-Time, ETag, Last-Modified, Server-Timing"
_METHODS = ("GET", "HEAD")
_MORE_HEADERS = {
    405: [(b"allow", b"GET, HEAD")],
    503: [(b"retry-after", b"5"), (b"cache-control", b"no-store"), (b"connection", b"close")],
}
"""Further headers of refusals by status."""
_UNKNOWN = "unknown"
_OWN_PATHS = frozenset({"legend", "ogc", "page", "regions", "tiles", "v"})
"""First parts of paths of the service that have more parts. A proxy must remove its path if it begins like this."""
IS_CROWDED = "is_crowded"
"""Key in the state of a request that arrives while there are too many connections."""


class Shell:
    """An ASGI application around another one.

    Parameters
    ----------
    app : callable
        The inner application.
    settings : ServeSettings
        Bounds, and origins for CORS.
    metrics : Metrics
        Counts.
    log : callable
        Function that writes one line of the access log.
    """

    def __init__(self, app: App, settings: ServeSettings, metrics: Metrics, log: Callable[[str], None]) -> None:
        self._app, self._settings, self._metrics, self._log = app, settings, metrics, log

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """Answer one request, or pass on another event."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = self._without_root(scope)
        answer = _Counted(send, _SECURITY + self._cors(scope))
        start = time.perf_counter()
        try:
            refusal = self._refusal(scope)
            if refusal is None:
                await self._app(scope, receive, answer)
            else:
                await _refuse(answer, *refusal)
        finally:
            self._finish(scope, answer, time.perf_counter() - start)

    def _without_root(self, scope: Message) -> Message:
        """Remove the path of the proxy from the path of a request, because some proxies keep it."""
        root, path = self._settings.root_path, scope["path"]
        if not root or root.split("/")[1] in _OWN_PATHS or not path.startswith(f"{root}/"):
            return scope
        return {**scope, "path": path.removeprefix(root)}

    def _refusal(self, scope: Message) -> tuple[int, str] | None:
        """Return the status and the reason if a request is refused before its address is read."""
        if scope.get("state", {}).get(IS_CROWDED):
            return 503, "there are too many connections; try again later"
        if scope["method"] not in _METHODS:
            return 405, "use GET"
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > self._settings.max_url:
            return 414, "the address is too long"
        return None

    def _cors(self, scope: Message) -> tuple[tuple[bytes, bytes], ...]:
        if not self._settings.cors:
            return ()
        origin = _header(scope, b"origin")
        if "*" in self._settings.cors:
            return ((b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _EXPOSED))
        vary = ((b"vary", b"Origin"),)
        if origin.decode("latin-1") not in self._settings.cors:
            return vary
        return (*vary, (b"access-control-allow-origin", origin), (b"access-control-expose-headers", _EXPOSED))

    def _finish(self, scope: Message, answer: _Counted, seconds: float) -> None:
        route = scope.get("route")
        name = getattr(route, "path", _UNKNOWN)
        self._metrics.count_request(name, answer.status, answer.size, seconds)
        client = scope.get("client") or ("", 0)
        line = {
            "time": round(time.time(), 3),
            "client": client[0],
            "method": scope["method"][:16],
            "path": scope["path"][: self._settings.max_url],
            "query": scope["query_string"][: self._settings.max_url].decode("latin-1"),
            "status": answer.status,
            "bytes": answer.size,
            "ms": round(seconds * 1000, 1),
            "timing": answer.timing,
        }
        self._log(json.dumps(line, separators=(",", ":")))


class _Counted:
    """Send an answer with further headers, and count its bytes."""

    def __init__(self, send: Any, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self._send, self._headers = send, headers
        self.status, self.size, self.timing = 499, 0, ""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), *self._headers]
            self.timing = next((value.decode("latin-1") for name, value in headers if name == b"server-timing"), "")
            message = {**message, "headers": headers}
        elif message["type"] == "http.response.body":
            self.size += len(message.get("body", b""))
        await self._send(message)


async def _refuse(send: _Counted, status: int, reason: str) -> None:
    body = json.dumps({"error": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += _MORE_HEADERS.get(status, ())
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _header(scope: Message, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")
