"""Run the jobs of a task in a dask worker: load the task once, refuse another program, free the data."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Generic

from regionplot._version import __version__
from regionplot.errors import ExecutorError, RegionplotError
from regionplot.executors.base import (
    J,
    Outcome,
    Task,
    check_machine,
    failure_from_error,
    load_task,
    run_job,
    start_task_worker,
)
from regionplot.executors.dask_sources import Sources, missing_packages
from regionplot.system.machine import available_memory
from regionplot.system.processes import host_name

_MIN_MEMORY = 512 * 2**20
"""Available memory in bytes below which a worker does not keep the data after a run."""

_LARGEST_SHARE = 0.6
"""Part of the memory limit of a worker that its process may use after a run."""

_load_lock = threading.Lock()
"""Lock of `LoadedTask.load`, because a dask worker may have several threads."""

_MAX_KEPT_TASKS = 2
"""Number of tasks that a worker process keeps. Several runs can use a cluster at once."""

_kept_tasks_lock = threading.RLock()
_kept_tasks: dict[str, LoadedTask[Any]] = {}
"""The last tasks of this worker process, by their keys. All batches of a run use the same task."""

UNKNOWN = "unknown"
"""Answer of a worker that does not have the task, because it joined the cluster later."""


def _own_program() -> Mapping[str, str]:
    return program_facts()


@dataclass
class LoadedTask(Generic[J]):
    """A task that is sent once to each worker. All jobs of the worker use the same object."""

    task: Task[J]
    parent: int = field(default_factory=os.getpid)
    """Process id of the caller. An `inproc://` cluster runs its workers in this process."""
    host: str = field(default_factory=host_name)
    """Name of the machine of the caller."""
    is_loaded: bool = False
    error: RegionplotError | None = None
    """Error of the failed load. All jobs of the worker report this error."""
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    program: Mapping[str, str] = field(default_factory=_own_program)
    """Versions of the caller. Workers can join a cluster at any time, so each worker compares its own."""
    sources: Sources = field(default_factory=Sources)
    """Modules of the user. They are unpickled before the task, which needs them."""
    is_ended: bool = False
    """True if the run has ended. A running batch then stops after its current job."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the loaded state, because dask may copy the task from a worker that has loaded the data."""
        return _received_task, (self.key, self.sources, self.task, self.parent, self.host, self.program)

    def load(self) -> None:
        """Load the task once per worker. If loading fails, keep the error for all jobs of the worker."""
        with _load_lock:
            if not self.is_loaded:
                self.is_loaded = True
                try:
                    self._load()
                except RegionplotError as error:
                    self.error = error

    def _load(self) -> None:
        if problem := difference(program_facts(), self.program):
            raise ExecutorError(refusal(_name_of_worker(), problem))
        if not self.is_in_caller:
            start_task_worker(self.task)
            with _naming_worker():
                check_machine(self.task)
        with nullcontext() if self.host == host_name() else _naming_worker():
            load_task(self.task)

    @property
    def is_in_caller(self) -> bool:
        """True if this worker is a thread of the process that runs the jobs."""
        return (self.parent, self.host) == (os.getpid(), host_name())


@contextmanager
def _naming_worker() -> Iterator[None]:
    """Add the name of this worker to errors, because other workers may have the files that it lacks."""
    try:
        yield
    except RegionplotError as error:
        error.args = tuple(f"dask worker {_name_of_worker()}: {problem}" for problem in error.problems)
        raise


def _name_of_worker() -> str:
    """Return the address and the host of this worker."""
    import distributed  # noqa: PLC0415 (an optional dependency)

    try:
        return f"{distributed.get_worker().address} on {host_name()}"
    except ValueError:  # this thread runs no job of dask
        return f"process {os.getpid()} on {host_name()}"


def _received_task(
    key: str, sources: Sources, task: Task[J], parent: int, host: str, program: Mapping[str, str]
) -> LoadedTask[J]:
    """Return the task that has been sent to this worker. If it was sent before, return the same object."""
    with _kept_tasks_lock:
        found = _kept_tasks.setdefault(key, LoadedTask(task, parent, host, key=key, program=program, sources=sources))
        for other in list(_kept_tasks)[:-_MAX_KEPT_TASKS]:
            _kept_tasks.pop(other, None)
        return found


def receive_task(content: bytes, packages: tuple[str, ...]) -> list[str]:
    """Keep a task that the client has sent, and return the packages that this worker does not have.

    Parameters
    ----------
    content : bytes
        The pickled `LoadedTask`. It is not unpickled if packages are missing.
    packages : tuple of str
        Packages that the task needs.
    """
    missing = missing_packages(packages)
    if not missing:
        with _kept_tasks_lock:
            pickle.loads(content)
    return missing


