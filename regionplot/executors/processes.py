"""Run jobs in worker processes of this machine, started by fork, forkserver or spawn."""

from __future__ import annotations

import logging
import multiprocessing
import pickle
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import ClassVar

from regionplot.executors.base import Abilities, J, Outcome, Task, WorkerSettings, load_task
from regionplot.executors.supervisor import ProcessSettings, Supervisor
from regionplot.system.machine import available_memory
from regionplot.system.memory import can_limit_memory, frozen_objects

logger = logging.getLogger(__name__)


@dataclass
class ProcessExecutor:
    """Run jobs in worker processes, one job at a time in each.

    A subclass sets the start method. See `supervisor` for the handling of crashes, timeouts and resource shortages.
    """

    workers: int
    settings: ProcessSettings = field(default_factory=ProcessSettings)
    free_memory: Callable[[], int] = available_memory
    """Function that returns the bytes that are available for more workers."""
    can_limit_memory: Callable[[], bool] = can_limit_memory
    """Function that returns True if this platform can limit the memory of a process."""

    abilities: ClassVar[Abilities]
    Settings: ClassVar[type[WorkerSettings]] = ProcessSettings
    start_method: ClassVar[str]
    """Start method of the module multiprocessing."""

    @classmethod
    def unavailable(cls) -> str | None:
        """Return the reason why this platform does not support the start method, or None."""
        if cls.start_method in multiprocessing.get_all_start_methods():
            return None
        return f"this platform cannot start processes by {cls.start_method}"

    def run(self, task: Task[J], jobs: Iterable[J]) -> Iterator[Outcome[J]]:
        """Apply a task to jobs in worker processes; see `Executor.run`.

        Raises
        ------
        RegionplotError
            If `task.load` fails: in this process under fork, otherwise in the first worker.
        ExecutorError
            If workers die before they start a job, or no worker can be started. In the second case, `__cause__` is the
            OSError of the system.
        """
        with self._shared(task):
            yield from Supervisor(
                task, iter(jobs), self.start_method, self.workers, self.settings, self._memory_limit(), self.free_memory
            ).run()

    def _shared(self, _task: Task[J]) -> AbstractContextManager[None]:
        """Load the data that workers inherit. Workers that are not forked inherit nothing."""
        return nullcontext()

    def _memory_limit(self) -> int | None:
        if self.settings.memory is None or self.can_limit_memory():
            return self.settings.memory
        logger.warning("the memory limit of workers is ignored: this platform cannot limit the memory of a process")
        return None


class ForkExecutor(ProcessExecutor):
    """Run jobs in forked processes, which share the data that this process has loaded."""

    start_method = "fork"
    abilities = Abilities(
        shares_memory=True, survives_crashes=True, distributed=False, limits_time=True, maps_results=True
    )

    @classmethod
    def unavailable(cls) -> str | None:
        """Return the reason why this program cannot fork, or None.

        A fork copies only the calling thread. A lock that another thread holds stays locked in the child forever.
        """
        threads = threading.active_count()
        if threads > 1:
            return f"fork is unsafe in a program with {threads} threads; use 'auto', 'forkserver' or 'serial'"
        return super().unavailable()

    @contextmanager
    def _shared(self, task: Task[J]) -> Iterator[None]:
        """Load the task's data once for all workers."""
        load_task(task)
        with frozen_objects():
            yield


class SpawnExecutor(ProcessExecutor):
    """Run jobs in new processes, each of which imports the package and loads the data itself."""

    start_method = "spawn"
    abilities = Abilities(
        shares_memory=False, survives_crashes=True, distributed=False, limits_time=True, maps_results=True
    )


class ForkserverExecutor(SpawnExecutor):
    """Run jobs in processes that are forked by a new process, which has loaded the data. The program can have threads.

    The server process of the module multiprocessing starts this new process: see `data_process`. Outside Linux, and if
    the new process has several threads, the server starts each worker, and each worker loads the data itself.
    """

    start_method = "forkserver"
    abilities = SpawnExecutor.abilities._replace(loads_once=sys.platform == "linux")
    load_seconds: float = 0.0
    """Time for which the last run loaded data, if it loaded the data once."""

    def run(self, task: Task[J], jobs: Iterable[J]) -> Iterator[Outcome[J]]:
        """Apply a task to jobs in worker processes that share the data; see `Executor.run`.

        Raises
        ------
        RegionplotError
            If `task.load` fails in the new process.
        ExecutorError
            If the new process dies twice without an outcome, or for the reasons of `ProcessExecutor.run`.
        """
        if not self.abilities.loads_once:
            yield from super().run(task, jobs)
            return
        from regionplot.executors.data_process import CannotForkError  # noqa: PLC0415 (only this executor)
        from regionplot.executors.data_run import DataRun  # noqa: PLC0415

        executor = ForkExecutor(self.workers, self.settings, self.free_memory, self.can_limit_memory)
        run = DataRun(executor, pickle.dumps(task), iter(jobs))
        try:
            yield from run.outcomes()
        except CannotForkError as error:
            logger.info("%s; each worker loads the data", error)
            yield from super().run(task, run.waiting)
        finally:
            self.load_seconds = run.load_seconds
