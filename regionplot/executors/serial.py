"""Run jobs in this process, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from regionplot.executors.base import J, Outcome, Task, prepare, run_job


class SerialExecutor:
    """All jobs in this process, one after the other, in order; without time limits."""

    workers = 1

    def run(self, task: Task[J], jobs: Iterable[J]) -> Iterator[Outcome[J]]:
        """Apply a task to jobs."""
        prepare(task)
        for job in jobs:
            yield run_job(task, job)
