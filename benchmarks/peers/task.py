"""Read the task of a peer, and run its script. Standard library only, because several Python versions import this.

``SCRIPT prepare TASK FOLDER`` runs before the measurement. ``SCRIPT draw TASK FOLDER`` is measured.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Map(NamedTuple):
    """One map. Limits are xmin, ymin, xmax, ymax in meters, in the CRS of the raster."""

    name: str
    title: str
    region: list[float]
    """Limits of the region in the table."""
    panel: list[float]
    """Limits of regionplot's map panel."""
    sheet: list[float]
    """Limits of the whole sheet at the scale of the panel, for programs whose map fills the image."""


class Task:
    """A task, with its keys as attributes. `peers.py` writes the file of the task."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)
        self.maps = [Map(**values) for values in self.maps]

    def pixels(self, points: float) -> float:
        """Return a length in pixels. `points` is the length in points."""
        return points * self.dpi / 72


def run(draw: Callable[[Task, Path], None], prepare: Callable[[Task, Path], None] | None = None) -> None:
    """Run the script: `prepare` or `draw`, as the command line says."""
    verb, path, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    task = Task(json.loads(path.read_text(encoding="utf-8")))
    if verb == "draw":
        draw(task, folder)
    elif prepare is not None:
        prepare(task, folder)


def fork(task: Task, draw: Callable[[list[Map]], None]) -> None:
    """Draw the maps in n forked processes. Each process draws every nth map, so that all have similar work."""
    children = []
    for first in range(task.workers):
        child = os.fork()
        if not child:
            status = 1
            try:
                draw(task.maps[first :: task.workers])
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    if any(os.waitpid(child, 0)[1] for child in children):
        sys.exit("a process failed")
