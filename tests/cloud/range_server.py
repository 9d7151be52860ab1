"""A small web server for objects in memory that answers requests for ranges of bytes, and that can fail on request."""

from __future__ import annotations

import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class RangeServer:
    """The objects by path, and what was asked for."""

    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path with query, and range of each request."""
    sent: int = 0
    """Bytes of all answers, without headers."""
    failures: list[int] = field(default_factory=list)
    """Status codes of the next answers to GET."""
    url: str = ""
    is_cut: bool = False
    """True: close each connection without an answer."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: RangeServer

    def do_GET(self) -> None:
        self._answer(is_head=False)

    def do_HEAD(self) -> None:
        self._answer(is_head=True)

    def _answer(self, *, is_head: bool) -> None:
        state = self.state
        if state.is_cut:
            self.close_connection = True
            self.connection.close()
            return
        wanted = self.headers.get("Range", "")
        state.requests.append((self.command, self.path, wanted))
        content = state.objects.get(self.path.partition("?")[0])
        if not is_head and state.failures:
            self._send(state.failures.pop(0), b"", {})
        elif content is None:
            self._send(404, b"", {})
        else:
            self._send_part(content, wanted, is_head=is_head)

    def _send_part(self, content: bytes, wanted: str, *, is_head: bool) -> None:
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "Accept-Ranges": "bytes"}
        if not wanted:
            self._send(200, content, headers, is_head=is_head)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(content)), len(content) - 1)
        if start >= len(content):
            self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            return
        headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        self._send(206, content[start : end + 1], headers, is_head=is_head)

    def _send(self, code: int, part: bytes, headers: dict[str, str], *, is_head: bool = False) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(part))}.items():
            self.send_header(name, value)
        self.end_headers()
        if not is_head:
            self.state.sent += len(part)
            self.wfile.write(part)

    def log_message(self, *_: Any) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128  # GDAL opens many connections at once

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connections: list[socket.socket] = []

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.append(request)
        super().process_request(request, client_address)

    def handle_error(self, *_: Any) -> None:
        """Print nothing if GDAL closes a connection early."""

    def end(self) -> None:
        """Close the connections that GDAL keeps open, so that all threads end. Later tests fork."""
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()  # waits for the threads


@contextmanager
def range_server() -> Iterator[RangeServer]:
    """Yield a running server on the loopback address."""
    state = RangeServer()
    handler = type("Handler", (_Handler,), {"state": state})
    listener = _Server(("127.0.0.1", 0), handler)
    state.url = f"http://127.0.0.1:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        listener.shutdown()
        thread.join()
        listener.end()
