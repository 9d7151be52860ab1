"""One connection of a client, with limits that uvicorn does not have: on requests, on time, and on unread answers.

A client that sends its request slowly, or reads its answer slowly, keeps a connection and memory. The connection is
closed after a time limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from regionplot.serve.shell import IS_CROWDED

HEAD_SECONDS = 10.0
"""Seconds in which the head of a request must arrive."""
MAX_HEAD = 65_536
"""Maximum size of the head of a request in bytes."""
READ_SECONDS = 60.0
"""Seconds in which a client must read `MIN_READ` bytes of its answer."""
MIN_READ = 65_536
MAX_UNREAD = 256 * 2**20
"""Maximum number of bytes that all clients together have not read yet."""
MAX_CONNECTIONS = 1000
"""Number of connections above which requests are answered with 503."""
_MORE_CONNECTIONS = 500
"""Number of further connections, above which new connections are closed at once."""
OWN_FILES = 500
"""Number of files that the front needs besides connections: for workers and their buffers."""
_HEADERS = b"content-length: 0\r\nconnection: close\r\nx-content-type-options: nosniff\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + _HEADERS
_CROWDED = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\n" + _HEADERS


class Connection(HttpToolsProtocol):
    """A connection of a client."""

    most = MAX_CONNECTIONS
    """Number of connections above which requests are answered with 503."""

    @classmethod
    def limited(cls, files: int) -> type[Connection]:
        """Return this class for a process that can open a number of files."""
        most = min(MAX_CONNECTIONS, (files - OWN_FILES) // 2 if files > 2 * OWN_FILES else files // 4)
        return type("LimitedConnection", (cls,), {"most": most})

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = None
        self._head_size = 0
        self._unread = 0
        """Bytes of the answer that waited for the client when it was last checked."""
        self.waits_since = float("inf")
        """Time of this check. Infinity if nothing waits for the client."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        if len(self.connections) > self.most + min(self.most, _MORE_CONNECTIONS):
            self._end_with(_CROWDED)
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers."""
        for timer in (self._head_timer, self._read_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass on what the client has sent, unless the head of its request is too large."""
        if self.transport.is_closing():
            return
        if self._is_idle:
            self._await_head()
        self._head_size += len(data)
        super().data_received(data)
        if self._head_size <= MAX_HEAD:
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._give_up()  # an answer here would look like the answer to the request before
        else:
            self._end_with(_TOO_LARGE)

    @property
    def _is_idle(self) -> bool:
        """True if the connection waits for a request after an answer."""
        return self._head_timer is None and self.cycle is not None and self.cycle.response_complete

    def _await_head(self) -> None:
        self._head_size = 0
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def on_headers_complete(self) -> None:
        """Start the request. A request with a body is the last one of its connection."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        self._head_size = 0
        if len(self.connections) > self.most:
            self.scope["state"][IS_CROWDED] = True
        super().on_headers_complete()
        if _announces_body(self.headers):
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:  # noqa: ARG002 (the interface of the parser)
        """Drop the body of a request. No route has one."""
        self._head_size = 0

    def on_response_complete(self) -> None:
        """Watch that the client reads the answer."""
        super().on_response_complete()
        self._watch_reading()

    def _watch_reading(self) -> None:
        if self._read_timer is not None:
            return
        self._unread = self.transport.get_write_buffer_size()
        self.waits_since = self.loop.time() if self._unread else float("inf")
        if self._unread:
            self._read_timer = self.loop.call_later(READ_SECONDS, self._check_reading)
        if self._unread > MIN_READ:
            _end_slowest(self.connections)

    def _check_reading(self) -> None:
        self._read_timer = None
        if self.transport.get_write_buffer_size() > max(0, self._unread - MIN_READ):
            self._give_up()
        else:
            self._watch_reading()

    def _end_with(self, answer: bytes) -> None:
        self.transport.write(answer)
        self.transport.close()

    def _give_up(self) -> None:
        """Close the connection at once, without waiting for the client."""
        self.transport.abort()


def _announces_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers)


def _end_slowest(connections: Iterable[Any]) -> None:
    """Close the connections that have waited longest for their clients, if too much is unread altogether."""
    waiting = sorted((each for each in connections if each.waits_since < float("inf")), key=lambda one: one.waits_since)
    total = sum(each.transport.get_write_buffer_size() for each in waiting)
    for each in waiting:
        if total <= MAX_UNREAD:
            return
        total -= each.transport.get_write_buffer_size()
        each.transport.abort()
