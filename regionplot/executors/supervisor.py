"""Start workers, hand out jobs, and handle results, deaths and timeouts."""

from __future__ import annotations

import errno
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Generic

from regionplot.errors import ExecutorError
from regionplot.executors.base import OUT_OF_MEMORY, Outcome, Task
from regionplot.executors.jobs import (
    RETRYABLE_CAUSES,
    TERMINATE_TIMEOUT,
    J,
    PendingJob,
    WorkerHandle,
    job_name,
    join_or_kill,
    log_level,
    logger,
    request_stack,
    request_stop,
    start_worker,
    unpack,
)
from regionplot.executors.worker import WorkerInit, worker_main

if TYPE_CHECKING:
    from regionplot.executors.processes import ProcessExecutor

_STACK_TIME = 0.3
"""Seconds for a late worker to write its stack; a SIGTERM that came with the signal for that would be quicker."""


_START_TIMEOUT = 600.0
"""Seconds a worker may take to load what all jobs share."""


_MOST_STARTS_LOST = 3


_MEGABYTE = 2**20


_RESERVE = 256
"""Megabytes that must be available for one more worker, unless its own limit says more precisely what it needs."""


_REMEDIES = {
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "the system has too many open files; raise fs.file-max or end other programs",
    errno.EAGAIN: "raise the limit of processes (ulimit -u, or that of the container)",
    errno.ENOMEM: "free some memory, or let less of the raster be loaded ([run] memory)",
}


