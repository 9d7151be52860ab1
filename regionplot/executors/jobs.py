"""Track pending jobs and worker processes for the supervisor."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, Generic, TypeVar

from regionplot.errors import ExecutorError
from regionplot.executors.base import OUT_OF_MEMORY, Failure, failure_of
from regionplot.executors.worker import STACK_SIGNAL

logger = logging.getLogger(__name__)


J = TypeVar("J")


TERMINATE_TIMEOUT = 2.0
"""Seconds between SIGTERM and SIGKILL."""


RETRYABLE_CAUSES = {"killed", "died", OUT_OF_MEMORY}
"""Causes of failure that may lie with the machine rather than with the job."""


@dataclass(eq=False)
class PendingJob(Generic[J]):
    """A job, and the workers it has cost."""

    job: J
    deaths: list[str] = field(default_factory=list)
    """What became of them, one message each."""

    def tell(self, failure: Failure | None) -> Failure | None:
        """A failure, with what went before it."""
        if failure is None or not self.deaths:
            return failure
        if failure.cause not in RETRYABLE_CAUSES:
            return replace(failure, message=f"{failure.message} (tried again after this: {self.deaths[-1]})")
        if len(self.deaths) == 1:
            return failure
        times = "twice" if len(self.deaths) == 2 else f"{len(self.deaths)} times"
        return replace(failure, message=f"{failure.message}; it failed {times}, the last time alone")


@dataclass(eq=False)
class WorkerHandle(Generic[J]):
    """The parent's side of one worker process."""

    process: Any
    connection: Connection
    deadline: float
    ready: bool = False
    ticket: PendingJob[J] | None = None
    """The job it has, if any."""
    started: bool = False
    """It has acknowledged the job: what happens now is the job's fault."""
    since: float = 0.0
    done: int = 0
    ended_by_us: str | None = None
    terminated: bool = False

    @property
    def idle(self) -> bool:
        """True if the worker waits for a job."""
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


def unpack(worker: WorkerHandle[Any], message: bytes) -> tuple[str, Any]:
    """A worker's message; one that cannot be read costs its job, not the run."""
    try:
        kind, content = ForkingPickler.loads(message)
    except Exception as error:
        if worker.ticket is None:
            return "broken", ExecutorError(f"a worker's error cannot be read: {error}")
        failure = failure_of(TypeError(f"the result cannot be read from the worker: {error}"))
        return "done", (None, failure, time.monotonic() - worker.since)
    return kind, content


def join_or_kill(process: Any) -> None:
    """See a process off that has closed its pipe: it is about to end, or else lives on without it.

    Its sentinel tells nothing now, it may be closed as well; `join` with a timeout trusts it, and would wait for ever.
    """
    deadline = time.monotonic() + TERMINATE_TIMEOUT
    while process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.join()


def log_level() -> int:
    """Return the level of the package's logger, which workers take over."""
    return logging.getLogger("regionplot").getEffectiveLevel()


def start_worker(process: Any) -> None:
    """Start a process; the host's own choice of a start method, if it has made none yet, stays open."""
    undecided = multiprocessing.get_start_method(allow_none=True) is None
    process.start()
    if undecided:  # spawn and forkserver ask for the start method, which decides it
        multiprocessing.set_start_method(None, force=True)


def job_name(ticket: PendingJob[Any] | None) -> str:
    """Return the name of a worker's current job, or an empty string."""
    return "" if ticket is None else str(getattr(ticket.job, "name", ticket.job))


def request_stack(worker: WorkerHandle[Any]) -> None:
    """Have a worker that hangs write to stderr where."""
    if STACK_SIGNAL is None or not worker.ready or not worker.process.is_alive():
        return
    logger.error("%s: worker %d %s; its stack:", job_name(worker.ticket), worker.process.pid, worker.ended_by_us)
    with suppress(ProcessLookupError):
        os.kill(worker.process.pid, STACK_SIGNAL)


def request_stop(worker: WorkerHandle[Any]) -> None:
    """Ask a worker to exit after its current job."""
    try:
        worker.connection.send(None)
    except OSError:
        worker.process.terminate()
