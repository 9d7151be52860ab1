"""End the process of dask with the tests."""

from __future__ import annotations

from collections.abc import Iterator

import dask_process
import pytest


@pytest.fixture(scope="session", autouse=True)
def _end_dask_process() -> Iterator[None]:
    yield
    dask_process.end()
