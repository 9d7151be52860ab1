"""Draw with matplotlib and cartopy, as an expert does: each map draws only its own cells and lines."""

from __future__ import annotations

from pathlib import Path

import cartopy.crs as ccrs
import numpy as np
import pyogrio.raw
import rasterio
import shapely
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from rasterio.windows import Window
from task import Map, Task, fork, run

PLANE = ccrs.LambertConformal()


class Lines:
    """A vector layer, read once and indexed."""

    def __init__(self, path: str, points: float) -> None:
        self._lines = shapely.from_wkb(pyogrio.raw.read(path, columns=[])[2])
        self._tree = shapely.STRtree(self._lines)
        self._points = points

    def within(self, limits: list[float]) -> LineCollection:
        """Return the lines that may be visible within limits."""
        seen = self._lines[self._tree.query(shapely.box(*limits))]
        return LineCollection([shapely.get_coordinates(line) for line in seen], colors="black", linewidths=self._points)


def cells_under(panel: list[float], task: Task, file: rasterio.DatasetReader) -> tuple[np.ndarray, list[float]]:
    """Return the cells under a panel, at most one per pixel, and their limits in the order of `imshow`."""
    (left, top), (right, bottom) = ~file.transform * (panel[0], panel[3]), ~file.transform * (panel[2], panel[1])
    columns = max(0, int(left)), min(file.width, int(right) + 1)
    rows = max(0, int(top)), min(file.height, int(bottom) + 1)
    shape = min(rows[1] - rows[0], task.panel[3]), min(columns[1] - columns[0], task.panel[2])
    cells = file.read(1, window=Window.from_slices(rows, columns), out_shape=shape, masked=True)
    xmin, ymax = file.transform * (columns[0], rows[0])
    xmax, ymin = file.transform * (columns[1], rows[1])
    return cells, [xmin, xmax, ymin, ymax]


def draw(task: Task, folder: Path) -> None:
    """Read the lines, fork, and draw all maps."""
    layers = [Lines(layer["path"], layer["points"]) for layer in task.layers]
    scale = {"cmap": ListedColormap(task.colors), "norm": BoundaryNorm(task.levels, len(task.colors))}
    (left, top, width, height), (sheet_width, sheet_height) = task.panel, task.sheet
    box = left / sheet_width, 1 - (top + height) / sheet_height, width / sheet_width, height / sheet_height

    def draw_one(one: Map, file: rasterio.DatasetReader) -> None:
        figure = Figure((sheet_width / task.dpi, sheet_height / task.dpi), dpi=task.dpi)
        FigureCanvasAgg(figure)
        axes = figure.add_axes(box, projection=PLANE, facecolor=task.background)
        cells, limits = cells_under(one.panel, task, file)
        image = axes.imshow(cells, extent=limits, origin="upper", interpolation="nearest", **scale)
        axes.set(xlim=one.panel[::2], ylim=one.panel[1::2])
        for layer in layers:
            axes.add_collection(layer.within(one.panel), autolim=False)
        axes.set_title(one.title, loc="left")
        bar = figure.add_axes((box[0] + 0.01, box[1] - 0.013, box[2] - 0.02, 0.01))
        figure.colorbar(image, cax=bar, orientation="horizontal", ticks=task.levels).ax.tick_params(labelsize=7)
        figure.savefig(folder / f"{one.name}.png", pil_kwargs={"compress_level": 2})

    def draw_some(maps: list[Map]) -> None:
        with rasterio.open(task.raster) as file:
            for one in maps:
                draw_one(one, file)

    fork(task, draw_some)


run(draw)
