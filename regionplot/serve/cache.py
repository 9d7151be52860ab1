"""Keep encoded images in memory, up to a number of bytes."""

from __future__ import annotations

from collections import OrderedDict

from regionplot.serve.backend import Reply

_OVERHEAD = 512
"""Bytes that an entry needs besides its content."""


class ImageCache:
    """Images by digest. Those that were used last are kept.

    Parameters
    ----------
    size : int
        Maximum size in bytes. 0: nothing is kept.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[str, Reply] = OrderedDict()
        self.bytes = 0
        """Size of all entries in bytes."""

    def get(self, digest: str) -> Reply | None:
        """Return an image, or None if it is not kept."""
        found = self._kept.get(digest)
        if found is not None:
            self._kept.move_to_end(digest)
        return found

    def put(self, digest: str, reply: Reply) -> None:
        """Keep an image. An image that needs more than an eighth of the cache is not kept."""
        needed = len(reply.content) + _OVERHEAD
        if needed > self._size // 8 or digest in self._kept:
            return
        self._kept[digest] = reply
        self.bytes += needed
        while self.bytes > self._size:
            _, dropped = self._kept.popitem(last=False)
            self.bytes -= len(dropped.content) + _OVERHEAD

    def resize(self, size: int) -> None:
        """Change the maximum size. Drop all images."""
        self._size, self.bytes = size, 0
        self._kept.clear()
