"""A small, single-threaded supervisor of worker processes that loses no job.

`concurrent.futures` gives up all pending jobs when one worker dies, `multiprocessing.Pool` waits for ever. Here each
worker has a pipe of its own and at most one job, so that a death, a crash or a hang is blamed on that job alone; a
fresh worker, forked from the unspoilt parent, takes its place.

::

    parent   hire ──► assign ──► wait for pipes and sentinels ──► outcome ──► (retire, replace) ──► ...
                        │ job          ▲ ready, started, done
    worker          prepare ──► recv ──► task(job) ──► send

No thread is started in the parent, nor in a forked worker.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import Any, Generic, TypeVar

from regionplot.errors import ExecutorError
from regionplot.executors.base import Task, failure_of, prepare
from regionplot.executors.worker import work
from regionplot.models import Failure, Outcome

logger = logging.getLogger(__name__)

J = TypeVar("J")

_GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""
_START_TIMEOUT = 600.0
"""Seconds a worker may take to load what all jobs share."""
_MOST_STARTS_LOST = 3


@dataclass(eq=False)
class _Worker(Generic[J]):
    """The parent's side of one worker process."""

    process: Any
    connection: Connection
    deadline: float
    ready: bool = False
    job: J | None = None
    started: bool = False
    """It has acknowledged the job: what happens now is the job's fault."""
    since: float = 0.0
    done: int = 0
    ended_by_us: str | None = None

    @property
    def idle(self) -> bool:
        return self.ready and self.job is None

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
    timeout: float
    """Seconds for one job."""
    jobs_per_worker: int
    """A worker is replaced after so many jobs."""

    def run(self, task: Task[J], jobs: Iterable[J]) -> Iterator[Outcome[J]]:
        """Apply a task to jobs in worker processes; yield outcomes as they come.

        Raises
        ------
        RegionplotError
            What `task.prepare()` raised, in the parent under fork, in the first worker elsewhere.
        ExecutorError
            If workers die before they are ready.
        """
        if self.start_method != "fork":
            yield from _Supervisor(self, task).run(jobs)
            return
        prepare(task)
        gc.freeze()  # what the parent holds now is not traversed in children, so its pages stay shared
        try:
            yield from _Supervisor(self, task).run(jobs)
        finally:
            gc.unfreeze()


@dataclass
class _Supervisor(Generic[J]):
    """One run: the workers, what waits and what is under way."""

    executor: ProcessExecutor
    task: Task[J]
    pending: deque[J] = field(default_factory=deque)
    crew: list[_Worker[J]] = field(default_factory=list)
    leaving: list[_Worker[J]] = field(default_factory=list)
    starts_lost: int = 0

    def run(self, jobs: Iterable[J]) -> Iterator[Outcome[J]]:
        self.pending.extend(jobs)
        try:
            while self.pending or any(worker.job is not None for worker in self.crew):
                self._release()
                self._hire()
                self._assign()
                for worker in self._wait():
                    yield from self._attend(worker)
                self._enforce_deadlines()
        finally:
            self._dismiss()

    def _hire(self) -> None:
        """As many workers as can be busy, each forked from this process as it is now."""
        busy = sum(worker.job is not None for worker in self.crew)
        while len(self.crew) < min(self.executor.workers, busy + len(self.pending)):
            context = multiprocessing.get_context(self.executor.start_method)
            ours, theirs = context.Pipe()
            inherited = [ours, *(worker.connection for worker in self.crew + self.leaving)]
            if self.executor.start_method != "fork":
                inherited = []
            process = context.Process(  # type: ignore[attr-defined]  # the stubs' base context has no Process
                target=work, args=(self.task, theirs, inherited, os.getpid(), _log_level()), daemon=True
            )
            _start(process)
            theirs.close()
            self.crew.append(_Worker(process, ours, time.monotonic() + _START_TIMEOUT))

    def _release(self) -> None:
        """Give back the descriptors of retired workers that are gone; over many jobs they would run out."""
        for worker in [worker for worker in self.leaving if not worker.process.is_alive()]:
            self.leaving.remove(worker)
            worker.connection.close()
            worker.process.close()

    def _assign(self) -> None:
        for worker in self.crew:
            if worker.idle and self.pending:
                job = self.pending.popleft()
                worker.job, worker.started, worker.since = job, False, time.monotonic()
                worker.deadline = worker.since + self.executor.timeout
                try:
                    worker.connection.send(job)
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
            job = worker.job
            worker.job, worker.deadline, worker.done = None, float("inf"), worker.done + 1
            if worker.done >= self.executor.jobs_per_worker or worker.spent:
                self._retire(worker)
            if job is not None:
                yield Outcome(job, value, failure, seconds, worker.process.pid)

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
        end, job = worker.name_end(), worker.job
        if job is not None and (worker.started or worker.ended_by_us):
            yield Outcome(job, None, end, time.monotonic() - worker.since, worker.process.pid)
        elif not worker.ready or job is not None:
            if job is not None:
                self.pending.appendleft(job)
            self.starts_lost += 1
            if self.starts_lost >= _MOST_STARTS_LOST:
                raise ExecutorError(f"worker processes die before they can work: {end.message}")

    def _enforce_deadlines(self) -> None:
        """SIGTERM to who is late, SIGKILL to who still is after the grace."""
        now = time.monotonic()
        for worker in self.crew:
            if worker.deadline > now:
                continue
            if worker.ended_by_us is None:
                limit = self.executor.timeout if worker.ready else _START_TIMEOUT
                worker.ended_by_us = f"took longer than {limit:g} s and was ended"
                worker.process.terminate()
            else:
                worker.process.kill()
            worker.deadline = now + _GRACE

    def _dismiss(self) -> None:
        """End every worker: those that are idle by a word, those at work by SIGTERM, all by SIGKILL in the end."""
        everyone = self.crew + self.leaving
        try:
            for worker in self.crew:
                if worker.idle:
                    _say_goodbye(worker)
                else:
                    worker.process.terminate()
            deadline = time.monotonic() + _GRACE
            for worker in everyone:
                worker.process.join(max(0.0, deadline - time.monotonic()))
        finally:
            for worker in everyone:
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
        if worker.job is None:
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


def _say_goodbye(worker: _Worker[Any]) -> None:
    try:
        worker.connection.send(None)
    except OSError:
        worker.process.terminate()
