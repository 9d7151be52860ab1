"""Draw with Satpy: one `Scene`, resampled to the area of each region, with lines by pycoast, in threads of dask."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import dask
from pyresample import AreaDefinition
from satpy import Scene
from satpy.enhancements.overlays import add_overlay
from task import Map, Task, run
from trollimage.colormap import Colormap
from trollimage.xrimage import XRImage

NO_DATA = -9999.0


def area(task: Task, one: Map) -> AreaDefinition:
    """Return the area of a map: the whole sheet."""
    return AreaDefinition(one.name, one.title, one.name, task.crs, *task.sheet, one.sheet)


def overlays(task: Task) -> dict[str, Any]:
    """Return the overlays of pycoast: the lines, in degrees."""
    layers = [
        {"filename": layer["degrees"], "outline": (0, 0, 0), "width": task.pixels(layer["points"])}
        for layer in task.layers
    ]
    return {"shapefiles": layers}


def colormap(task: Task) -> Colormap:
    """Return the colormap. Each color starts at the lower limit of its class; nodata lies below all classes."""
    names = [task.background, *task.colors]
    colors = [tuple(int(name[first : first + 2], 16) / 255 for first in (1, 3, 5)) for name in names]
    return Colormap(*zip([NO_DATA, -1.0, *task.levels[1:-1]], colors, strict=True))


def draw(task: Task, folder: Path) -> None:
    """Draw all maps, several at a time."""
    scene = Scene(filenames=[task.raster], reader="generic_image")
    scene.load(["image"])
    scene["image"] = scene["image"].persist()

    def picture(one: Map) -> Any:
        sheet = area(task, one)
        cells = scene.resample(sheet, resampler="gradient_search", method="nearest_neighbour")["image"]
        image = XRImage(cells.fillna(NO_DATA))
        image.palettize(colormap(task))
        image = add_overlay(image, sheet, None, overlays=overlays(task))
        return image.save(str(folder / f"{one.name}.png"), compute=False)

    with dask.config.set(scheduler="threads", num_workers=task.workers), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dask.compute([picture(one) for one in task.maps])


run(draw)
