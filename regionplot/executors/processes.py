"""Run jobs in worker processes under a small, single-threaded supervisor that loses no job.

`concurrent.futures` gives up all pending jobs when one worker dies, `multiprocessing.Pool` waits for ever. Here each
worker has a pipe of its own and at most one job, so that a death, a crash or a hang is blamed on that job alone; a
fresh worker, forked from the unspoilt parent, takes its place. The job of a worker that died or ran out of memory is
tried again when all others are done, with no other worker beside it: what was too much for the machine may then do.

::

    parent   hire ──► assign ──► wait for pipes and sentinels ──► outcome ──► (retire, replace) ──► ... ──► retry
                        │ job          ▲ ready, started, done
    worker          prepare ──► recv ──► task(job) ──► send

No thread is started in the parent, nor in a forked worker. Where memory, processes or descriptors are short, it goes on
with the workers that it has.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from regionplot.executors.base import Outcome, Task, WorkerSettings, prepare
from regionplot.executors.jobs import J, logger
from regionplot.executors.supervisor import Supervisor
from regionplot.system.machine import available_memory, data_size


@dataclass
class ProcessExecutor:
    """Jobs in worker processes, one at a time in each."""

    start_method: str
    """`fork`, `forkserver` or `spawn`."""
    workers: int
    settings: WorkerSettings
    free_memory: Callable[[], int] = available_memory
    """Bytes that are available for more workers."""

    def run(self, task: Task[J], jobs: Iterable[J]) -> Iterator[Outcome[J]]:
        """Apply a task to jobs in worker processes; jobs are taken from their iterable only as they are needed.

        Raises
        ------
        RegionplotError
            What `task.prepare()` raised, in the parent under fork, in the first worker elsewhere.
        ExecutorError
            If workers die before they are ready, or none can be started at all.
        """
        if self.settings.memory is not None and data_size() is None:
            logger.warning("worker_memory is ignored: this platform does not limit the memory of a process")
        if self.start_method != "fork":
            yield from Supervisor(self, task, iter(jobs)).run()
            return
        prepare(task)
        gc.freeze()  # what the parent holds now is not traversed in children, so its pages stay shared
        try:
            yield from Supervisor(self, task, iter(jobs)).run()
        finally:
            gc.unfreeze()
