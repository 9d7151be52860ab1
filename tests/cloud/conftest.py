"""Fixtures of the tests of object storage and Zarr."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator

import pytest
from range_server import RangeServer, range_server


async def _finish_tasks() -> None:
    """Wait for the other chunks of a read that has failed."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(autouse=True)
def no_threads() -> Iterator[None]:
    """End the threads of zarr and fsspec, because a process with threads cannot fork in later tests."""
    yield
    if "zarr.core.sync" in sys.modules:
        loop = sys.modules["zarr.core.sync"].loop[0]
        if loop is not None:
            asyncio.run_coroutine_threadsafe(_finish_tasks(), loop).result(5)
        sys.modules["zarr.core.sync"].cleanup_resources()
    asyn = sys.modules.get("fsspec.asyn")
    if asyn is not None and asyn.iothread[0] is not None:
        loop = asyn.loop[0]
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        asyn.iothread[0].join(5)
        asyn.loop[0] = asyn.iothread[0] = None
    for thread in threading.enumerate():
        if thread.name.startswith("asyncio_"):
            thread.join(5)


@pytest.fixture
def server() -> Iterator[RangeServer]:
    """Yield a web server without objects."""
    with range_server() as found:
        yield found


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat failed requests at once."""
    from regionplot.inputs import remote

    monkeypatch.setattr(remote, "_PAUSES", (0.0, 0.0))
