"""A small, single-threaded supervisor of worker processes that loses no job.

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

import errno
import gc
import logging
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import Any, Generic, TypeVar

from regionplot.errors import ExecutorError
from regionplot.executors.base import OUT_OF_MEMORY, Task, WorkerSettings, failure_of, prepare
from regionplot.executors.worker import STACK_SIGNAL, Terms, work
from regionplot.machine import available_memory, data_size
from regionplot.models import Failure, Outcome

logger = logging.getLogger(__name__)

J = TypeVar("J")

_GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""
_STACK_TIME = 0.3
"""Seconds for a late worker to write its stack; a SIGTERM that came with the signal for that would be quicker."""
_START_TIMEOUT = 600.0
"""Seconds a worker may take to load what all jobs share."""
_MOST_STARTS_LOST = 3
_MEGABYTE = 2**20
_RESERVE = 256
"""Megabytes that must be available for one more worker, unless its own limit says more precisely what it needs."""
_DEATHS = {"killed", "died", OUT_OF_MEMORY}
"""Causes of failure that may lie with the machine rather than with the job."""
_REMEDIES = {
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "the system has too many open files; raise fs.file-max or end other programs",
    errno.EAGAIN: "raise the limit of processes (ulimit -u, or that of the container)",
    errno.ENOMEM: "free some memory, or let less of the raster be loaded ([run] memory)",
}


@dataclass(eq=False)
class _Ticket(Generic[J]):
    """A job, and the workers it has cost."""

    job: J
    deaths: list[str] = field(default_factory=list)
    """What became of them, one message each."""

    def tell(self, failure: Failure | None) -> Failure | None:
        """A failure, with what went before it."""
        if failure is None or not self.deaths:
            return failure
        if failure.cause not in _DEATHS:
            return replace(failure, message=f"{failure.message} (tried again after this: {self.deaths[-1]})")
        if len(self.deaths) == 1:
            return failure
        times = "twice" if len(self.deaths) == 2 else f"{len(self.deaths)} times"
        return replace(failure, message=f"{failure.message}; it failed {times}, the last time alone")


@dataclass(eq=False)
class _Worker(Generic[J]):
    """The parent's side of one worker process."""

    process: Any
    connection: Connection
    deadline: float
    ready: bool = False
    ticket: _Ticket[J] | None = None
    """The job it has, if any."""
    started: bool = False
    """It has acknowledged the job: what happens now is the job's fault."""
    since: float = 0.0
    done: int = 0
    ended_by_us: str | None = None
    terminated: bool = False

    @property
    def idle(self) -> bool:
        return self.ready and self.ticket is None

    @property
    def spent(self) -> bool:
        """It is to get no more jobs: it was told to end, though its last one was done just in time after all."""
        return self.ended_by_us is not None

    def name_end(self) -> Failure:
        """What became of a worker that is gone."""
        if self.ended_by_us:
            return Failure("timeout", self.ended_by_us)
        code = self.process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            hint = " (out of memory?)" if name == "SIGKILL" else ""
            return Failure("killed", f"the worker was killed by {name}{hint}")
        return Failure("died", f"the worker ended with exit code {code} and without a result")


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
            yield from _Supervisor(self, task, iter(jobs)).run()
            return
        prepare(task)
        gc.freeze()  # what the parent holds now is not traversed in children, so its pages stay shared
        try:
            yield from _Supervisor(self, task, iter(jobs)).run()
        finally:
            gc.unfreeze()


