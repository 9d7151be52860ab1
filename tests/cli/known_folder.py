"""A folder with the inputs of runs that can become known runs."""

from __future__ import annotations

import os
import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from affine import Affine
from loggers import fresh_logging
from numpy.typing import NDArray

import regionplot
from regionplot.cli import commands
from regionplot.render import fonts
from regionplot.runs import identity

REPOSITORY = Path(regionplot.__file__).parents[1]
"""An editable installation puts this folder on the path for imports. Other tests write their caches into it."""


def write_cells(path: Path, cells: NDArray[Any]) -> None:
    """Write a raster with cells of 1 degree, as the fixture `write_raster` does."""
    profile = {"driver": "GTiff", "dtype": cells.dtype, "count": 1, "crs": "EPSG:4326"}
    height, width = cells.shape
    with rasterio.open(
        path, "w", height=height, width=width, transform=Affine(1, 0, -100, 0, -1, 50), **profile
    ) as file:
        file.write(cells, 1)


def fill_folder(folder: Path, table: str, settings: str) -> None:
    """Write a vector layer, a table and settings."""
    box = np.array([shapely.to_wkb(shapely.box(-90, 10, -60, 40))], dtype=object)
    pyogrio.raw.write(folder / "layer.shp", box, [np.arange(1)], ["id"], geometry_type="Polygon", crs="EPSG:4326")
    (folder / "regions.csv").write_text(table)
    (folder / "regionplot.toml").write_text(settings)


def use_cache(folder: Path, drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the age of inputs be zero, and use a new cache that has the ink and the records of code of another folder."""
    for name in ("ink", "code"):
        shutil.copytree(drawn / "cache" / "regionplot" / name, folder / "cache" / "regionplot" / name)
    monkeypatch.setattr(identity, "MIN_AGE", 0.0)
    mark_of = identity.mark_of
    monkeypatch.setattr(identity, "mark_of", lambda path: None if Path(path) == REPOSITORY else mark_of(path))
    monkeypatch.setattr(fonts, "FALLBACKS", fonts.FontFallbacks())
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))


def draw_once(folder: Path) -> Path:
    """Draw the maps of a folder and return the folder. Most tests would draw the same ink in their first run."""
    with chdir(folder), mock.patch.dict(os.environ, XDG_CACHE_HOME=str(folder / "cache")), fresh_logging():
        assert commands.run(["-q", "regions.csv"]) == 0
    return folder
