"""Count the requests to servers, and the bytes that they returned."""

from __future__ import annotations

from typing import NamedTuple


class NetworkUse(NamedTuple):
    """Requests to servers, and what they returned."""

    requests: int = 0
    bytes: int = 0

    def since(self, before: NetworkUse) -> NetworkUse:
        """Return the use after an earlier moment."""
        return NetworkUse(self.requests - before.requests, self.bytes - before.bytes)

    def plus(self, other: NetworkUse) -> NetworkUse:
        """Return the sum of two uses."""
        return NetworkUse(self.requests + other.requests, self.bytes + other.bytes)

    def __str__(self) -> str:
        """Return both numbers for a message."""
        return f"{self.requests:,} requests, {self.bytes / 1e6:,.1f} MB"