@dataclass
class Supervisor(Generic[J]):
    """One run: the workers, what waits and what is under way."""

    executor: ProcessExecutor
    task: Task[J]
    jobs: Iterator[J]
    """What is not yet pending: there may be very many."""
    pending: deque[PendingJob[J]] = field(default_factory=deque)
    to_retry: deque[PendingJob[J]] = field(default_factory=deque)
    places: int = 0
    """How many workers there may be now."""
    crew: list[WorkerHandle[J]] = field(default_factory=list)
    leaving: list[WorkerHandle[J]] = field(default_factory=list)
    starts_lost: int = 0
    warned_of_memory: bool = False

    def run(self) -> Iterator[Outcome[J]]:
        """Run all jobs and yield their outcomes as they arrive."""
        self.places = self.executor.workers
        try:
            while self._goes_on():
                self._release()
                self._hire()
                self._assign()
                for worker in self._wait():
                    yield from self._attend(worker)
                self._enforce_deadlines()
        finally:
            self._dismiss()

    def _busy(self) -> int:
        return sum(worker.ticket is not None for worker in self.crew)

    def _goes_on(self) -> bool:
        """Whether there is anything left to do; when only retries are left, they become what is to be done."""
        self.pending.extend(map(PendingJob, islice(self.jobs, max(0, self.places - len(self.pending)))))
        if not self.pending and self.to_retry and not self._busy():
            self._dismiss()  # a retry has a fresh worker, and the machine for itself
            self.places = 1
            self.pending, self.to_retry = self.to_retry, deque()
        return bool(self.pending or self._busy())

    def _hire(self) -> None:
        """As many workers as can be busy, each forked from this process as it is now."""
        while len(self.crew) < min(self.places, self._busy() + len(self.pending)):
            if self.crew and self._is_short_of_memory():
                return
            try:
                self._hire_one()
            except OSError as error:
                self._make_do(error)

    def _hire_one(self) -> None:
        context = multiprocessing.get_context(self.executor.start_method)
        ours, theirs = context.Pipe()
        inherited = [ours, *(worker.connection for worker in self.crew + self.leaving)]
        if self.executor.start_method != "fork":
            inherited = []
        terms = WorkerInit(os.getpid(), log_level(), self.executor.settings)
        process = context.Process(  # type: ignore[attr-defined]  # the stubs' base context has no Process
            target=worker_main, args=(self.task, theirs, inherited, terms), daemon=True
        )
        try:
            start_worker(process)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.crew.append(WorkerHandle(process, ours, time.monotonic() + _START_TIMEOUT))

    def _is_short_of_memory(self) -> bool:
        """Whether one more worker could be too much for the machine; asked again before each, so it can end."""
        reserve = self.executor.settings.memory or _RESERVE
        free = self.executor.free_memory() // _MEGABYTE
        if free < reserve and not self.warned_of_memory:
            self.warned_of_memory = True
            number, of = len(self.crew), self.places
            logger.warning("only %d MB of memory are available: going on with %d of %d workers", free, number, of)
        return free < reserve

    def _make_do(self, error: OSError) -> None:
        """A worker could not be started: wait for what others give back, else go on with those there are.

        Raises
        ------
        ExecutorError
            If there are none.
        """
        if self.leaving:
            leaving, self.leaving = self.leaving, []
            self._see_off(leaving)
        elif self.crew:
            self.places = len(self.crew)
            logger.warning("no more workers can be started, going on with %d: %s", self.places, error.strerror)
        else:
            remedy = _REMEDIES.get(error.errno or 0, "make room for more processes")
            raise ExecutorError(
                f"no worker process can be started: {error.strerror or error}; "
                f'{remedy}, or do without workers ([run] start_method = "serial")'
            ) from error

    def _release(self) -> None:
        """Give back the descriptors of retired workers that are gone; over many jobs they would run out."""
        for worker in [worker for worker in self.leaving if not worker.process.is_alive()]:
            self.leaving.remove(worker)
            worker.connection.close()
            worker.process.close()

    def _assign(self) -> None:
        for worker in self.crew:
            if worker.idle and self.pending:
                ticket = self.pending.popleft()
                worker.ticket, worker.started, worker.since = ticket, False, time.monotonic()
                worker.deadline = worker.since + self.executor.settings.timeout
                try:
                    worker.connection.send(ticket.job)
                except OSError:  # it died; _attend sees that, and gives the job to another
                    logger.debug("worker %s died before its next job", worker.process.pid)

    def _wait(self) -> list[WorkerHandle[J]]:
        """The workers that have something to say, or are gone."""
        of = {worker.connection: worker for worker in self.crew}
        of |= {worker.process.sentinel: worker for worker in self.crew}
        nearest = min((worker.deadline for worker in self.crew), default=0.0)
        ready = wait(of, timeout=min(max(0.0, nearest - time.monotonic()), 3600.0))
        return list(dict.fromkeys(of[item] for item in ready))  # type: ignore[index]  # Connections are among the keys

    def _attend(self, worker: WorkerHandle[J]) -> Iterator[Outcome[J]]:
        """Take all that a worker says, then see whether it lived before that: its last words are not missed."""
        alive = worker.process.is_alive()
        try:
            while worker.connection.poll():
                yield from self._heed(worker, unpack(worker, worker.connection.recv_bytes()))
            if alive:
                return
        except (EOFError, OSError):
            join_or_kill(worker.process)
        yield from self._bury(worker)

    def _heed(self, worker: WorkerHandle[J], message: tuple[str, Any]) -> Iterator[Outcome[J]]:
        kind, content = message
        if kind == "ready":
            worker.ready, worker.deadline = True, float("inf")
        elif kind == "started":
            worker.started, self.starts_lost = True, 0
        elif kind == "broken":
            raise content
        else:
            value, failure, seconds = content
            ticket = worker.ticket
            worker.ticket, worker.deadline, worker.done = None, float("inf"), worker.done + 1
            out_of_memory = failure is not None and failure.cause == OUT_OF_MEMORY
            if worker.done >= self.executor.settings.jobs_per_worker or worker.spent or out_of_memory:
                self._retire(worker)
            if ticket is not None:
                yield from self._conclude(ticket, Outcome(ticket.job, value, failure, seconds, worker.process.pid))

    def _conclude(self, ticket: PendingJob[J], outcome: Outcome[J]) -> Iterator[Outcome[J]]:
        """Let an outcome out, unless its worker died over it and it is to be tried again."""
        failure = outcome.failure
        if failure is not None and failure.cause in RETRYABLE_CAUSES:
            ticket.deaths.append(failure.message)
            if len(ticket.deaths) <= self.executor.settings.retries:
                logger.warning("%s: %s; to be tried again, alone, in the end", job_name(ticket), failure.message)
                self.to_retry.append(ticket)
                return
        yield replace(outcome, failure=ticket.tell(failure))

    def _retire(self, worker: WorkerHandle[J]) -> None:
        self.crew.remove(worker)
        self.leaving.append(worker)
        request_stop(worker)

    def _bury(self, worker: WorkerHandle[J]) -> Iterator[Outcome[J]]:
        """A worker is gone: blame its job if it had started one, else do that job again."""
        if worker not in self.crew:
            return
        self.crew.remove(worker)
        worker.connection.close()
        end, ticket = worker.name_end(), worker.ticket
        if ticket is not None and (worker.started or worker.ended_by_us):
            seconds = time.monotonic() - worker.since
            yield from self._conclude(ticket, Outcome(ticket.job, None, end, seconds, worker.process.pid))
        elif not worker.ready or ticket is not None:
            if ticket is not None:
                self.pending.appendleft(ticket)
            self.starts_lost += 1
            if self.starts_lost >= _MOST_STARTS_LOST:
                raise ExecutorError(f"worker processes die before they can work: {end.message}")

    def _enforce_deadlines(self) -> None:
        """From who is late its stack, then SIGTERM, and SIGKILL to who still is after the grace."""
        now = time.monotonic()
        for worker in [worker for worker in self.crew if worker.deadline <= now]:
            if worker.ended_by_us is None:
                limit = self.executor.settings.timeout if worker.ready else _START_TIMEOUT
                worker.ended_by_us = f"took longer than {limit:g} s and was ended"
                request_stack(worker)
                worker.deadline = now + _STACK_TIME
            elif not worker.terminated:
                worker.terminated = True
                worker.process.terminate()
                worker.deadline = now + TERMINATE_TIMEOUT
            else:
                worker.process.kill()
                worker.deadline = now + TERMINATE_TIMEOUT

    def _dismiss(self) -> None:
        """End every worker: those that are idle by a word, those at work by SIGTERM, all by SIGKILL in the end."""
        everyone, self.crew, self.leaving = self.crew + self.leaving, [], []
        self._see_off(everyone)

    def _see_off(self, workers: list[WorkerHandle[J]]) -> None:
        try:
            for worker in workers:
                if worker.idle:
                    request_stop(worker)
                else:
                    worker.process.terminate()
            deadline = time.monotonic() + TERMINATE_TIMEOUT
            for worker in workers:
                worker.process.join(max(0.0, deadline - time.monotonic()))
        finally:
            for worker in workers:
                if worker.process.is_alive():
                    worker.process.kill()
                    worker.process.join()
                worker.connection.close()
                worker.process.close()
