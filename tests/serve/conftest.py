"""Fixtures of the map service."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from service_client import Client, close_clients, make_client, make_config

from regionplot.settings.config import Config


@pytest.fixture(scope="module")
def columns_config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return make_config(tmp_path_factory.mktemp("serve"))


@pytest.fixture(scope="module", autouse=True)
def no_threads() -> Iterator[None]:
    """End the threads of all clients and applications after each module, because other tests fork."""
    yield
    close_clients()
    if _pool_threads():
        gc.collect()  # applications that have not been shut down
    for thread in _pool_threads():
        thread.join(5)


def _pool_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]


@pytest.fixture(scope="module")
def client(columns_config: Config) -> Client:
    return make_client(columns_config)


@pytest.fixture
def new_client(tmp_path: Path) -> Callable[..., Client]:
    """A function that makes a client with further settings."""
    return lambda **sections: make_client(make_config(tmp_path, **sections))
