"""Compare `bilinear` and `cubic` sampling with GDAL's warp: ``python benchmarks/sampling.py``.

The program prints the CPU time in ms per million pixels of a panel, and the ratio. The two ways alternate.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))  # as the command does, before NumPy is imported

import numpy as np  # noqa: E402
import pyproj  # noqa: E402
from affine import Affine  # noqa: E402

from regionplot.geo.crs import parse_crs  # noqa: E402
from regionplot.geo.extent import Extent, PanelGrid  # noqa: E402
from regionplot.geo.grid import GridGeometry  # noqa: E402
from regionplot.geo.project import project_extent  # noqa: E402
from regionplot.geo.sampling import sample  # noqa: E402
from regionplot.geo.warp import warp_to_panel  # noqa: E402
from regionplot.system.memory import return_large_blocks  # noqa: E402

LONLAT, ALBERS = parse_crs("EPSG:4326"), parse_crs("EPSG:5070")
CASES = {"same CRS": (Extent(-120, -90, 27, 45), LONLAT), "other CRS": (Extent(-125, -66, 24, 50), ALBERS)}
METHODS = ("bilinear", "cubic")


def world(cells_per_degree: int) -> GridGeometry:
    """Return a grid of the whole earth in degrees."""
    size = 1 / cells_per_degree
    return GridGeometry(Affine(size, 0, -180, 0, -size, 90), 180 * cells_per_degree, 360 * cells_per_degree, LONLAT)


def panel_of(extent: Extent, crs: pyproj.CRS, width: int) -> PanelGrid:
    """Return the panel of a map with the proportions 3 to 2."""
    limits, height = project_extent(extent, LONLAT, crs), width * 2 // 3
    size = max(limits.width / width, limits.height / height)
    return PanelGrid(limits.resized(size * width, size * height), width, height)


def compare(ours: Callable[[], Any], theirs: Callable[[], Any], repeat: int) -> tuple[float, float]:
    """Return the median CPU seconds of two functions that are called in turn."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeat + 1):
        for function, spent in zip((ours, theirs), seconds, strict=True):
            start = time.process_time()
            function()
            spent.append(time.process_time() - start)
    return median(seconds[0][1:]), median(seconds[1][1:])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a small panel, once")
    cells, width, repeat = (1, 100, 1) if parser.parse_args().small else (12, 1260, 15)
    return_large_blocks()  # as in a worker
    grid = world(cells)
    values = np.random.default_rng(0).normal(size=(grid.height, grid.width)).astype(np.float32)
    print(f"{'case':<10} {'method':<9} {'gather':>7} {'warp':>7}  warp / gather")
    for name, (extent, crs) in CASES.items():
        panel = panel_of(extent, crs, width)
        million = panel.width * panel.height / 1e6
        for method in METHODS:
            ours, theirs = compare(
                lambda: sample(values, grid, panel, crs, method),  # noqa: B023 (called before the loop goes on)
                lambda: warp_to_panel(values, grid, panel, crs, method),  # noqa: B023
                repeat,
            )
            times = f"{1e3 * ours / million:7.1f} {1e3 * theirs / million:7.1f}"
            print(f"{name:<10} {method:<9} {times}  {theirs / ours:.1f}")


if __name__ == "__main__":
    main()
