"""Provide a thread pool that allows the program to fork safely after the shutdown of the pool.

Python reports a thread as finished after its last statement, but the system's thread may still be running. At this
moment, C libraries free the memory of the thread, and hold locks. A process that is forked at that moment inherits a
lock that is never released. With GDAL, this happened in 1 of 100 forks on a busy machine, and the child process hung at
its first read.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

_TASKS = Path("/proc/self/task")
_PAUSE = 0.0002
GLOBALS_LOCK = threading.RLock()
"""Lock for Python's warning filters and matplotlib's rcParams, which all threads share. rasterio changes the warning
filters when it warps and rasterizes."""
if hasattr(os, "register_at_fork"):  # a child process must not inherit a lock that a thread of its parent holds
    os.register_at_fork(
        before=GLOBALS_LOCK.acquire, after_in_child=GLOBALS_LOCK.release, after_in_parent=GLOBALS_LOCK.release
    )


@contextmanager
def ignored_warnings(category: type[Warning] = Warning, message: str = "") -> Iterator[None]:
    """Ignore warnings in this block. Other threads that change warning filters wait.

    Parameters
    ----------
    category : type of Warning
        Only warnings of this class are ignored.
    message : str
        Regular expression. Only warnings whose texts begin with a match are ignored.
    """
    with GLOBALS_LOCK, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message, category)
        yield


@contextmanager
def thread_pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Provide a thread pool. At the end, cancel queued calls, and wait for running calls and for the system's threads.

    Parameters
    ----------
    workers : int
        Number of threads.
    """
    started: list[int] = []
    pool = ThreadPoolExecutor(
        workers, thread_name_prefix="regionplot", initializer=lambda: started.append(threading.get_native_id())
    )
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        wait_for_exit(started)


def wait_for_exit(threads: list[int], timeout: float = 5.0) -> None:
    """Wait until the system's threads have exited.

    Linux only, because other systems do not list threads and cannot fork safely.

    Parameters
    ----------
    threads : list of int
        Native ids of the threads.
    timeout : float
        Seconds to wait at most.
    """
    deadline = time.monotonic() + timeout
    while any((_TASKS / str(thread)).exists() for thread in threads) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
