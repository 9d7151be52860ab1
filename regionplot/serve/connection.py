"""One connection of a client, with limits that uvicorn does not have: size and time of the head, and time to read.

A client that sends its request slowly, or reads its answer slowly, keeps a connection and memory. The connection is
closed after a time limit.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0
"""Seconds in which the head of a request must arrive."""
MAX_HEAD = 65_536
"""Maximum size of the head of a request in bytes."""
READ_SECONDS = 60.0
"""Seconds in which a client must read a part of its answer."""
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n"
    b"x-content-type-options: nosniff\r\n\r\n"
)


class Connection(HttpToolsProtocol):
    """A connection of a client."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = None
        self._head_size = 0
        self._unread = 0
        """Bytes of the answer that waited for the client when it was last checked."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers."""
        for timer in (self._head_timer, self._read_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass on what the client has sent, if the head of its request is not too large."""
        if self._is_idle:
            self._await_head()
        if self._head_timer is not None:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD:
                self.transport.write(_TOO_LARGE)
                self.transport.close()
                return
        super().data_received(data)

    @property
    def _is_idle(self) -> bool:
        """True if the connection waits for a request after an answer."""
        return self._head_timer is None and self.cycle is not None and self.cycle.response_complete

    def _await_head(self) -> None:
        self._head_size = 0
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def on_headers_complete(self) -> None:
        """Start the request."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Watch that the client reads the answer."""
        super().on_response_complete()
        self._watch_reading()

    def _watch_reading(self) -> None:
        unread = self.transport.get_write_buffer_size()
        if unread and self._read_timer is None:
            self._unread = unread
            self._read_timer = self.loop.call_later(READ_SECONDS, self._check_reading)

    def _check_reading(self) -> None:
        self._read_timer = None
        if self.transport.get_write_buffer_size() >= self._unread:
            self._give_up()
        else:
            self._watch_reading()

    def _give_up(self) -> None:
        """Close the connection at once, without waiting for the client."""
        self.transport.abort()
