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
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from regionplot.colors.key import planned_key
from regionplot.geo.region import Region
from regionplot.geo.windows import needed_window
from regionplot.inputs.source import RasterInfo
from regionplot.layers.stack import lay_out, reach_of
from regionplot.layers.title import title_of
from regionplot.render.code import code_digest, font_files
from regionplot.render.sheets import scale_for
from regionplot.runs.digest_basis import DigestBasis
from regionplot.runs.texts import frame_texts
from regionplot.settings.base import digest_items
from regionplot.settings.config import Config
from regionplot.shared.data import SharedData
from regionplot.shared.plan import LoadPlan
from regionplot.sheet.view import View

if TYPE_CHECKING:
    from regionplot.runs.description import Descriptions


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
        self._reach = reach_of(shared.config)
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
        return self.basis(region).digest(self._loaded)

    @property
    def config(self) -> Config:
        """Settings of the run."""
        return self._shared.config

    @cached_property
    def _crs_of_the_grid(self) -> str:
        return str(self._shared.info.geometry.crs.to_wkt())

    @cached_property
    def descriptions(self) -> Descriptions:
        """Statistics and alternative texts of the maps, if the settings ask for them."""
        from regionplot.runs.description import Descriptions  # noqa: PLC0415 (only `[statistics]` needs it)

        return Descriptions(self._shared)

    def _add_functions(self) -> None:
        """Add the code of the functions of the user, and everything of the raster that they can use.

        They can use all cells and the whole description, so each map depends on all of them.
        """
        from regionplot.render.style import parameters_in_use  # noqa: PLC0415 (only runs with functions need it)
        from regionplot.shared.functions import functions_digest  # noqa: PLC0415

        data = self._shared
        self._common.update(functions_digest(data.config) + parameters_in_use())
        self._common.update(repr(sorted(data.description.items())).encode())
        window = data.plan.window
        if data.plan.reads_per_map or window != data.info.geometry.full_window:
            self._common.update(repr(_file_facts(data.info, data.plan)).encode())
            return
        whole = DigestBasis("all cells", (slice(None), slice(None)))
        self._common.update(whole.digest(data.cells).encode())

    def basis(self, region: Region) -> DigestBasis:
        """Return everything that the digest of a region's map covers, except the values of the loaded cells.

        Raises
        ------
        RegionError
            See `of`.
        """
        data, config = self._shared, self._shared.config
        crs = data.crs_of(region)
        view = View.of(region, crs, self._panel, config.map.fit)
        title = title_of(region, config.map, data.description)
        window = needed_window(data.info.geometry, view.panel.grown(self._reach), crs)
        grid = (window, data.info.geometry.transform, self._crs_of_the_grid)
        total = self._common.copy()
        total.update(repr((title, view, *font_files(title), grid)).encode())
        if crs is not data.crs:
            total.update(crs.to_wkt().encode())
        if self._has_functions or any(layer.wants_shapes for layer in data.layers):
            total.update(region.shape)
        if self._has_functions:  # they get the whole region; `origin` is only for messages
            total.update(repr(replace(region, attributes=dict(region.attributes), origin="")).encode())
        if config.statistics.alt_text:
            total.update(self.descriptions.of(region).alt.encode())
        if window is None or data.plan.reads_per_map or self._has_functions:
            facts = None if window is None else (_file_facts(data.info, data.plan), data.coloring)
            total.update(repr(facts).encode())
            return DigestBasis(total.hexdigest(), None)
        total.update(f"{'values' if data.codes is None else 'codes'} {self._loaded.dtype}".encode())
        common = window.intersection(data.plan.window)
        area = (slice(0), slice(0)) if common is None else common.slices_in(data.plan.window)
        return DigestBasis(total.hexdigest(), area)

    @property
    def _loaded(self) -> NDArray[Any]:
        """The loaded cells. If there are codes, the codes and the scale determine the pixels."""
        return self._shared.cells if self._shared.codes is None else self._shared.codes


def _file_facts(info: RasterInfo, plan: LoadPlan) -> tuple[object, ...]:
    """Return values for the digest that stand for the cells of a raster that is not loaded.

    A copy of the file on another machine gives the digest of the original.
    """
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
    return (plan.original or info.fingerprint, info.geometry.height, info.geometry.width, *interpretation)


def _common(data: SharedData) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of the parts that all maps of a run share, except code and libraries."""
    config = data.config
    yield "settings", digest_items(config)
    yield "format", [config.output.format, digest_items(config.output.writer_settings)]
    yield "layers", [layer.key for layer in data.layers]
    yield "label", [data.description.get("long_name"), data.description.get("units")]
    yield "fonts", font_files("".join(frame_texts(config, data.description)))
    yield "scale", scale_for(data).digest_items()
