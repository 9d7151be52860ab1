"""Define the interface between workflows and executors: Task, Executor, Outcome, Failure.

A workflow hands a task and jobs to an executor and receives one outcome per job::

    Task, jobs ─► Executor.run ─► Outcome(job, value or Failure), ...
"""

from __future__ import annotations

import errno
import os
import pickle
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

from regionplot.errors import ExecutorError, RegionplotError

OUT_OF_MEMORY = "memory"
"""Cause of the failure of a job that raised MemoryError."""

UNLIMITED_JOBS = 2**31
"""Value of `jobs_per_worker` for workers that are never replaced."""

J = TypeVar("J")
J_contra = TypeVar("J_contra", contravariant=True)


class Abilities(NamedTuple):
    """Properties of an executor. Callers check these instead of the executor's name."""

    shares_memory: bool
    """Jobs see the data that this process has loaded. Otherwise each worker process loads the data itself."""
    survives_crashes: bool
    """Jobs run in other processes. If one of these processes dies, only its job fails."""
    distributed: bool
    """Workers may run on other machines."""
    limits_time: bool
    """A job that exceeds the timeout is stopped."""
    maps_results: bool = False
    """The caller may map the memory of a worker to read a result, instead of receiving a copy. Workers run on this
    machine. After a result, a worker finishes at most `jobs_ahead` jobs before the caller asks for the next outcome. So
    a worker that uses `jobs_ahead + 1` buffers in turn does not change a result that the caller uses.
    """
    loads_once: bool = False
    """A new process loads the data once, and all workers share the data. This process does not hold the data."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Limits of one worker. An executor ignores the limits that it cannot enforce."""

    timeout: float = float("inf")
    """Time limit for one job in seconds."""
    jobs_per_worker: int = UNLIMITED_JOBS
    """Number of jobs after which a worker process is replaced by a new process."""
    retries: int = 1
    """Number of retries of a job whose worker died or ran out of memory."""
    memory: int | None = None
    """Memory in MB that a worker may allocate after it has loaded the shared data; None is no limit."""
    nice: int = 0
    """Scheduling priority of worker processes from 0 to 19, as in nice(1)."""
    max_deaths: int = UNLIMITED_JOBS
    """Number of consecutive jobs whose workers died, without a success, after which such jobs are not retried."""
    jobs_ahead: int = 0
    """Number of jobs that a worker process gets in advance. The worker does them while the caller uses its last result.
    If the worker dies, another worker gets the waiting jobs. Long and large jobs are not sent in advance.
    """


class Task(Protocol[J_contra]):
    """The work to do for each job. For processes that are not forked, the task must pickle and should be small.

    A task can have an attribute `also_caught`: classes of exceptions, such as SystemExit, that do not derive from
    Exception. These exceptions also become failures of their job.

    A task can have a method `merged`. It gets the values of the jobs that a worker of a cluster has done in one batch,
    and returns as many values, which are sent instead. The method can merge all values into the first.

    A task can have a method `load_for_workers`. A process that only forks workers calls this method instead of `load`.

    A task can have a method `check_machine`, which each worker process of a cluster calls before `load`. It raises a
    RegionplotError if the machine lacks a file that the task needs.

    A task can also have a method `worker_context`, which returns a context manager. Threads and processes that only do
    jobs enter the context before their first job.
    """

    def start_worker(self) -> None:
        """Set up a new worker process: malloc policy, file descriptors. Called once per worker process."""

    def load(self) -> None:
        """Load the data that all jobs share. Called once per process; forked workers inherit the data instead."""

    def __call__(self, job: J_contra) -> Any:
        """Do one job and return a result that pickles."""


class Executor(Protocol):
    """A way to run jobs.

    `make_executor` calls the class with the number of workers and an instance of `Settings`.
    """

    abilities: ClassVar[Abilities]
    Settings: ClassVar[type[WorkerSettings]]
    """Class of the settings: WorkerSettings, or a subclass that adds settings with defaults."""

    @property
    def workers(self) -> int:
        """Maximum number of jobs that run at once."""

    @classmethod
    def unavailable(cls) -> str | None:
        """Return the reason why this program cannot use the executor now, or None."""

    def run(self, task: Task[J], jobs: Iterable[J]) -> Iterator[Outcome[J]]:
        """Apply a task to jobs and yield one outcome per job, in any order.

        An error in a job becomes the failure of its outcome. A job is taken from the iterable only when a worker needs
        it.
        Closing the iterator cancels the remaining jobs and stops the workers.

        Raises
        ------
        RegionplotError
            If `task.load` or `task.start_worker` fails.
        """
        ...


REMEDIES = {
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "the system has too many open files; raise fs.file-max or end other programs",
    errno.EAGAIN: "raise the limit of processes (ulimit -u, or the container's limit)",
    errno.ENOMEM: "free some memory",
}
"""Remedy for each exhausted resource of the system, by error code."""


