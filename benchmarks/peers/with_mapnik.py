"""Draw with Mapnik: one `Map` per process, `zoom_to_box` and one PNG per region."""

from __future__ import annotations

import subprocess
from pathlib import Path

import mapnik
from task import Map, Task, fork, run

FORMAT = "png:z=2"


def style(task: Task) -> str:
    """Return the map as Mapnik's XML: the cells in the colors of their classes, then the lines."""
    stops = "".join(
        f'<stop value="{level}" color="{color}"/>'
        for level, color in zip([-1, *task.levels[1:]], [*task.colors, task.colors[-1]], strict=True)
    )
    layers = [
        f'<Style name="cells"><Rule><RasterSymbolizer scaling="near"><RasterColorizer default-mode="discrete" '
        f'default-color="transparent">{stops}</RasterColorizer></RasterSymbolizer></Rule></Style>'
        f'<Layer name="cells" srs="{task.crs}"><StyleName>cells</StyleName><Datasource><Parameter name="type">gdal'
        f'</Parameter><Parameter name="file">{task.raster}</Parameter><Parameter name="band">1</Parameter>'
        f'</Datasource></Layer>'
    ]  # fmt: skip
    for layer in task.layers:
        name, width = layer["name"], task.pixels(layer["points"])
        layers.append(
            f'<Style name="{name}"><Rule><LineSymbolizer stroke="black" stroke-width="{width:.3f}"/></Rule></Style>'
            f'<Layer name="{name}" srs="{task.crs}"><StyleName>{name}</StyleName><Datasource><Parameter name="type">'
            f'shape</Parameter><Parameter name="file">{layer["path"]}</Parameter></Datasource></Layer>'
        )
    return f'<Map srs="{task.crs}" background-color="{task.background}">{"".join(layers)}</Map>'


def prepare(task: Task, _folder: Path) -> None:
    """Index the lines."""
    for layer in task.layers:
        subprocess.run(["shapeindex", layer["path"]], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def draw(task: Task, folder: Path) -> None:
    """Draw all maps."""

    def draw_some(maps: list[Map]) -> None:
        sheet = mapnik.Map(*task.sheet)
        mapnik.load_map_from_string(sheet, style(task))
        for one in maps:
            sheet.zoom_to_box(mapnik.Box2d(*one.sheet))
            mapnik.render_to_file(sheet, str(folder / f"{one.name}.png"), FORMAT)

    fork(task, draw_some)


run(draw, prepare)
