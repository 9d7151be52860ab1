"""Compute the digest of each map. A map of the previous run is kept if its digest is unchanged.

::

    versions, sources, settings, layers, color scale ─┐
    title, limits, panel ─────────────────────────────┼─► SHA-256 ─► metadata of the map, and the manifest
    the raster's cells under the panel ───────────────┘

The source files, libraries and settings are found automatically. A digest covers:

- the source files that the renderer and the plug-ins of the run import
- the versions of the libraries that these files import
- all settings, except fields that are marked `NOT_IN_DIGEST`
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from regionplot.colors.key import planned_key
from regionplot.geo.region import Region
from regionplot.geo.windows import needed_window
from regionplot.inputs.source import RasterInfo
from regionplot.layers.stack import lay_out
from regionplot.layers.title import title_of
from regionplot.render.code import code_digest, font_files
from regionplot.render.sheets import scale_for
from regionplot.runs.texts import frame_texts
from regionplot.settings.base import digest_items
from regionplot.shared.data import SharedData
from regionplot.sheet.view import View

_LENGTH = 32
"""Number of hexadecimal digits in a digest."""
_ROWS = 256
"""Number of rows of the raster that are hashed at a time."""


class MapDigests:
    """The digests of the maps of one run.

    Parameters
    ----------
    shared : SharedData
        Data of the run. If the raster was too large to load, the digests contain the fingerprint of the file instead of
        cells. A new file then changes the digests of all maps.
    """

    def __init__(self, shared: SharedData) -> None:
        self._shared = shared
        self._panel = lay_out(shared.config, planned_key(shared.coloring)).panel
        parts = dict(_common(shared))
        self._common = hashlib.sha256(json.dumps(parts, default=str).encode())
        self._common.update(code_digest(shared))
        self._has_functions = bool(shared.config.map.functions)
        if self._has_functions:
            self._add_functions()

    def of(self, region: Region) -> str:
        """Return the digest of a region's map: 32 hexadecimal digits.

        Raises
        ------
        RegionError
            If the region cannot be projected, or its row lacks a field of the title.
        """
        config = self._shared.config
        view = View.of(region, self._shared.crs, self._panel, config.map.fit)
        title = title_of(region, config.map.title, self._shared.description)
        total = self._common.copy()
        total.update(repr((title, view, *font_files(title))).encode())
        for piece in self._cells(view):
            total.update(piece)
        return total.hexdigest()[:_LENGTH]

    def _add_functions(self) -> None:
        """Add the code of the functions of the user. They can use all cells, so each map depends on all cells."""
        from regionplot.render.style import parameters_in_use  # noqa: PLC0415 (only runs with functions need it)
        from regionplot.shared.functions import functions_digest  # noqa: PLC0415

        data = self._shared
        self._common.update(functions_digest(data.config) + parameters_in_use())
        window = data.plan.window
        if data.plan.reads_per_map or window != data.info.geometry.full_window:
            self._common.update(repr(_file_facts(data.info)).encode())
            return
        for first in range(0, len(data.cells), _ROWS):
            self._common.update(np.ascontiguousarray(data.cells[first : first + _ROWS]).data)

    def _cells(self, view: View) -> Iterator[Any]:
        """Yield the content to hash for the cells under a panel: their window and grid, then their bytes."""
        data = self._shared
        window = needed_window(data.info.geometry, view.panel, data.crs)
        yield repr((window, data.info.geometry.transform, data.info.geometry.crs.to_wkt())).encode()
        if window is None or self._has_functions:
            return
        if data.plan.reads_per_map:
            yield repr((_file_facts(data.info), data.coloring)).encode()
            return
        area = data.plan.window
        top, left = window.row_off - area.row_off, window.col_off - area.col_off
        loaded = data.cells if data.codes is None else data.codes  # the codes and the scale determine the pixels
        cells = loaded[max(top, 0) : top + window.height, max(left, 0) : left + window.width]
        yield f"{'values' if data.codes is None else 'codes'} {cells.dtype}".encode()
        for first in range(0, len(cells), _ROWS):
            yield np.ascontiguousarray(cells[first : first + _ROWS])


def _file_facts(info: RasterInfo) -> tuple[object, ...]:
    """Return values for the digest that stand for the cells of a raster that is not loaded."""
    interpretation = (
        info.gdal_name,
        info.band,
        info.dtype,
        info.nodata,
        info.scale,
        info.offset,
        info.has_mask,
        info.mask_and_scale,
    )
    return (info.fingerprint, info.geometry.height, info.geometry.width, *interpretation)


def _common(data: SharedData) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of the parts that all maps of a run share, except code and libraries."""
    config = data.config
    yield "settings", digest_items(config)
    yield "format", [config.output.format, digest_items(config.output.writer_settings)]
    yield "layers", [layer.key for layer in data.layers]
    yield "label", [data.description.get("long_name"), data.description.get("units")]
    yield "fonts", font_files("".join(frame_texts(config, data.description)))
    yield "scale", scale_for(data).digest_items()
