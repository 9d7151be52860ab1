"""Track pending jobs and worker processes for the supervisor."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, Generic

from regionplot.errors import ExecutorError
from regionplot.executors.base import OUT_OF_MEMORY, REMEDIES, Failure, J, failure_from_error
from regionplot.executors.main_guard import script_is_importable
from regionplot.executors.worker import STACK_SIGNAL
from regionplot.system.signals import ending_signals_held

logger = logging.getLogger(__name__)

RETRYABLE_CAUSES = {"killed", "died", OUT_OF_MEMORY}
"""Causes of failure that may depend on the machine, not on the job."""


@dataclass(eq=False)
class PendingJob(Generic[J]):
    """A job with its failed attempts."""

    job: J
    attempts: list[str] = field(default_factory=list)
    """Message of each attempt that failed with one of RETRYABLE_CAUSES."""
    losses: int = 0
    """Number of attempts that were lost because the worker of another job died."""

    @property
    def name(self) -> str:
        """Name of the job in messages."""
        return str(getattr(self.job, "name", self.job))

    def needs_retry(self, failure: Failure | None, retries: int) -> bool:
        """Return True if the job should be retried after a failure. Record the failed attempt.

        Parameters
        ----------
        failure : Failure or None
            Failure of the last attempt.
        retries : int
            Largest number of retries.
        """
        if failure is None or failure.cause not in RETRYABLE_CAUSES:
            return False
        self.attempts.append(failure.message)
        if len(self.attempts) > retries:
            return False
        logger.warning("%s: %s; the job is retried alone after all other jobs", self.name, failure.message)
        return True

    def describe_failure(self, failure: Failure | None) -> Failure | None:
        """Return a failure whose message mentions the earlier attempts."""
        if failure is None or not self.attempts:
            return failure
        if failure.cause not in RETRYABLE_CAUSES:
            return replace(failure, message=f"{failure.message} (previous attempt: {self.attempts[-1]})")
        if len(self.attempts) == 1:
            return failure
        times = "twice" if len(self.attempts) == 2 else f"{len(self.attempts)} times"
        return replace(
            failure, message=f"{failure.message}; it failed {times}, the last time with no other job running"
        )


@dataclass(eq=False)
class WorkerHandle(Generic[J]):
    """A worker process, and the parent's record of its state."""

    process: Any
    connection: Connection
    deadline: float
    """Monotonic time from which the worker is late. The supervisor then acts and sets the time of the next action. The
    actions are, in order: request the stack of the worker, terminate the worker, kill the worker."""
    is_ready: bool = False
    """True if the worker has loaded the task."""
    assigned: PendingJob[J] | None = None
    """The worker's current job."""
    queued: deque[PendingJob[J]] = field(default_factory=deque)
    """Jobs that the worker has received, and does after its current job."""
    has_started: bool = False
    """True if the worker has confirmed its current job. If the worker dies later, the job fails."""
    assigned_at: float = 0.0
    """Monotonic time when the current job was sent."""
    jobs_done: int = 0
    seconds: float = float("inf")
    """Time of the last job in the worker. Infinite before the first result."""
    stop_reason: str | None = None
    """The reason why the parent is stopping the worker."""
    is_terminated: bool = False
    """True if the worker was sent SIGTERM because it was late."""

    def begin(self, job: PendingJob[J] | None, timeout: float) -> None:
        """Record the current job. None: the worker has no job."""
        self.assigned, self.has_started, self.assigned_at = job, False, time.monotonic()
        self.deadline = float("inf") if job is None else self.assigned_at + timeout

    @property
    def is_idle(self) -> bool:
        """True if the worker waits for a job."""
        return self.is_ready and self.assigned is None

    @property
    def is_stopping(self) -> bool:
        """True if the worker is being stopped. It gets no further job, even if its current job still finishes."""
        return self.stop_reason is not None

    def failure_from_exit(self) -> Failure:
        """Return the failure that describes the exit of the worker."""
        if self.stop_reason:
            return Failure("timeout", self.stop_reason)
        return failure_from_code(self.process.exitcode, "the worker")


def failure_from_code(code: int | None, process: str) -> Failure:
    """Return the failure that describes the exit code of a process, which is named for the message."""
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return Failure("killed", f"{process} was killed by {name}{hint}")
    return Failure("died", f"{process} ended with exit code {code} and without a result")


def unpack(worker: WorkerHandle[Any], message: bytes) -> tuple[str, Any]:
    """Return the kind and content of a worker's message. If a result cannot be unpickled, only its job fails."""
    try:
        kind, content = ForkingPickler.loads(message)
    except Exception as error:
        if worker.assigned is None:
            return "broken", ExecutorError(f"a worker's error cannot be unpickled: {error}")
        failure = failure_from_error(TypeError(f"the worker's result cannot be unpickled: {error}"))
        return "done", (None, failure, time.monotonic() - worker.assigned_at)
    return kind, content


def join_or_kill(process: Any, timeout: float) -> None:
    """Wait for a process that closed its pipe. Kill the process if it still runs after the timeout.

    The process may have closed its sentinel, too. `Process.join` relies on the sentinel and could wait forever.
    """
    deadline = time.monotonic() + timeout
    while process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.join()


def log_level() -> int:
    """Return the log level of this package. Workers use the same level."""
    return logging.getLogger("regionplot").getEffectiveLevel()


def start_process(process: Any, start_method: str) -> None:
    """Start a process. If the host program has not set a default start method, do not set a default.

    The new process starts with the ending signals blocked. The server of `forkserver` must not inherit the blocked
    signals, because the server also serves other code.
    """
    is_undecided = multiprocessing.get_start_method(allow_none=True) is None
    held = nullcontext() if start_method == "forkserver" else ending_signals_held()
    with held, _without_missing_script():
        process.start()
    if is_undecided:  # spawn and forkserver set the default start method when they read it
        multiprocessing.set_start_method(None, force=True)


def start_error(what: str, error: OSError) -> ExecutorError:
    """Return the error for a process that the system cannot start. `what` says what the process is."""
    remedy = REMEDIES.get(error.errno or 0, "allow this user more processes")
    return ExecutorError(f"no {what} can be started: {error.strerror or error}; {remedy}")


@contextmanager
def _without_missing_script() -> Iterator[None]:
    """Hide the script of this program from new processes if the script is not a file.

    An example is a script from standard input. Without this, a process that is not forked tries to run the script
    again.
    """
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if main is None or file is None or script_is_importable():
        yield
        return
    del main.__file__
    try:
        yield
    finally:
        main.__file__ = file


def request_stack(worker: WorkerHandle[Any]) -> None:
    """Make a late worker write its Python stack to stderr."""
    if STACK_SIGNAL is None or not worker.is_ready or not worker.process.is_alive():
        return
    name = worker.assigned.name if worker.assigned else ""
    logger.error("%s: worker %d %s; its stack:", name, worker.process.pid, worker.stop_reason)
    with suppress(ProcessLookupError):
        os.kill(worker.process.pid, STACK_SIGNAL)


def request_stop(worker: WorkerHandle[Any]) -> None:
    """Ask a worker to exit after its current job. Terminate it if its pipe is closed."""
    try:
        worker.connection.send(None)
    except OSError:
        worker.process.terminate()
