"""Run jobs in threads of this process, for tasks that release the GIL."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from queue import Empty, SimpleQueue
from typing import ClassVar

from regionplot.executors.base import Abilities, J, Outcome, Task, WorkerSettings, load_task, run_job, worker_context
from regionplot.system.memory import frozen_objects
from regionplot.system.threads import wait_for_exit

QUEUED_PER_WORKER = 2
"""Maximum number of jobs per thread that are queued, running, or finished but not yet returned to the caller."""
_PATIENCE = 0.2
"""Seconds after which a thread that waits for a job checks whether the program has ended."""
_Result = Outcome[J] | BaseException
"""Outcome of a job, or an error that ends the run."""


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
        waiting, todo, results = iter(jobs), SimpleQueue[tuple[J] | None](), SimpleQueue[_Result[J]]()
        threads: list[threading.Thread] = []
        running = 0
        with frozen_objects():  # a task may collect garbage after each job
            try:
                while True:
                    for job in islice(waiting, QUEUED_PER_WORKER * self.workers - running):
                        todo.put((job,))
                        running += 1
                        if len(threads) < self.workers:
                            threads.append(_started(task, todo, results))
                    if not running:
                        return
                    outcome = _outcome_of(results.get())
                    running -= 1
                    yield outcome
            finally:
                _end(threads, todo)


def _started(task: Task[J], todo: SimpleQueue[tuple[J] | None], results: SimpleQueue[_Result[J]]) -> threading.Thread:
    """Start a thread that does jobs."""
    thread = threading.Thread(target=_work, args=(task, todo, results), name="regionplot")
    thread.start()
    return thread


def _work(task: Task[J], todo: SimpleQueue[tuple[J] | None], results: SimpleQueue[_Result[J]]) -> None:
    """Do jobs until the queue ends. Queues take less than half of the CPU time of futures."""
    try:
        with worker_context(task):
            while (entry := _next_entry(todo)) is not None:
                results.put(run_job(task, *entry))
    except BaseException as error:
        results.put(error)


def _next_entry(todo: SimpleQueue[tuple[J] | None]) -> tuple[J] | None:
    """Wait for a job. Return None if there are no more jobs, or the program ends without closing the iterator."""
    while True:
        with suppress(Empty):
            return todo.get(timeout=_PATIENCE)
        if not threading.main_thread().is_alive():
            return None


def _outcome_of(result: _Result[J]) -> Outcome[J]:
    if isinstance(result, BaseException):
        raise result
    return result


def _end(threads: Sequence[threading.Thread], todo: SimpleQueue[tuple[J] | None]) -> None:
    """Remove the jobs that no thread has taken, and wait until all threads have ended."""
    with suppress(Empty):
        while True:
            todo.get_nowait()
    for _ in threads:
        todo.put(None)
    for thread in threads:
        thread.join()
    wait_for_exit([thread.native_id for thread in threads if thread.native_id is not None])
