"""A web server that answers requests for ranges of bytes of the files in a folder, as object storage does."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any


class _Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        path = Path(self.translate_path(self.path))
        if path.is_file():
            self._begin(200, path.stat().st_size, {})
        else:
            self._begin(404, 0, {})

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self._begin(404, 0, {})
            return
        size = path.stat().st_size
        first, _, last = self.headers.get("Range", f"bytes=0-{size - 1}").removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or size - 1), size - 1)
        with path.open("rb") as file:
            file.seek(start)
            content = file.read(end - start + 1)
        self._begin(206, len(content), {"Content-Range": f"bytes {start}-{end}/{size}"})
        self.wfile.write(content)

    def _begin(self, code: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {"Accept-Ranges": "bytes", "ETag": '"1"', "Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Yield the address of a server of the files in a folder."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder))) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
