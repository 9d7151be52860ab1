"""A thread pool whose threads are really gone when it is closed, so that the program may fork.

Python takes a thread for ended when its last line is done, but the system's thread still has things to put away:
C libraries free what they kept for it, under their locks. A process forked in that moment inherits such a lock, locked
for ever. With GDAL that was seen in one of a hundred forks on a busy machine; the child then hangs at its first read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

_TASKS = Path("/proc/self/task")


_PAUSE = 0.0002


_LONGEST = 5.0
"""Seconds to wait for a thread's end."""


@contextmanager
def thread_pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    """A pool; in the end what waits in it is cancelled, what runs is waited for, and its threads are gone."""
    started: list[int] = []
    pool = ThreadPoolExecutor(
        workers, thread_name_prefix="regionplot", initializer=lambda: started.append(threading.get_native_id())
    )
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        _wait_until_gone(started)


def _wait_until_gone(threads: list[int]) -> None:
    """Linux only, for only there is forked while a program goes on."""
    deadline = time.monotonic() + _LONGEST
    while any((_TASKS / str(thread)).exists() for thread in threads) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
