"""Define the interface between workflows and executors: Task, Executor, Outcome, Failure."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from regionplot.errors import ExecutorError, RegionplotError

OUT_OF_MEMORY = "memory"
"""The cause of a job's failure that stands for MemoryError."""


J = TypeVar("J")


J_contra = TypeVar("J_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker process may use, and what becomes of the jobs of those that die."""

    timeout: float
    """Seconds for one job."""
    jobs_per_worker: int
    """A worker is replaced by a fresh one after so many jobs."""
    retries: int = 1
    """How often a job whose worker died or ran out of memory is tried again, alone, after all others."""
    memory: int | None = None
    """Megabytes that a worker may take beyond what it holds when it is ready; no limit by default."""
    nice: int = 0
    """How far workers give way to other programs, 0 to 19."""


class Task(Protocol[J_contra]):
    """What is done to each job. It must pickle, small, for processes that are not forked."""

    def prepare(self) -> None:
        """Load what all jobs share, if this process has not got it yet."""

    def __call__(self, job: J_contra) -> Any:
        """Do one job; the result must pickle."""


class Executor(Protocol):
    """How jobs are done."""

    workers: int

    def run(self, task: Task[J], jobs: Iterable[J]) -> Iterator[Outcome[J]]:
        """Apply a task to jobs; yield each one's outcome as it comes, in any order.

        An error of one job is its outcome, not an exception. Closing the iterator ends the work.
        """
        ...


def prepare(task: Task[Any]) -> None:
    """Have a task load what its jobs share; an unforeseen error becomes an ExecutorError that holds its traceback."""
    try:
        task.prepare()
    except RegionplotError:
        raise
    except Exception as error:
        raise ExecutorError(failure_of(error).traceback) from error


def run_job(task: Task[J], job: J) -> Outcome[J]:
    """Do one job; its error becomes its outcome."""
    start = time.perf_counter()
    try:
        value, failure = task(job), None
    except Exception as error:
        value, failure = None, failure_of(error)
    return Outcome(job, value, failure, time.perf_counter() - start, os.getpid())


def failure_of(error: BaseException) -> Failure:
    """An error as text, which always pickles; unforeseen ones keep their traceback."""
    name = type(error).__name__
    if is_memory_error(error):
        return Failure(OUT_OF_MEMORY, f"out of memory: {error}", "".join(traceback.format_exception(error)))
    if isinstance(error, RegionplotError):
        return Failure(name, str(error))
    return Failure(name, f"{name}: {error}", "".join(traceback.format_exception(error)))


def is_memory_error(error: BaseException | None) -> bool:
    """Whether an error is a MemoryError, or was raised from one."""
    while error is not None and not isinstance(error, MemoryError):
        error = error.__cause__
    return error is not None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job came to nothing."""

    cause: str
    """Class of the error, or what became of the worker: `NoOverlapError`, `killed`, `timeout` ..."""
    message: str
    """One or more sentences for the user."""
    traceback: str = ""
    """The worker's traceback, for the log."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[J]):
    """What became of one job: a value or a failure."""

    job: J
    value: Any = None
    """What the task returned."""
    failure: Failure | None = None
    seconds: float = 0.0
    """Wall time the worker spent on it."""
    pid: int = 0
    """The process that worked on it."""

    @property
    def ok(self) -> bool:
        """Whether the task returned."""
        return self.failure is None