def describe_os_error(error: OSError) -> str:
    """Return the file, the message and the remedy of an error of the system."""
    file = "" if error.filename is None else f"{error.filename}: "
    remedy = REMEDIES.get(error.errno or 0, "")
    return f"{file}{error.strerror or error}{remedy and '; '}{remedy}"


def load_task(task: Task[Any]) -> None:
    """Load the shared data of a task.

    Raises
    ------
    RegionplotError
        The error of `task.load`; an unexpected error becomes an ExecutorError that contains its traceback.
    """
    _call(task.load, "the data cannot be loaded")


def start_task_worker(task: Task[Any]) -> None:
    """Set up a new worker process for a task. Raise errors like `load_task`."""
    _call(task.start_worker, "a worker cannot be started")


def check_machine(task: Task[Any]) -> None:
    """Check that a machine of a cluster has the files of a task. Raise errors like `load_task`."""
    _call(getattr(task, "check_machine", lambda: None), "the files of the task cannot be checked")


def _call(function: Callable[[], None], problem: str) -> None:
    """Call a function, and convert unexpected errors to an ExecutorError."""
    try:
        function()
    except RegionplotError:
        raise
    except OSError as error:
        raise ExecutorError(f"{problem}: {describe_os_error(error)}") from None
    except Exception as error:
        raise ExecutorError(failure_from_error(error).traceback) from error


def worker_context(task: Task[Any]) -> AbstractContextManager[object]:
    """Return the context of a thread or process that only does jobs of a task."""
    context: AbstractContextManager[object] = getattr(task, "worker_context", nullcontext)()
    return context


def run_job(task: Task[J], job: J) -> Outcome[J]:
    """Do one job and return its outcome. An exception becomes a failure."""
    start = time.perf_counter()
    try:
        value, failure = task(job), None
    except (Exception, *getattr(task, "also_caught", ())) as error:
        value, failure = None, failure_from_error(error)
    return Outcome(job, value, failure, time.perf_counter() - start, os.getpid())


def failure_from_error(error: BaseException) -> Failure:
    """Return a failure that describes an error as text and always pickles. Expected errors have no traceback."""
    name = type(error).__name__
    if is_memory_error(error):
        return Failure(OUT_OF_MEMORY, f"out of memory: {error}", _format_traceback(error), pickled=_pickled(error))
    if isinstance(error, RegionplotError):
        return Failure(name, str(error))
    return Failure(name, f"{name}: {error}", _format_traceback(error), pickled=_pickled(error))


def _pickled(error: BaseException) -> bytes | None:
    """Return a pickled error, or None if it does not pickle."""
    try:
        return pickle.dumps(error)
    except Exception:
        return None


def _format_traceback(error: BaseException) -> str:
    import traceback  # noqa: PLC0415 (only a failed job needs it, and `import regionplot` stays fast)

    return "".join(traceback.format_exception(error))


def is_memory_error(error: BaseException | None) -> bool:
    """Return True if an error is a MemoryError or was raised from one."""
    while error is not None and not isinstance(error, MemoryError):
        error = error.__cause__
    return error is not None


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why a job failed."""

    cause: str
    """Class of the error, such as `NoOverlapError`; or `killed`, `died`, `lost`, `timeout` or `memory`."""
    message: str
    """One or more sentences for the user."""
    traceback: str = ""
    """The worker's traceback, for the log."""
    memory: int | None = None
    """The worker's memory limit in MB, if the job ran out of memory under a limit."""
    pickled: bytes | None = field(default=None, repr=False, compare=False)
    """The unexpected error that the job raised, if it pickles."""
    group: str = ""
    """Name of the jobs that failed together for this reason. Empty: the reason concerns only this job."""
    exit_code: int = 1
    """Exit code of the run if all its jobs failed in groups."""

    @property
    def error(self) -> BaseException | None:
        """The unexpected error that the job raised, or None if it cannot be pickled and unpickled."""
        if self.pickled is None:
            return None
        try:
            error = pickle.loads(self.pickled)
        except Exception:
            return None
        return error if isinstance(error, BaseException) else None


@dataclass(frozen=True, slots=True)
class Outcome(Generic[J]):
    """The result of one job: a value or a failure."""

    job: J
    value: Any = None
    """The task's return value."""
    failure: Failure | None = None
    seconds: float = 0.0
    """Wall time of the job in the worker."""
    pid: int = 0
    """Id of the process that did the job."""

    @property
    def ok(self) -> bool:
        """True if the task returned a value."""
        return self.failure is None

    @property
    def message(self) -> str:
        """Message of the failure. Empty if the task returned a value."""
        return "" if self.failure is None else self.failure.message
