"""Choose and make the executor for a run."""

from __future__ import annotations

import multiprocessing
import sys
import threading

from regionplot.errors import ExecutorError
from regionplot.executors.base import Executor, WorkerSettings
from regionplot.executors.processes import ProcessExecutor
from regionplot.executors.serial import SerialExecutor
from regionplot.executors.threads import ThreadExecutor
from regionplot.system.machine import usable_cpus


def choose_start_method(requested: str) -> str:
    """The start method to use for `auto`, or the one requested if it is safe here.

    Fork copies only the calling thread: a lock held by another one stays locked in the child for ever. So it is taken
    only on Linux, and only if the program runs no second Python thread.

    Raises
    ------
    ExecutorError
        If the platform lacks the method, or it is `fork` and the program runs threads.
    """
    available = multiprocessing.get_all_start_methods()
    threads = threading.active_count()
    if requested == "auto":
        if sys.platform == "linux" and threads == 1:
            return "fork"
        return "forkserver" if "forkserver" in available else "spawn"
    if requested not in {*available, "serial", "threads", "dask"}:
        raise ExecutorError(f"start method {requested!r} does not exist on this platform; use 'auto'")
    if requested == "fork" and threads > 1:
        raise ExecutorError(
            f"start method 'fork' is unsafe in a program with {threads} threads; use 'auto', 'forkserver' or 'serial'"
        )
    return requested


def make_executor(start_method: str, workers: int | str, jobs: int, settings: WorkerSettings) -> Executor:
    """An executor for a number of jobs.

    Parameters
    ----------
    start_method : {"serial", "threads", "fork", "forkserver", "spawn", "dask"}
        What `choose_start_method` gives.
    workers : int or "auto"
        Never more are started than there are jobs; `auto` is one for each usable CPU.
    jobs : int
        How many jobs there will be.
    settings : WorkerSettings
        Limits of time and memory, retries; the serial executor has none.
    """
    if start_method == "serial":
        return SerialExecutor()
    wanted = usable_cpus() if workers == "auto" else int(workers)
    count = max(1, min(wanted, jobs))
    if start_method == "threads":
        return ThreadExecutor(count)
    if start_method == "dask":
        from regionplot.executors.dask import DaskExecutor  # noqa: PLC0415 (an optional dependency)

        return DaskExecutor(count)
    return ProcessExecutor(start_method, count, settings)
