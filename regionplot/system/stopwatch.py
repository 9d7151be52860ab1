"""Measure the time of each stage."""

from __future__ import annotations

import time


class Stopwatch:
    """Add up the wall time of named stages.

    Examples
    --------
    >>> watch = Stopwatch()
    >>> watch.lap("sample")
    >>> watch.lap("draw")
    >>> list(watch.seconds)
    ['sample', 'draw']
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Add the time since the previous lap, or since the start, to a stage."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now

    def move(self, seconds: float, source: str, target: str) -> None:
        """Move time from one stage to another, for example because another process has measured it."""
        self.seconds[source] = self.seconds.get(source, 0.0) - seconds
        self.seconds[target] = self.seconds.get(target, 0.0) + seconds
