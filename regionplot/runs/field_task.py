"""Draw one map of one of several fields, in any process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from regionplot.errors import RegionplotError
from regionplot.render.canvases import Canvases
from regionplot.runs.jobs import Job, MapResult
from regionplot.runs.task import RenderTask
from regionplot.shared.slot import has_field, keep_fields


@dataclass
class FieldsTask:
    """Draw one region of one field and write its map.

    A worker that has not inherited the data of a field loads the data when it draws the first map of the field.
    """

    tasks: dict[str, RenderTask]
    """The task of each field, by name of the field."""
    canvases: Canvases | None = None
    """Sheets and frames for the renderers of all fields. They are not pickled."""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "canvases": None}

    def start_worker(self) -> None:
        """Set the policy of malloc. Called in each worker."""
        for task in self.tasks.values():
            task.start_worker()

    def load(self) -> None:
        """Draw the frames of the loaded fields. Forked workers inherit the data and the frames."""
        for name, task in self._with_canvases():
            if has_field(name):
                task.load()

    def load_for_workers(self) -> None:
        """Load all fields and draw their frames, in a process that only forks workers.

        If a field cannot be loaded, its maps fail, and report the error.
        """
        for _, task in self._with_canvases():
            with suppress(RegionplotError):
                task.load_for_workers()

    def _with_canvases(self) -> Iterator[tuple[str, RenderTask]]:
        """Yield the tasks with their names. They share their canvases."""
        self.canvases = self.canvases or Canvases()
        for name, task in self.tasks.items():
            task.canvases = self.canvases
            yield name, task

    def check_machine(self) -> None:
        """Check that a machine of a cluster has the inputs of all fields. Raise InputError if it does not."""
        for task in self.tasks.values():
            task.check_machine()
        keep_fields(self.tasks)

    def unload(self) -> None:
        """Free the shared data of this process. The next task loads them again."""
        for task in self.tasks.values():
            task.unload()

    def __call__(self, job: Job) -> MapResult:
        """Draw and write one map, or keep the map of an earlier run if nothing has changed."""
        return self.tasks[job.field.name](job)

    def with_maps(self, jobs: Iterable[Job]) -> FieldsTask:
        """Return the task without the fields of which no map must be drawn."""
        names = {job.field.name for job in jobs}
        tasks: Mapping[str, RenderTask] = {name: task for name, task in self.tasks.items() if name in names}
        return FieldsTask(dict(tasks), self.canvases)
