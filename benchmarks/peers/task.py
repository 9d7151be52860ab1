"""What each peer is told, and what most of them share: standard library only, for several Pythons read this.

``SCRIPT prepare TASK FOLDER`` is run before anything is measured; ``SCRIPT draw TASK FOLDER`` is what is measured.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Map(NamedTuple):
    """One map; limits are xmin, ymin, xmax, ymax in metres on the raster's plane."""

    name: str
    title: str
    region: list[float]
    """The limits in the table."""
    panel: list[float]
    """What the panel of regionplot's sheet shows."""
    sheet: list[float]
    """What the whole sheet would show at the panel's scale: for tools that draw nothing but the map."""


class Task:
    """The task in a file, with its keys as attributes; `peers.py` writes it."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)
        self.maps = [Map(**values) for values in self.maps]

    def pixels(self, points: float) -> float:
        """Points on this sheet in pixels."""
        return points * self.dpi / 72


def run(draw: Callable[[Task, Path], None], prepare: Callable[[Task, Path], None] | None = None) -> None:
    """Do what the command line asks for."""
    verb, path, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    task = Task(json.loads(path.read_text(encoding="utf-8")))
    if verb == "draw":
        draw(task, folder)
    elif prepare is not None:
        prepare(task, folder)


def fork(task: Task, draw: Callable[[list[Map]], None]) -> None:
    """Have forked processes each draw every n-th map, so that long and short ones fall on all of them."""
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
