"""Run jobs in this process, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from regionplot.executors.base import Abilities, J, Outcome, Task, WorkerSettings, load_task, run_job
from regionplot.system.memory import frozen_objects


@dataclass
class SerialExecutor:
    """Run all jobs in this process, in order. There is always one worker, and no time limit."""

    workers: int = 1
    settings: WorkerSettings = field(default_factory=WorkerSettings)

    abilities: ClassVar[Abilities] = Abilities(
        shares_memory=True, survives_crashes=False, distributed=False, limits_time=False
    )
    Settings: ClassVar[type[WorkerSettings]] = WorkerSettings

    def __post_init__(self) -> None:
        self.workers = 1

    @classmethod
    def unavailable(cls) -> str | None:
        """Return None, because every program can run jobs in its own process."""
        return None

    def run(self, task: Task[J], jobs: Iterable[J]) -> Iterator[Outcome[J]]:
        """Apply a task to jobs in order; see `Executor.run`."""
        load_task(task)
        with frozen_objects():  # a task may collect garbage after each job
            for job in jobs:
                yield run_job(task, job)
