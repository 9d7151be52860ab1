"""Write the task that all peers draw, and prepare its files. `benchmarks/peers/task.py` reads the task."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pyogrio.raw
import pyproj
import rasterio
import rasterio.shutil
import shapely
from inputs import LAMBERT, LAYERS, LEVELS, Inputs
from matplotlib.colors import to_hex
from rasterio.enums import Resampling

import regionplot
from regionplot.layers.stack import lay_out
from regionplot.sheet.key import ColorBarKey
from regionplot.sheet.layout import Layout
from regionplot.sheet.view import View

_BACKGROUND = "#ffffff"
_WORKERS = 2


def write_task(inputs: Inputs, raster: Path, count: int, folder: Path) -> Path:
    """Write the task for a table of regions. Return its path. Files are prepared only once."""
    config = regionplot.read_config(inputs.config("same"))
    layout = lay_out(config, ColorBarKey())
    colors = matplotlib.colormaps["turbo"].resampled(len(LEVELS) - 1)
    task = {
        "sheet": layout.size,
        "panel": _from_top(layout),
        "dpi": layout.dpi,
        "crs": LAMBERT,
        "raster": str(prepare_raster(raster, folder)),
        "layers": [prepare_lines(path, folder) for path in inputs.layers],
        "levels": LEVELS,
        "colors": [to_hex(colors(number)) for number in range(colors.N)],
        "background": _BACKGROUND,
        "label": config.colors.label,
        "font": str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")),
        "workers": _WORKERS,
        "maps": [_map(row, layout) for row in _rows(inputs.table(count))],
    }
    path = folder / f"task_{count}.json"
    path.write_text(json.dumps(task, indent=1), encoding="utf-8")
    return path


def _rows(table: Path) -> Iterable[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _from_top(layout: Layout) -> list[int]:
    """Return left, top, width and height of the panel in pixels, from the upper left corner."""
    panel = layout.panel
    return [panel.left, layout.size[1] - panel.top, panel.width, panel.height]


def _map(row: dict[str, str], layout: Layout) -> dict[str, Any]:
    """Return a map of the task: name, title, and the limits of the region, the panel and the sheet."""
    xmin, xmax, ymin, ymax = (float(row[key]) for key in ("xmin", "xmax", "ymin", "ymax"))
    region = regionplot.Region(row["name"], regionplot.Extent(xmin, xmax, ymin, ymax), crs=LAMBERT)
    shown = View.of(region, pyproj.CRS(LAMBERT), layout.panel, "datalim").panel.extent
    meters = shown.width / layout.panel.width
    left, top, _, _ = _from_top(layout)
    sheet_xmin, sheet_ymax = shown.xmin - left * meters, shown.ymax + top * meters
    return {
        "name": row["name"],
        "title": f"Snowfall {row['name']}",
        "region": [xmin, ymin, xmax, ymax],
        "panel": [shown.xmin, shown.ymin, shown.xmax, shown.ymax],
        "sheet": [
            sheet_xmin,
            sheet_ymax - layout.size[1] * meters,
            sheet_xmin + layout.size[0] * meters,
            sheet_ymax,
        ],
    }


def prepare_raster(raster: Path, folder: Path) -> Path:
    """Write a copy of the raster that is faster to read: tiled, not compressed, with overviews of nearest cells."""
    path = folder / "cells.tif"
    if not path.exists():
        temporary = folder / "cells.part.tif"
        rasterio.shutil.copy(raster, temporary, driver="GTiff", tiled=True, blockxsize=256, blockysize=256)
        with rasterio.open(temporary, "r+") as file:
            file.build_overviews([2, 4], Resampling.nearest)
        temporary.replace(path)
    return path


def prepare_lines(layer: Path, folder: Path) -> dict[str, Any]:
    """Write the borders of a layer as lines, in meters and in degrees. Shared borders are written once."""
    plane, degrees = folder / f"{layer.stem}_lines.shp", folder / f"{layer.stem}_degrees.shp"
    if not plane.exists():
        rings = shapely.boundary(shapely.from_wkb(pyogrio.raw.read(layer, columns=[])[2]))
        lines = shapely.get_parts(shapely.line_merge(shapely.union_all(rings)))
        to_degrees = pyproj.Transformer.from_crs(LAMBERT, 4326, always_xy=True).transform
        turned = shapely.transform(lines, lambda points: np.column_stack(to_degrees(*points.T)))
        _write_lines(degrees, turned, pyproj.CRS(4326))
        _write_lines(plane, lines, pyproj.CRS(LAMBERT))
    return {"name": layer.stem, "path": str(plane), "degrees": str(degrees), "points": LAYERS[layer.stem]}


def _write_lines(path: Path, lines: np.ndarray, crs: pyproj.CRS) -> None:
    pyogrio.raw.write(
        path, shapely.to_wkb(lines), field_data=[np.arange(len(lines))], fields=["id"], geometry_type="LineString",
        crs=crs.to_wkt("WKT1_GDAL"), driver="ESRI Shapefile",
    )  # fmt: skip


def empty(folder: Path) -> Path:
    """Remove the content of a folder, or make it. Return the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
