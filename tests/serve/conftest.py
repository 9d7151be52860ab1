"""Fixtures of the map service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from service_client import Client, make_client, make_config

from regionplot.settings.config import Config


@pytest.fixture(scope="module")
def columns_config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return make_config(tmp_path_factory.mktemp("serve"))


@pytest.fixture(scope="module")
def client(columns_config: Config) -> Iterator[Client]:
    made = make_client(columns_config)
    yield made
    assert made.backend.current is not None
    made.backend.current.close()


@pytest.fixture
def new_client(tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """A function that makes a client with further settings."""
    made: list[Client] = []

    def make(**sections: Any) -> Client:
        made.append(make_client(make_config(tmp_path, **sections)))
        return made[-1]

    yield make
    for each in made:
        assert each.backend.current is not None
        each.backend.current.close()
