"""Draw with MapServer through mapscript: one mapfile per process, one extent and one PNG per region."""

from __future__ import annotations

import subprocess
from pathlib import Path

import mapscript
from task import Map, Task, fork, run

OPTIONS = ("COMPRESSION=2",)
MAPFILE = """MAP
  SIZE {size[0]} {size[1]} UNITS METERS IMAGECOLOR "{background}" FONTSET "{fontset}" CONFIG "MS_ERRORFILE" "stderr"
  OUTPUTFORMAT NAME "map" DRIVER AGG/PNG IMAGEMODE RGB EXTENSION "png" {options} END
  IMAGETYPE "map"
  LAYER NAME "cells" TYPE RASTER STATUS DEFAULT DATA "{raster}" PROCESSING "RESAMPLE=NEAREST"
    {buckets} {classes} END
  {layers}
  LAYER NAME "title" TYPE POINT STATUS DEFAULT TRANSFORM FALSE FEATURE POINTS 12 18 END TEXT "title" END
    CLASS LABEL FONT "sans" TYPE TRUETYPE SIZE {text} POSITION CR COLOR 0 0 0 PARTIALS TRUE FORCE TRUE END END
  END
END"""
BUCKETS = 'PROCESSING "SCALE=0,49" PROCESSING "SCALE_BUCKETS=196"'
"""Buckets into which cells are sorted before classification. The limits of the classes are limits of buckets."""
LINES = """LAYER NAME "{name}" TYPE LINE STATUS DEFAULT DATA "{path}"
    CLASS STYLE COLOR 0 0 0 WIDTH {width:.3f} END END
  END"""


def mapfile(task: Task, fontset: Path) -> str:
    """Return the mapfile."""
    limits = [-1.0, *task.levels[1:-1], 1e9]
    classes = "".join(
        f'CLASS EXPRESSION ([pixel] >= {low} AND [pixel] < {high}) STYLE COLOR "{color}" END END\n'
        for low, high, color in zip(limits, limits[1:], task.colors, strict=False)
    )
    layers = "\n  ".join(LINES.format(width=task.pixels(layer["points"]), **layer) for layer in task.layers)
    options = "".join(f'FORMATOPTION "{option}" ' for option in OPTIONS)
    return MAPFILE.format(
        size=task.sheet, background=task.background, fontset=fontset, options=options, raster=task.raster,
        buckets=BUCKETS, classes=classes, layers=layers, text=task.pixels(14),
    )  # fmt: skip


def prepare(task: Task, _folder: Path) -> None:
    """Index the lines."""
    for layer in task.layers:
        subprocess.run(["shptree", layer["path"]], check=True, stdout=subprocess.DEVNULL)


def draw(task: Task, folder: Path) -> None:
    """Draw all maps."""
    fontset = folder / "fonts.txt"
    fontset.write_text(f"sans {task.font}\n", encoding="utf-8")

    def draw_some(maps: list[Map]) -> None:
        sheet = mapscript.fromstring(mapfile(task, fontset))
        for one in maps:
            xmin, ymin, xmax, ymax = one.sheet
            half_x, half_y = (xmax - xmin) / task.sheet[0] / 2, (ymax - ymin) / task.sheet[1] / 2
            # extents reach to the centers of the outermost pixels
            sheet.setExtent(xmin + half_x, ymin + half_y, xmax - half_x, ymax - half_y)
            sheet.getLayerByName("title").getClass(0).setText(one.title)
            sheet.draw().save(str(folder / f"{one.name}.png"))

    fork(task, draw_some)


run(draw, prepare)
