"""An application that draws in this process, and a client that calls it without a socket."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import rasterio
from PIL import Image
from rasterio.transform import from_origin
from scipy.io import netcdf_file

from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.serve.app import make_app
from regionplot.serve.generation import load_generation
from regionplot.serve.local import LocalBackend
from regionplot.settings.config import Config
from regionplot.settings.loading import read_config

REGIONS = [
    Region("north", Extent(-100, -96, 41, 44), title="North"),
    Region("south west", Extent(-100, -98, 40, 41.5), title="South <West>"),
    Region("elsewhere", Extent(10, 12, 41, 44)),
]
TIMES = ["2026-03-10T00:00:00Z", "2026-03-10T06:00:00Z", "2026-03-10T12:00:00Z"]
"""Times of the bands of `write_series`."""
LEVELS = [0, 10, 20, 30, 40]
PLAIN_TABLES = {
    "colors": {"levels": LEVELS, "colormap": "viridis", "under": "lowest", "over": "highest"},
    "map": {"size": [300, 200], "style": "plain"},
    "run": {"cache": False},
}
"""Settings without a raster."""


def write_raster(path: Path, values: np.ndarray, west: float = -100, north: float = 44, cell: float = 0.1) -> Path:
    """Write a raster in degrees. Its first row is in the north. NaN is missing."""
    height, width = values.shape
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 1, "dtype": "float32", "nodata": -9999.0}
    with rasterio.open(path, "w", crs="EPSG:4326", transform=from_origin(west, north, cell, cell), **profile) as target:
        target.write(np.where(np.isnan(values), -9999.0, values).astype("float32"), 1)
    return path


def write_series(folder: Path, add: float = 0) -> Path:
    """Write a raster with three times. At time `t`, all cells are 10 t + `add`."""
    axes = {"lat": 44 - 0.1 * np.arange(40), "lon": -100 + 0.1 * np.arange(41), "time": 6.0 * np.arange(3)}
    units = {"lat": "degrees_north", "lon": "degrees_east", "time": "hours since 2026-03-10 00:00"}
    with netcdf_file(folder / "new.nc", "w") as file:
        for name, values in axes.items():
            file.createDimension(name, values.size)
            axis = file.createVariable(name, "f8", (name,))
            axis[:], axis.units = values, units[name]
        depth = file.createVariable("depth", "f4", ("time", "lat", "lon"))
        depth.units, depth.long_name = "m", "Depth"
        depth[:] = np.broadcast_to(10 * np.arange(3)[:, None, None] + add, (3, 40, 41))
    return (folder / "new.nc").rename(folder / "series.nc")


def columns(height: int = 40, width: int = 40) -> np.ndarray:
    """Return values that are the number of their column. The first row is missing."""
    values = np.tile(np.arange(width, dtype=float), (height, 1))
    values[0] = np.nan
    return values


_open: list[LocalBackend] = []


@dataclass
class Client:
    """Call an ASGI application. Each call is one request."""

    app: Any
    backend: LocalBackend

    def get(self, address: str, method: str = "GET", **headers: str) -> httpx.Response:
        """Return the response to one request."""

        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://maps.test") as client:
                own = address if address.startswith("http") else f"http://maps.test{address}"
                return await client.request(method, own, headers=headers)

        return asyncio.run(call())

    def pixels(self, address: str) -> np.ndarray:
        """Return the pixels of an image, shape (height, width, 4)."""
        response = self.get(address)
        assert response.status_code == 200, response.text
        return np.asarray(Image.open(io.BytesIO(response.content)).convert("RGBA"))

    @property
    def product(self) -> str:
        """Name of the default product."""
        assert self.backend.current is not None
        return self.backend.current.catalog.default_product.name

    @property
    def run(self) -> str:
        assert self.backend.current is not None
        return self.backend.current.catalog.run


def make_config(folder: Path, **sections: Any) -> Config:
    """Return settings for the raster of columns."""
    raster = write_raster(folder / "columns.tif", columns())
    base = {**PLAIN_TABLES, "raster": {"path": raster}, "output": {"directory": folder / "output"}}
    return read_config({**base, **sections})


def make_client(config: Config, regions: list[Region] = REGIONS) -> Client:
    backend = LocalBackend()
    backend.replace(load_generation(config, regions))
    _open.append(backend)
    return Client(make_app(backend, config.serve, lambda _line: None), backend)


def close_clients() -> None:
    """End the threads of all clients, because a program with threads cannot fork safely."""
    while _open:
        _open.pop().close()
