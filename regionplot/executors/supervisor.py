"""Supervise worker processes: assign jobs, receive results, handle deaths, timeouts and resource shortages.

When a worker dies, `concurrent.futures` loses all pending jobs, and `multiprocessing.Pool` waits forever. Here, each
worker has its own pipe and does one job at a time. If a worker dies, crashes or hangs, only this job fails. Other
workers do the jobs that the worker got in advance. The supervisor starts no threads, so that it can fork safely.

::

    jobs ──take──► pending ──assign──► worker: start_worker, load ─► "ready"
                      ▲                        job ────────────────► "started"
                      │                        task(job) ──────────► "done"
                      │                           │
                      │                           ▼
                      │                        wait ──► receive_messages ──► finish_or_retry ──► outcome
                      │                           │                            ▲        │
                      │ not started               └─(process exited)─► handle_death     │ worker died,
                      ├────────────────────────────────────────────────────────┘        │ out of memory
                      │                                                                  ▼
                      └──────────────── when no other job is left, with one worker ── retries

Before each round, `reap_retired` closes retired workers that have exited, and `start_workers` starts new workers
while jobs are pending. After each round, `enforce_deadlines` stops late workers: it requests their stack, then sends
SIGTERM, then SIGKILL. A worker is retired after `jobs_per_worker` jobs. If memory, processes or file descriptors run
short, the run continues with fewer workers.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from multiprocessing.connection import wait
from multiprocessing.reduction import ForkingPickler
from typing import Any, Generic

from regionplot.errors import ExecutorError
from regionplot.executors.base import OUT_OF_MEMORY, J, Outcome, Task, WorkerSettings
from regionplot.executors.jobs import (
    RETRYABLE_CAUSES,
    PendingJob,
    WorkerHandle,
    join_or_kill,
    log_level,
    request_stack,
    request_stop,
    start_error,
    start_process,
    unpack,
)
from regionplot.executors.main_guard import MESSAGE, MISSING_GUARD
from regionplot.executors.worker import WorkerInit, worker_main

logger = logging.getLogger(__name__)

_MEGABYTE = 2**20
_LARGEST_QUEUED = 2**14
"""Maximum bytes of a pickled job that is sent in advance. It fits in the buffer of a pipe, so sending does not wait."""
_LONGEST_QUEUE = 1.0
"""Maximum time in seconds for the jobs that a worker gets in advance, estimated from its last job."""
_MAX_WAIT = 3600.0
"""Maximum time of one wait in seconds. The system cannot wait for an infinite or very long time."""


@dataclass(frozen=True, slots=True)
class ProcessSettings(WorkerSettings):
    """Limits of worker processes, and how long the supervisor waits for them."""

    start_timeout: float = 600.0
    """Maximum time in seconds until a worker is ready. If a worker gets a job before it is ready, the time limit of the
    job counts from the start of the worker.
    """
    load_timeout: float = 60.0
    """Minimum time limit, in seconds, for loading the shared data, even if the time limit for a job is shorter."""
    stack_timeout: float = 0.3
    """Seconds between the request for the stack of a late worker and SIGTERM. During this time, the worker writes its
    stack.
    """
    terminate_timeout: float = 2.0
    """Seconds between SIGTERM and SIGKILL."""
    memory_reserve: int = 256
    """Free memory in MB that must be available to start one more worker, if `memory` is None."""
    max_failed_starts: int = 3
    """Number of consecutive failed starts after which the run ends. A start fails if the worker dies before it starts a
    job."""

    @property
    def load_limit(self) -> float:
        """Seconds that a process may take until it has loaded the data."""
        return min(self.start_timeout, max(self.timeout, self.load_timeout))


@dataclass
class Supervisor(Generic[J]):
    """One run: its workers, its pending jobs and its retries."""

    task: Task[J]
    jobs: Iterator[J]
    """Jobs that are not yet pending. They are taken only when workers need them."""
    start_method: str
    """`fork`, `forkserver` or `spawn`."""
    max_workers: int
    """Number of workers that may run now. It decreases if no more workers can be started."""
    settings: ProcessSettings
    memory_limit: int | None
    """Memory limit of a worker in MB, if the platform can enforce it."""
    free_memory: Callable[[], int]
    """Function that returns the bytes that are available for more workers."""
    pending: deque[PendingJob[J]] = field(default_factory=deque)
    retries: deque[PendingJob[J]] = field(default_factory=deque)
    """Jobs to retry when all other jobs are done."""
    workers: list[WorkerHandle[J]] = field(default_factory=list)
    retiring: list[WorkerHandle[J]] = field(default_factory=list)
    """Workers that were asked to stop and may still be running."""
    failed_starts: int = 0
    """Number of consecutive workers that died before they started a job."""
    deaths: int = 0
    """Number of consecutive jobs whose workers died, without a success."""
    has_warned_of_memory: bool = False

    def run(self) -> Iterator[Outcome[J]]:
        """Run all jobs and yield their outcomes as they arrive."""
        try:
            while self._has_work():
                self._reap_retired()
                self._start_workers()
                self._assign_jobs()
                for worker in self._wait():
                    yield from self._receive_messages(worker)
                self._enforce_deadlines()
        finally:
            self._shutdown()

    def _has_work(self) -> bool:
        """Return True if jobs are left. When only retries are left, make them pending."""
        wanted = self.max_workers * (1 + self.settings.jobs_ahead)
        self.pending.extend(map(PendingJob, islice(self.jobs, max(0, wanted - len(self.pending)))))
        if not self.pending and self.retries and not self._count_busy():
            self._begin_retries()
        return bool(self.pending or self._count_busy())

    def _begin_retries(self) -> None:
        """Stop all workers and make the retries pending. The retries run one at a time, in a new worker."""
        self._shutdown()
        self.max_workers = 1
        self.pending, self.retries = self.retries, deque()

    def _count_busy(self) -> int:
        return sum(worker.assigned is not None for worker in self.workers)

    def _start_workers(self) -> None:
        """Start workers while there are more jobs than workers, up to `max_workers`."""
        while len(self.workers) < min(self.max_workers, self._count_busy() + len(self.pending)):
            if self.workers and self._is_short_of_memory():
                return
            try:
                self._start_worker()
            except OSError as error:
                self._handle_spawn_failure(error)

    def _start_worker(self) -> None:
        context = multiprocessing.get_context(self.start_method)
        ours, theirs = context.Pipe()
        is_forked = self.start_method == "fork"
        inherited = [ours, *(worker.connection for worker in self.workers + self.retiring)] if is_forked else []
        init = WorkerInit(os.getpid(), is_forked, log_level(), self.settings.nice, self.memory_limit)
        process = context.Process(  # type: ignore[attr-defined]  # typeshed's BaseContext lacks Process
            target=worker_main, args=(self.task, theirs, inherited, init), daemon=True
        )
        try:
            start_process(process, self.start_method)
        except BaseException:
            ours.close()
            if process.pid is not None:  # a signal arrived just after the start
                process.kill()
                process.join()
            raise
        finally:
            theirs.close()
        self.workers.append(WorkerHandle(process, ours, time.monotonic() + self._start_timeout))

    @property
    def _start_timeout(self) -> float:
        """Seconds that a worker may take until it is ready. A forked worker has nothing to load."""
        is_forked = self.start_method == "fork"
        return min(self.settings.start_timeout, self.settings.timeout) if is_forked else self.settings.load_limit

    def _is_short_of_memory(self) -> bool:
        """Return True if one more worker could exhaust the memory. The first worker starts without this check."""
        reserve = self.settings.memory or self.settings.memory_reserve
        free = self.free_memory() // _MEGABYTE
        if free < reserve and not self.has_warned_of_memory:
            self.has_warned_of_memory = True
            logger.warning(
                "only %d MB of memory is free; continuing with %d of %d workers",
                free, len(self.workers), self.max_workers,
            )  # fmt: skip
        return free < reserve

    def _handle_spawn_failure(self, error: OSError) -> None:
        """Handle a failed worker start: free the resources of retiring workers, or continue with fewer workers.

        Raises
        ------
        ExecutorError
            If there are no workers at all.
        """
        if self.retiring:
            retiring, self.retiring = self.retiring, []
            self._terminate_workers(retiring)
        elif self.workers:
            self.max_workers = len(self.workers)
            logger.warning("no more workers can be started: %s; continuing with %d", error.strerror, self.max_workers)
        else:
            raise start_error("worker process", error) from error

    def _reap_retired(self) -> None:
        """Close the file descriptors of retired workers that have exited. Otherwise, descriptors would run out."""
        for worker in [worker for worker in self.retiring if not worker.process.is_alive()]:
            self.retiring.remove(worker)
            worker.connection.close()
            worker.process.close()

    def _assign_jobs(self) -> None:
        """Send a pending job to each idle worker. Then send further pending jobs in advance."""
        for worker in self.workers:
            if worker.is_idle and self.pending:
                worker.begin(pending := self.pending.popleft(), self.settings.timeout)
                self._send(worker, ForkingPickler.dumps(pending.job))
        for worker in self.workers * self.settings.jobs_ahead:
            if len(self.pending) > self._kept_pending and self._can_queue(worker):
                content = ForkingPickler.dumps(self.pending[0].job)
                if len(content) <= _LARGEST_QUEUED:
                    worker.queued.append(self.pending.popleft())
                    self._send(worker, content)

    @property
    def _kept_pending(self) -> int:
        """Number of last jobs that are not sent in advance, so that all workers end at the same time."""
        return self.max_workers - 1

    def _can_queue(self, worker: WorkerHandle[J]) -> bool:
        """Return True if a worker may get a job in advance. Long jobs would make one worker end late."""
        has_room = len(worker.queued) < min(self.settings.jobs_ahead, _LONGEST_QUEUE // max(worker.seconds, 1e-9))
        received = worker.jobs_done + 1 + len(worker.queued)
        return has_room and worker.has_started and not worker.is_stopping and received < self.settings.jobs_per_worker

    def _send(self, worker: WorkerHandle[J], job: memoryview) -> None:
        try:
            worker.connection.send_bytes(job)
        except OSError:  # the worker died; _receive_messages will notice and give the job to another worker
            logger.debug("worker %s died before its next job", worker.process.pid)

    def _wait(self) -> list[WorkerHandle[J]]:
        """Wait until a message arrives, a worker exits or a deadline passes. Return the workers to check.

        Late workers are included, because the death of a late worker may not have been noticed. A child process of the
        dead worker can keep the pipe and the sentinel open.
        """
        by_handle = {worker.connection: worker for worker in self.workers}
        by_handle |= {worker.process.sentinel: worker for worker in self.workers}
        nearest = min((worker.deadline for worker in self.workers), default=0.0)
        ready = wait(by_handle, timeout=min(max(0.0, nearest - time.monotonic()), _MAX_WAIT))
        late = [worker for worker in self.workers if worker.deadline <= time.monotonic()]
        found = [by_handle[handle] for handle in ready]  # type: ignore[index]  # Connections are keys
        return list(dict.fromkeys([*found, *late]))

    def _receive_messages(self, worker: WorkerHandle[J]) -> Iterator[Outcome[J]]:
        """Read all messages of a worker, then handle its death if it died.

        Check whether the worker is alive before the messages are read, so that messages sent just before its death are
        not lost.
        """
        is_alive = worker.process.is_alive()
        try:
            while worker in self.workers and worker.connection.poll():
                yield from self._handle_message(worker, *unpack(worker, worker.connection.recv_bytes()))
                self._assign_jobs()
            if is_alive:
                return
        except (EOFError, OSError):
            join_or_kill(worker.process, self.settings.terminate_timeout)
        yield from self._handle_death(worker)

    def _handle_message(self, worker: WorkerHandle[J], kind: str, content: Any) -> Iterator[Outcome[J]]:
        if kind == "ready":
            worker.is_ready, worker.deadline = True, float("inf")
        elif kind == "started":
            worker.has_started, self.failed_starts = True, 0
        elif kind == "broken":
            raise content
        else:
            yield from self._handle_result(worker, *content)

    def _handle_result(self, worker: WorkerHandle[J], value: Any, failure: Any, seconds: float) -> Iterator[Outcome[J]]:
        """Mark the worker as idle, or retire it. Yield the outcome of its job, unless the job is to be retried."""
        job = worker.assigned
        worker.begin(worker.queued.popleft() if worker.queued else None, self.settings.timeout)
        worker.jobs_done, worker.seconds = worker.jobs_done + 1, seconds
        is_out_of_memory = failure is not None and failure.cause == OUT_OF_MEMORY
        if worker.jobs_done >= self.settings.jobs_per_worker or worker.is_stopping or is_out_of_memory:
            self._retire(worker)
        if job is not None:
            yield from self._finish_or_retry(job, Outcome(job.job, value, failure, seconds, worker.process.pid))

    def _finish_or_retry(self, job: PendingJob[J], outcome: Outcome[J]) -> Iterator[Outcome[J]]:
        """Yield an outcome, unless the job is to be retried because its worker died or ran out of memory."""
        is_death = outcome.failure is not None and outcome.failure.cause in RETRYABLE_CAUSES
        self.deaths = self.deaths + 1 if is_death else 0
        retries = self.settings.retries if self.deaths < self.settings.max_deaths else 0
        if job.needs_retry(outcome.failure, retries):
            self.retries.append(job)
        else:
            yield replace(outcome, failure=job.describe_failure(outcome.failure))

    def _retire(self, worker: WorkerHandle[J]) -> None:
        """Stop a worker after its result. The jobs that it got in advance are pending again."""
        self.workers.remove(worker)
        self.retiring.append(worker)
        if worker.assigned is None:
            request_stop(worker)
            return
        self._take_back([worker.assigned, *worker.queued])
        worker.assigned, worker.queued = None, deque()
        worker.process.terminate()

    def _take_back(self, jobs: Iterable[PendingJob[J]]) -> None:
        """Make jobs pending again that a worker got but did not start."""
        self.pending.extendleft(reversed(list(jobs)))

    def _handle_death(self, worker: WorkerHandle[J]) -> Iterator[Outcome[J]]:
        """Handle a dead worker. A job that had started fails or is retried. Any other job is pending again.

        Raises
        ------
        ExecutorError
            If too many consecutive workers died before they started a job.
        """
        if worker not in self.workers:
            return
        self.workers.remove(worker)
        worker.connection.close()
        failure, job = worker.failure_from_exit(), worker.assigned
        self._take_back(worker.queued)
        if not worker.is_ready and worker.process.exitcode == MISSING_GUARD:
            raise ExecutorError(MESSAGE)
        if job is not None and (worker.has_started or worker.is_stopping):
            seconds = time.monotonic() - worker.assigned_at
            yield from self._finish_or_retry(job, Outcome(job.job, None, failure, seconds, worker.process.pid))
        elif not worker.is_ready or job is not None:
            if job is not None:
                self.pending.appendleft(job)
            self.failed_starts += 1
            if self.failed_starts >= self.settings.max_failed_starts:
                raise ExecutorError(f"worker processes die before they start a job: {failure.message}")

    def _enforce_deadlines(self) -> None:
        """Request the stack of late workers, then terminate them, then kill them."""
        now = time.monotonic()
        for worker in [worker for worker in self.workers if worker.deadline <= now]:
            if not worker.is_stopping:
                limit = self.settings.timeout if worker.is_ready else self._start_timeout
                worker.stop_reason = f"took longer than {limit:g} s and was stopped"
                request_stack(worker)
                worker.deadline = now + self.settings.stack_timeout
            elif not worker.is_terminated:
                worker.is_terminated = True
                worker.process.terminate()
                worker.deadline = now + self.settings.terminate_timeout
            else:
                worker.process.kill()
                worker.deadline = now + self.settings.terminate_timeout

    def _shutdown(self) -> None:
        """Stop all workers and wait for them."""
        workers, self.workers, self.retiring = self.workers + self.retiring, [], []
        self._terminate_workers(workers)

    def _terminate_workers(self, workers: list[WorkerHandle[J]]) -> None:
        """Ask idle workers to stop, send SIGTERM to busy workers, and kill workers that still run after the timeout."""
        try:
            for worker in workers:
                if worker.is_idle:
                    request_stop(worker)
                else:
                    worker.process.terminate()
            deadline = time.monotonic() + self.settings.terminate_timeout
            for worker in workers:
                worker.process.join(max(0.0, deadline - time.monotonic()))
        finally:
            for worker in workers:
                if worker.process.is_alive():
                    worker.process.kill()
                    worker.process.join()
                worker.connection.close()
                worker.process.close()
