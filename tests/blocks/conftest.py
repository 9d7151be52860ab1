"""Builders for the tests of blocks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture
def values() -> NDArray[np.float32]:
    """Two bands that look like nothing."""
    return np.random.default_rng(5).normal(size=(2, 70, 90)).astype(np.float32)


@pytest.fixture
def grid_file(write_raster: Callable[..., Path], values: NDArray[Any]) -> Path:
    """A tiled raster of them, with all that can be said of it."""
    return write_raster(
        values, nodata=-9999.0, tiled=True, blockxsize=32, blockysize=16, compress="deflate", predictor=3,
        descriptions=("snow", "water"), scales=(0.5, 2.0), offsets=(0.0, 1.0),
        tags={"VALID_TIME": "2026-11-20T00:00:00"},
    )  # fmt: skip


@pytest.fixture
def read() -> Callable[[Path], NDArray[Any]]:
    """All bands of a raster."""

    def read_bands(path: Path) -> NDArray[Any]:
        import rasterio

        with rasterio.open(path) as dataset:
            return dataset.read()

    return read_bands
