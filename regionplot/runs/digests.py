"""Compute a map's digest. While it stays the same, the previous run's map is kept.

::

    versions, code, settings, layers, colour scale ─┐
    title, limits, panel ───────────────────────────┼─► SHA-256 ─► the PNG's own metadata, and the manifest
    the raster's cells under the panel ─────────────┘
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL
import pyproj
import rasterio
import shapely

from regionplot import _version
from regionplot.colors.key import planned_key
from regionplot.colors.scales import scale_of
from regionplot.errors import InputError
from regionplot.geo.region import Region
from regionplot.geo.windows import needed_window
from regionplot.inputs.source import RasterInfo
from regionplot.layers.stack import lay_out
from regionplot.layers.title import title_of
from regionplot.render.style import library_versions, plain_style
from regionplot.shared.data import SharedData
from regionplot.sheet.view import View
from regionplot.system.code import source_files

_LENGTH = 32


_ROWS = 256
"""Of the raster, hashed at a time."""


class MapDigests:
    """The digests of the maps of one run.

    Parameters
    ----------
    shared : SharedData
        What they are drawn from. Of a raster that is too large to be loaded, its file's size and times stand for its
        cells: a renewed file is a new raster everywhere.
    """

    def __init__(self, shared: SharedData) -> None:
        self._shared = shared
        self._panel = lay_out(shared.config, planned_key(shared.coloring)).panel
        with plain_style():
            self._common = hashlib.sha256(json.dumps(dict(_common(shared)), default=str).encode())
        for content in _read_code(shared):
            self._common.update(content)

    def of(self, region: Region) -> str:
        """The digest of a region's map.

        Raises
        ------
        RegionError
            If the region cannot be projected, or its row lacks a field of the title.
        """
        config = self._shared.config
        seen = View.of(region, self._shared.crs, self._panel, config.map.fit)
        total = self._common.copy()
        title = title_of(region, config.map.title, self._shared.description)
        total.update(repr((title, seen)).encode())
        for piece in self._cells(seen):
            total.update(piece)
        return total.hexdigest()[:_LENGTH]

    def _cells(self, seen: View) -> Iterator[Any]:
        """The bytes of the cells under a panel, and where they lie."""
        data = self._shared
        window = needed_window(data.info.geometry, seen.panel, data.crs)
        yield repr((window, data.info.geometry.affine, data.info.geometry.crs.to_wkt())).encode()
        if window is None:
            return
        if data.plan.windowed:
            yield repr((_file(data.info), data.coloring)).encode()
            return
        loaded = data.plan.window
        top, left = window.row - loaded.row, window.column - loaded.column
        cells = data.cells_drawn[max(top, 0) : top + window.height, max(left, 0) : left + window.width]
        yield str(cells.dtype).encode()
        for first in range(0, len(cells), _ROWS):
            yield np.ascontiguousarray(cells[first : first + _ROWS])


def _read_code(shared: SharedData) -> Iterator[bytes]:
    """Yield the contents of all source files that decide what a map looks like.

    Raises
    ------
    InputError
        If a file cannot be read, for example because too many files are open.
    """
    try:
        for path in source_files("regionplot.render.renderer", *layer_modules(shared)):
            yield path.read_bytes()
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from error


def layer_modules(data: SharedData) -> tuple[str, ...]:
    """Return the modules of all layers. The registry imports them by name, so no import line leads to them."""
    return tuple(sorted({type(layer).__module__ for layer in data.layers}))


def _file(info: RasterInfo) -> tuple[object, ...]:
    """What stands for the cells of a raster that is not loaded."""
    how = (
        info.gdal_name,
        info.band,
        info.dtype,
        info.nodata,
        info.scale,
        info.offset,
        info.has_mask,
        info.mask_and_scale,
    )
    return (info.fingerprint, info.geometry.height, info.geometry.width, *how)


def _common(data: SharedData) -> Iterator[tuple[str, Any]]:
    """What all maps of a run depend on."""
    config = data.config
    modules = (_version, np, PIL, pyproj, shapely)
    yield "versions", [module.__version__ for module in modules]
    yield "libraries", [pyproj.proj_version_str, shapely.geos_version_string, rasterio.__gdal_version__]
    yield "matplotlib", library_versions()
    yield "map", config.map.model_dump(mode="json")
    yield "colors", config.colors.model_dump(mode="json")
    yield "image", [config.output.png, config.output.png_compression, config.raster.resampling]
    yield "layers", [layer.key for layer in data.layers]
    yield "crs", data.crs.to_wkt()
    yield "label", [data.description.get("long_name"), data.description.get("units")]
    yield "scale", scale_of(data.coloring, config, data.cells_drawn).digest_items()