@dataclass
class _Supervisor(Generic[J]):
    """One run: the workers, what waits and what is under way."""

    executor: ProcessExecutor
    task: Task[J]
    jobs: Iterator[J]
    """What is not yet pending: there may be very many."""
    pending: deque[_Ticket[J]] = field(default_factory=deque)
    to_retry: deque[_Ticket[J]] = field(default_factory=deque)
    places: int = 0
    """How many workers there may be now."""
    crew: list[_Worker[J]] = field(default_factory=list)
    leaving: list[_Worker[J]] = field(default_factory=list)
    starts_lost: int = 0
    warned_of_memory: bool = False

    def run(self) -> Iterator[Outcome[J]]:
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
        self.pending.extend(map(_Ticket, islice(self.jobs, max(0, self.places - len(self.pending)))))
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
        terms = Terms(os.getpid(), _log_level(), self.executor.settings)
        process = context.Process(  # type: ignore[attr-defined]  # the stubs' base context has no Process
            target=work, args=(self.task, theirs, inherited, terms), daemon=True
        )
        try:
            _start(process)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.crew.append(_Worker(process, ours, time.monotonic() + _START_TIMEOUT))

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

    def _wait(self) -> list[_Worker[J]]:
        """The workers that have something to say, or are gone."""
        of = {worker.connection: worker for worker in self.crew}
        of |= {worker.process.sentinel: worker for worker in self.crew}
        nearest = min((worker.deadline for worker in self.crew), default=0.0)
        ready = wait(of, timeout=min(max(0.0, nearest - time.monotonic()), 3600.0))
        return list(dict.fromkeys(of[item] for item in ready))  # type: ignore[index]  # Connections are among the keys

    def _attend(self, worker: _Worker[J]) -> Iterator[Outcome[J]]:
        """Take all that a worker says, then see whether it lived before that: its last words are not missed."""
        alive = worker.process.is_alive()
        try:
            while worker.connection.poll():
                yield from self._heed(worker, _unpack(worker, worker.connection.recv_bytes()))
            if alive:
                return
        except (EOFError, OSError):
            _end(worker.process)
        yield from self._bury(worker)

    def _heed(self, worker: _Worker[J], message: tuple[str, Any]) -> Iterator[Outcome[J]]:
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

    def _conclude(self, ticket: _Ticket[J], outcome: Outcome[J]) -> Iterator[Outcome[J]]:
        """Let an outcome out, unless its worker died over it and it is to be tried again."""
        failure = outcome.failure
        if failure is not None and failure.cause in _DEATHS:
            ticket.deaths.append(failure.message)
            if len(ticket.deaths) <= self.executor.settings.retries:
                logger.warning("%s: %s; to be tried again, alone, in the end", _name(ticket), failure.message)
                self.to_retry.append(ticket)
                return
        yield replace(outcome, failure=ticket.tell(failure))

    def _retire(self, worker: _Worker[J]) -> None:
        self.crew.remove(worker)
        self.leaving.append(worker)
        _say_goodbye(worker)

    def _bury(self, worker: _Worker[J]) -> Iterator[Outcome[J]]:
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
                _ask_for_stack(worker)
                worker.deadline = now + _STACK_TIME
            elif not worker.terminated:
                worker.terminated = True
                worker.process.terminate()
                worker.deadline = now + _GRACE
            else:
                worker.process.kill()
                worker.deadline = now + _GRACE

    def _dismiss(self) -> None:
        """End every worker: those that are idle by a word, those at work by SIGTERM, all by SIGKILL in the end."""
        everyone, self.crew, self.leaving = self.crew + self.leaving, [], []
        self._see_off(everyone)

    def _see_off(self, workers: list[_Worker[J]]) -> None:
        try:
            for worker in workers:
                if worker.idle:
                    _say_goodbye(worker)
                else:
                    worker.process.terminate()
            deadline = time.monotonic() + _GRACE
            for worker in workers:
                worker.process.join(max(0.0, deadline - time.monotonic()))
        finally:
            for worker in workers:
                if worker.process.is_alive():
                    worker.process.kill()
                    worker.process.join()
                worker.connection.close()
                worker.process.close()


def _unpack(worker: _Worker[Any], message: bytes) -> tuple[str, Any]:
    """A worker's message; one that cannot be read costs its job, not the run."""
    try:
        kind, content = ForkingPickler.loads(message)
    except Exception as error:
        if worker.ticket is None:
            return "broken", ExecutorError(f"a worker's error cannot be read: {error}")
        failure = failure_of(TypeError(f"the result cannot be read from the worker: {error}"))
        return "done", (None, failure, time.monotonic() - worker.since)
    return kind, content


def _end(process: Any) -> None:
    """See a process off that has closed its pipe: it is about to end, or else lives on without it.

    Its sentinel tells nothing now, it may be closed as well; `join` with a timeout trusts it, and would wait for ever.
    """
    deadline = time.monotonic() + _GRACE
    while process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.join()


def _log_level() -> int:
    return logging.getLogger("regionplot").getEffectiveLevel()


def _start(process: Any) -> None:
    """Start a process; the host's own choice of a start method, if it has made none yet, stays open."""
    undecided = multiprocessing.get_start_method(allow_none=True) is None
    process.start()
    if undecided:  # spawn and forkserver ask for the start method, which decides it
        multiprocessing.set_start_method(None, force=True)


def _name(ticket: _Ticket[Any] | None) -> str:
    return "" if ticket is None else str(getattr(ticket.job, "name", ticket.job))


def _ask_for_stack(worker: _Worker[Any]) -> None:
    """Have a worker that hangs write to stderr where."""
    if STACK_SIGNAL is None or not worker.ready or not worker.process.is_alive():
        return
    logger.error("%s: worker %d %s; its stack:", _name(worker.ticket), worker.process.pid, worker.ended_by_us)
    with suppress(ProcessLookupError):
        os.kill(worker.process.pid, STACK_SIGNAL)


def _say_goodbye(worker: _Worker[Any]) -> None:
    try:
        worker.connection.send(None)
    except OSError:
        worker.process.terminate()
