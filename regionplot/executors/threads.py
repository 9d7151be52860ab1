"""Run jobs in threads of this process, for tasks that release the GIL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from regionplot.executors.base import Outcome, Task, prepare, run_job
from regionplot.system.threads import thread_pool

J = TypeVar("J")


QUEUED_PER_WORKER = 2
"""Jobs for each thread that are begun or done but not yet taken; more would only fill memory."""


@dataclass
class ThreadExecutor:
    """Jobs in threads. One that hangs cannot be ended: there are no time limits."""

    workers: int

    def run(self, task: Task[J], jobs: Iterable[J]) -> Iterator[Outcome[J]]:
        """Apply a task to jobs; jobs are taken from their iterable only as they are needed."""
        prepare(task)
        waiting = iter(jobs)
        under_way: set[Future[Outcome[J]]] = set()
        with thread_pool(self.workers) as pool:
            while True:
                room = QUEUED_PER_WORKER * self.workers - len(under_way)
                under_way |= {pool.submit(run_job, task, job) for job in islice(waiting, room)}
                if not under_way:
                    return
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                while done:
                    yield done.pop().result()
