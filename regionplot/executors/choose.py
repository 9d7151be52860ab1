"""Resolve the name of an executor and build the executor."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any, cast

from regionplot.errors import ExecutorError
from regionplot.executors.base import Executor, WorkerSettings
from regionplot.executors.main_guard import exit_if_imported_by_worker
from regionplot.registry import EXECUTORS
from regionplot.system.machine import usable_cpus

AUTO = "auto"

_AUTO_ORDER = ("fork", "forkserver", "spawn") if sys.platform == "linux" else ("forkserver", "spawn")
"""Executors that `auto` tries, in order. Forking is safe only on Linux, because libraries of macOS start threads."""


def resolve_executor(requested: str) -> str:
    """Return the name of an executor that this program can use.

    Exit if this process is a worker that is importing the script.

    Parameters
    ----------
    requested : str
        A name in `registry.EXECUTORS`, or `auto`. `auto` selects fork on Linux in a program with one thread. Otherwise,
        it selects forkserver, or spawn if there is no forkserver.

    Raises
    ------
    ExecutorError
        If there is no executor of this name, or this program cannot use it.
    """
    exit_if_imported_by_worker()
    if requested == AUTO:
        return next(name for name in _AUTO_ORDER if executor_class(name).unavailable() is None)
    reason = executor_class(requested).unavailable()
    if reason is not None:
        raise ExecutorError(f"executor {requested!r} cannot be used: {reason}")
    return requested


def executor_class(name: str) -> type[Executor]:
    """Return the class of an executor.

    Raises
    ------
    ExecutorError
        If there is no executor of this name.
    """
    try:
        found: type[Executor] = EXECUTORS[name]
    except KeyError:
        names = ", ".join([AUTO, *EXECUTORS])
        raise ExecutorError(f"there is no executor {name!r}; use one of {names}") from None
    return found


def make_executor(name: str, workers: int, settings: WorkerSettings) -> Executor:
    """Build an executor.

    Parameters
    ----------
    name : str
        A name in `registry.EXECUTORS`, as returned by `resolve_executor`.
    workers : int
        Number of workers, as returned by `count_workers`.
    settings : WorkerSettings
        Limits of time and memory, and retries.

    Raises
    ------
    ConfigError
        If an executor of another package lacks a member of `Executor`.
    """
    cls: Any = executor_class(name)
    executor: Executor = cls(
        workers, settings if isinstance(settings, cls.Settings) else cls.Settings(**asdict(settings))
    )
    return cast(Executor, EXECUTORS.checked(name, executor))


def count_workers(requested: int | str, jobs: int, cpus: int | None = None) -> int:
    """Return the number of workers for a number of jobs: at most one worker per job, but at least one worker.

    Parameters
    ----------
    requested : int or "auto"
        `auto` is one worker per usable CPU.
    jobs : int
        Number of jobs.
    cpus : int, optional
        Number of usable CPUs; by default the CPUs that this process may use.

    Examples
    --------
    >>> count_workers("auto", 100, cpus=3), count_workers(8, 5), count_workers(4, 0)
    (3, 5, 1)
    """
    wanted = (usable_cpus() if cpus is None else cpus) if requested == AUTO else int(requested)
    return max(1, min(wanted, jobs))


def connect_executor(cluster: Any, settings: WorkerSettings | None = None) -> tuple[str, Executor]:
    """Return the name and the executor for a running dask cluster.

    Parameters
    ----------
    cluster : str, Path or distributed.Client
        Address of the scheduler, its file as a Path, or a client that is connected to the scheduler.
    settings : WorkerSettings, optional
        Limits of the run.

    Raises
    ------
    ExecutorError
        If the package distributed is missing, or the cluster does not answer.
    """
    executor: Executor = EXECUTORS["dask"].at(cluster, settings)
    return "dask", executor
