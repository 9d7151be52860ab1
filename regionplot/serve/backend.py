"""Interface of the processes that draw, as the front uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from regionplot.serve.catalog import Catalog
from regionplot.serve.metatiles import MetatileRequest
from regionplot.serve.request import Drawing


@dataclass(frozen=True)
class Reply:
    """A drawn image, or another content."""

    content: bytes
    media_type: str
    stages: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each stage. `queue` is the time before a worker began."""
    parts: tuple[int, ...] = ()
    """Sizes of the contents of several tiles, which follow one another. Empty: there is one content."""

    def split(self) -> list[Reply]:
        """Return one reply for each part."""
        replies, start = [], 0
        for size in self.parts:
            replies.append(Reply(self.content[start : start + size], self.media_type, self.stages))
            start += size
        return replies


class BusyError(Exception):
    """The queue is full, or no data are loaded yet. The client should try again."""

    def __init__(self, seconds: int = 1) -> None:
        super().__init__("busy")
        self.seconds = seconds
        """Seconds after which the client should try again."""


class DrawingFailedError(Exception):
    """A drawing failed for a reason that is not the client's."""


class Snapshot(Protocol):
    """One generation, as the front sees it."""

    @property
    def catalog(self) -> Catalog:
        """The products, times, layers and regions that requests can name."""
        ...

    async def draw(self, drawing: Drawing | MetatileRequest) -> Reply:
        """Draw a request. If the coroutine is cancelled while the request waits, the request is dropped.

        Raises
        ------
        RequestError
            If the request cannot be drawn.
        BusyError
            If too many requests wait.
        DrawingFailedError
            If the worker died, took too long or failed.
        """
        ...


class Backend(Protocol):
    """The processes that draw."""

    @property
    def current(self) -> Snapshot | None:
        """The newest generation. None before the first data are loaded."""
        ...

    def find(self, run: str) -> Snapshot | None:
        """Return the generation of a run, if its data are still loaded."""
        ...

    def gauges(self) -> Mapping[str, float]:
        """Return numbers for the metrics, by name."""
        ...
