"""Import and prepare the renderer of a run while threads read the raster."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from regionplot.runs.jobs import Job
from regionplot.shared.data import SharedData
from regionplot.system.signals import interrupts_held

if TYPE_CHECKING:
    from regionplot.render.renderer import MapRenderer


@dataclass
class Ahead:
    """The work that a run does while threads read the raster."""

    jobs: Sequence[Job]
    """All maps of the run."""
    renderers: list[MapRenderer] = field(default_factory=list)
    """The renderer of the maps, if it could be made. Otherwise, the task of the run makes it, and raises the error."""

    def prepare(self, shared: SharedData) -> None:
        """Import the renderer, hash the source files, and read or draw the frame.

        Parameters
        ----------
        shared : SharedData
            The data of the run. Its cells may not have been read yet.
        """
        self.renderers.clear()  # of a raster that was replaced while it was read
        if shared.config.map.functions:  # functions of the user can use the cells
            return
        with suppress(Exception), interrupts_held():
            from regionplot.render.choose import make_renderer  # noqa: PLC0415 (imported while threads read)
            from regionplot.render.code import code_digest  # noqa: PLC0415

            renderer = make_renderer(shared, len(self.jobs))
            code_digest(shared)
            if all(job.previous is None for job in self.jobs):  # unchanged maps are kept without a frame
                renderer.prepare([job.region for job in self.jobs])
            self.renderers.append(renderer)
