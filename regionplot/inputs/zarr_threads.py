"""End the threads that the zarr library starts, because a process with threads cannot fork safely.

Zarr 3 reads in an event loop in a thread of its own, which starts more threads. They stay alive after a read. Zarr
starts new threads at the next read. Zarr 2 starts no threads.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from regionplot.system.threads import wait_for_exit

if TYPE_CHECKING:
    import asyncio

_TIMEOUT = 10.0
"""Maximum time to wait for the threads, in seconds. After a failed read, requests for other chunks can still run."""
_NAMES = ("asyncio_", "zarr_")
"""Beginnings of the names of zarr's threads."""
_own: list[asyncio.AbstractEventLoop] = []
"""The event loop that zarr has started for a read of this package."""


@contextmanager
def ended_zarr_threads() -> Iterator[None]:
    """End the threads that zarr starts in this context, at the end of the context. See `end_zarr_threads`."""
    had_threads = _loop() is not None or bool(_zarr_threads())
    try:
        yield
    finally:
        loop = _loop()
        if loop is not None and not had_threads:
            _own[:] = [loop]
        end_zarr_threads()


def end_zarr_threads() -> None:
    """End the threads that zarr has started for reads of this package, and wait until they have exited.

    Do nothing if other threads could use them: if this is not the main thread, or if the program has threads of its
    own. Such a program does not fork. If zarr has no function that ends its threads, they stay alive.
    """
    loop, zarr_threads = _loop(), _zarr_threads()
    if loop is None or loop not in _own or set(threading.enumerate()) != {*zarr_threads, threading.main_thread()}:
        return
    end = getattr(sys.modules["zarr.core.sync"], "cleanup_resources", None)
    if end is None or threading.current_thread() is not threading.main_thread():
        return
    import asyncio  # noqa: PLC0415 (few runs read Zarr stores)

    asyncio.run_coroutine_threadsafe(_cancel_others(), loop).result()
    end()
    _own.clear()
    deadline = time.monotonic() + _TIMEOUT
    for thread in zarr_threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    wait_for_exit([found for thread in zarr_threads if not thread.is_alive() and (found := thread.native_id)])


async def _cancel_others() -> None:
    """Cancel the rest of a read that has failed."""
    import asyncio  # noqa: PLC0415

    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _loop() -> Any:
    """Return zarr's event loop, or None if there is none."""
    return getattr(sys.modules.get("zarr.core.sync"), "loop", [None])[0]


def _zarr_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(_NAMES)]
