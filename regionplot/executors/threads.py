"""Run jobs in threads of this process, for tasks that release the GIL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar

from regionplot.executors.base import Abilities, J, Outcome, Task, WorkerSettings, load_task, run_job
from regionplot.system.memory import frozen_objects
from regionplot.system.threads import thread_pool

QUEUED_PER_WORKER = 2
"""Maximum number of jobs per thread that are queued, running, or finished but not yet returned to the caller."""


@dataclass
class ThreadExecutor:
    """Run jobs in threads. Python cannot stop a thread, so there is no time limit."""

    workers: int
    settings: WorkerSettings = field(default_factory=WorkerSettings)

    abilities: ClassVar[Abilities] = Abilities(
        shares_memory=True, survives_crashes=False, distributed=False, limits_time=False
    )
    Settings: ClassVar[type[WorkerSettings]] = WorkerSettings

    @classmethod
    def unavailable(cls) -> str | None:
        """Return None, because every program can start threads."""
        return None

    def run(self, task: Task[J], jobs: Iterable[J]) -> Iterator[Outcome[J]]:
        """Apply a task to jobs in threads; see `Executor.run`."""
        load_task(task)
        waiting = iter(jobs)
        running: set[Future[Outcome[J]]] = set()
        with frozen_objects(), thread_pool(self.workers) as pool:  # a task may collect garbage after each job
            while True:
                room = QUEUED_PER_WORKER * self.workers - len(running)
                running |= {pool.submit(run_job, task, job) for job in islice(waiting, room)}
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                while done:
                    yield done.pop().result()