def end_task(key: str, dask_worker: Any = None) -> None:
    """Stop the running batch and free the task at the end of a run.

    If little memory is available, also free the data that the process keeps.

    Parameters
    ----------
    key : str
        Key of the task.
    dask_worker : distributed.Worker, optional
        The worker, from `Client.run`.
    """
    kept = _kept_tasks.pop(key, None)
    if kept is not None:
        kept.is_ended = True
        if not kept.is_in_caller and is_short_of_memory(dask_worker):
            getattr(kept.task, "unload", lambda: None)()


def is_short_of_memory(dask_worker: Any) -> bool:
    """Return True if the machine has little memory, or a worker uses much of the memory that it may use.

    Dask pauses a worker that uses 80 % of its memory limit.
    """
    limit = getattr(getattr(dask_worker, "memory_manager", None), "memory_limit", None)
    used = dask_worker.monitor.proc.memory_info().rss if limit else 0
    return available_memory() < _MIN_MEMORY or used > _LARGEST_SHARE * (limit or 1)


def run_jobs(key: str, jobs: Sequence[J], content: bytes = b"") -> tuple[str, Any]:
    """Do a batch of jobs in a worker.

    Return `done` and the parts of each outcome, or `broken` and the error of the load. Return `UNKNOWN` if the worker
    does not have the task.

    Parameters
    ----------
    key : str
        Key of the task.
    jobs : sequence
        The jobs.
    content : bytes
        The pickled task, for a worker that does not have it.
    """
    loaded = _kept_tasks.get(key)
    if loaded is None and not content:
        return UNKNOWN, None
    try:
        loaded = loaded or pickle.loads(content)
    except Exception as error:
        problem = f"the task cannot be unpickled: {str(error) or type(error).__name__}"
        return "broken", ExecutorError(f"dask worker {_name_of_worker()}: {problem}")
    loaded.load()
    if loaded.error is not None:
        return "broken", loaded.error
    outcomes = [_run_job(loaded.task, job) for job in jobs if not loaded.is_ended]
    outcomes = _merged(loaded.task, outcomes)
    return "done", [(outcome.value, outcome.failure, outcome.seconds, outcome.pid) for outcome in outcomes]


def _merged(task: Task[J], outcomes: list[Outcome[J]]) -> list[Outcome[J]]:
    """Merge the values of a batch if the task can. If it fails, the caller gets all values, and finds the error."""
    finished = [outcome for outcome in outcomes if outcome.ok]
    merge = getattr(task, "merged", None)
    if merge is None or len(finished) < 2:
        return outcomes
    try:
        values = dict(zip(map(id, finished), merge([outcome.value for outcome in finished]), strict=True))
    except Exception:
        return outcomes
    return [replace(each, value=values[id(each)]) if each.ok else each for each in outcomes]


def _run_job(task: Task[J], job: J) -> Outcome[J]:
    try:
        return run_job(task, job)
    except BaseException as error:  # KeyboardInterrupt would end the worker, and GeneratorExit the thread of the client
        return Outcome(job, failure=failure_from_error(error), pid=os.getpid())


@cache
def program_facts() -> dict[str, str]:
    """Return the versions of Python, regionplot and the libraries that it requires, and a digest of its source code."""
    facts = {"Python": f"{sys.version_info.major}.{sys.version_info.minor}", "regionplot": __version__}
    try:
        required = metadata.requires("regionplot") or ()
    except metadata.PackageNotFoundError:
        required = ()
    for name in (re.split(r"[^\w.-]", text)[0] for text in required if "extra ==" not in text):
        try:
            facts[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            facts[name] = "none"
    return {**facts, "the source code of regionplot": _source_digest()}


def _source_digest() -> str:
    """Return the first digits of the SHA-256 of the modules of regionplot."""
    folder, total = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        total.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:12]


def difference(found: Mapping[str, str], expected: Mapping[str, str]) -> str:
    """Return the versions of a worker that differ from the caller's versions. Empty if they are the same."""
    names = [name for name in (*expected, *(set(found) - set(expected))) if found.get(name) != expected.get(name)]
    return ", ".join(f"has {name} {found.get(name)} instead of {expected.get(name)}" for name in names)


def refusal(worker: str, problem: str) -> str:
    """Return the message about a worker that runs another program."""
    return f"dask worker {worker} {problem}; install the same versions on all workers and restart them"
