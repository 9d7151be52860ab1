"""The baseline: maps drawn in the usual way. Load once, fork a process for each region, draw with pyplot.

Each process draws the whole grid with `pcolormesh` on a `GeoAxes`. It adds the vector files as `ShapelyFeature`s, a
title and a color bar, and saves the figure. The program prints one line of JSON: the time for loading and for each map.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import time
from pathlib import Path

import cartopy.crs as ccrs
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import rioxarray
from cartopy.feature import ShapelyFeature
from cartopy.io.shapereader import Reader
from inputs import LAYERS, LEVELS
from matplotlib.colors import BoundaryNorm

_GRID = ccrs.LambertConformal()
_MAPS = {"same": _GRID, "other": ccrs.AlbersEqualArea(-96, 23, standard_parallels=(29.5, 45.5))}
_data: dict[str, object] = {}
"""Data that the forked processes inherit."""


def load(raster: Path, layers: list[Path]) -> None:
    """Read the grid and the vector files, and make the meshgrid."""
    with rioxarray.open_rasterio(raster, masked=True) as file:
        grid = file.squeeze().load()
    x, y = np.meshgrid(grid.x, grid.y)
    features = {
        path.stem: ShapelyFeature(list(Reader(path).geometries()), _GRID, facecolor="none", edgecolor="black")
        for path in layers
    }
    _data.update(values=grid.values, x=x, y=y, features=features)


def plot(job: tuple[str, list[float], str, tuple[int, int], Path]) -> tuple[float, float, list[float]]:
    """Draw one region. Return wall seconds, CPU seconds, and the panel: left, top, width, height and limits."""
    name, extent, crs, size, folder = job
    start, cpu = time.perf_counter(), time.process_time()
    figure = plt.figure(figsize=(size[0] / 100, size[1] / 100), dpi=100)
    axes = figure.add_subplot(projection=_MAPS[crs])
    axes.set_extent(extent, crs=_GRID)
    colors = plt.get_cmap("turbo", len(LEVELS) - 1)
    norm = BoundaryNorm(LEVELS, colors.N)
    mesh = axes.pcolormesh(_data["x"], _data["y"], _data["values"], cmap=colors, norm=norm, transform=_GRID)
    for layer, feature in _data["features"].items():
        axes.add_feature(feature, linewidth=LAYERS[layer])
    axes.set_title(f"Snowfall {name}", loc="left")
    figure.colorbar(mesh, ax=axes, orientation="horizontal", ticks=LEVELS, aspect=80, pad=0.03, label="Snowfall (in)")
    figure.savefig(folder / f"{name}.png")
    plt.close(figure)
    took = time.perf_counter() - start, time.process_time() - cpu
    left, bottom, width, height = axes.get_window_extent().bounds
    xmin, xmax, ymin, ymax = axes.get_extent()
    return *took, [left, size[1] - bottom - height, width, height, xmin, ymin, xmax, ymax]


def read_jobs(table: Path, count: int | None, crs: str, size: tuple[int, int], folder: Path) -> list[tuple]:
    """Return the jobs: all regions of a table, or `count` regions, evenly distributed over the table."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kept = rows if count is None else [rows[number * len(rows) // count] for number in range(min(count, len(rows)))]
    limits = ("xmin", "xmax", "ymin", "ymax")
    return [(row["name"], [float(row[limit]) for limit in limits], crs, size, folder) for row in kept]


def main() -> None:
    """Draw the maps of a table, and print the times as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("raster", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("layers", type=Path, nargs="*")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--count", type=int)
    parser.add_argument("--crs", choices=list(_MAPS), default="same")
    parser.add_argument("--sheet", type=int, nargs=2, default=(1400, 900))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    jobs = read_jobs(options.table, options.count, options.crs, tuple(options.sheet), options.folder)
    load(options.raster, options.layers)
    loading = time.process_time()
    with multiprocessing.get_context("fork").Pool(options.workers, maxtasksperchild=1) as pool:
        maps = pool.map(plot, jobs, chunksize=1)
    report = {
        "load_cpu": loading,
        "map_wall": [wall for wall, _, _ in maps],
        "map_cpu": [cpu for _, cpu, _ in maps],
        "places": {job[0]: place for job, (_, _, place) in zip(jobs, maps, strict=True)},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
