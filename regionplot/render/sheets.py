"""Sample and classify the raster for one region's sheet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.colors.base import Scale
from regionplot.colors.classifier import Codes
from regionplot.colors.numbers import needs_matplotlib
from regionplot.colors.units import needed_conversion
from regionplot.errors import NoOverlapError, RegionError
from regionplot.geo.centered import CenteredCRS
from regionplot.geo.crs_cache import crs_cache
from regionplot.geo.grid import GridGeometry
from regionplot.geo.overlap import has_cells_in
from regionplot.geo.project import project_extent
from regionplot.geo.region import Region
from regionplot.geo.sampling import sample
from regionplot.geo.warp import import_warper
from regionplot.layers.base import Layer
from regionplot.layers.stack import lay_out
from regionplot.layers.title import title_of
from regionplot.shared.data import SharedData
from regionplot.sheet.layout import Layout
from regionplot.sheet.sheet import Sheet
from regionplot.sheet.view import View, axes_of
from regionplot.writers.georeference import Georeference

_NO_NAME = "unknown"
"""Name that PROJ gives to a CRS without a name."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress warnings of NumPy, because the values of rasters can be extreme."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        yield


@dataclass(frozen=True)
class Style:
    """Data, layout and colors that all sheets of a run share."""

    shared: SharedData
    layout: Layout
    scale: Scale
    cell_codes: Codes | None
    """The code of each cell. None if the pixels of each map must be classified, or if classifying them is cheaper."""

    @classmethod
    @_quiet()
    def of(cls, shared: SharedData, maps: int = 1) -> Style:
        """Return the style of a run.

        Parameters
        ----------
        shared : SharedData
            The data.
        maps : int
            Expected number of maps.
        """
        config = shared.config
        if config.raster.resampling != "nearest":
            import_warper()
        scale = scale_for(shared)
        layout = lay_out(config, scale.key())
        pixels = maps * layout.panel.width * layout.panel.height
        keeps_values = any(layer.wants_values for layer in shared.layers)
        are_cells = config.raster.resampling == "nearest" and not shared.plan.reads_per_map and not keeps_values
        codes = shared.codes if are_cells else None
        if are_cells and codes is None:
            codes = scale.classify_cells(shared.cells, pixels)
        return cls(shared, layout, scale, codes)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, from the bottom to the top."""
        return self.shared.layers


def scale_for(shared: SharedData) -> Scale:
    """Return the color scale of loaded data. Some scales use matplotlib, in its default style."""
    colors = shared.config.colors
    has_classes = shared.coloring is not None or colors.levels is not None
    if has_classes or not needs_matplotlib(colors):
        return shared.scale
    from regionplot.render.style import plain_style  # noqa: PLC0415 (imports matplotlib)

    with plain_style():
        return shared.scale


@_quiet()
def make_sheet(region: Region, style: Style) -> Sheet:
    """Sample and classify the raster for a region.

    Raises
    ------
    NoOverlapError
        If the region lies outside the raster.
    RegionError
        If the region is not a `Region` or cannot be projected, or its row lacks a field of the title.
    """
    if not isinstance(region, Region):
        raise RegionError(f"the region is of type {type(region).__name__}; pass a regionplot.Region")
    shared, config = style.shared, style.shared.config
    region = region.at(shared.description.get("time"))
    crs = shared.crs_of(region)
    view = View.of(region, crs, style.layout.panel, config.map.fit)
    codes, inside, values, cells = _sampled(style, view, crs)
    if not view.requested_pixels(inside).any():
        raise NoOverlapError(no_overlap_message(shared, region))
    return Sheet(
        region=region,
        view=view,
        layout=style.layout,
        crs=crs,
        description=shared.description,
        title=title_of(region, config.map, shared.description),
        codes=codes,
        no_data=bool((view.requested_pixels(codes) == style.scale.nodata).all()),
        values=values,
        cells=cells,
        shown=None if cells is None else needed_conversion(shared.info.units, config.colors.units).shown,
        colors=style.scale.rgba,
    )


Cells = tuple[NDArray[Any], GridGeometry]


def _sampled(
    style: Style, view: View, crs: pyproj.CRS
) -> tuple[Codes, NDArray[np.bool_], NDArray[Any] | None, Cells | None]:
    """Return codes of the pixels, a mask of the pixels in the raster, and values and cells if a layer needs them."""
    shared, panel, scale = style.shared, view.panel, style.scale
    if style.cell_codes is not None:
        found = sample(style.cell_codes, shared.geometry, panel, crs, fill=scale.nodata)
        return found.values, found.inside, None, None
    cells = shared.read_panel(panel, crs)
    if cells is None:
        shape = (panel.height, panel.width)
        return np.full(shape, scale.nodata, np.uint32), np.broadcast_to(np.False_, shape), None, None
    resampling = shared.config.raster.resampling
    if not any(layer.wants_values for layer in style.layers):
        found = scale.sample_codes(*cells, panel, crs, resampling)
        return found.values, found.inside, None, None
    found = scale.sample(*cells, panel, crs, resampling)
    return scale.codes(found.values), found.inside, found.values, cells if shared.coloring is None else None


def place_on_earth(view: View, style: Style, crs: pyproj.CRS) -> Georeference:
    """Return where the panel of a view lies on the sheet and on the earth."""
    extent = view.panel.extent
    bounds = (extent.xmin, extent.ymin, extent.xmax, extent.ymax)
    return Georeference(*view.place(style.layout.size), bounds, crs_text(crs))


@crs_cache(8)
def crs_text(crs: pyproj.CRS) -> str:
    """Return the code of a CRS, or its definition as PROJ string or WKT.

    A CRS without a name has no code. pyproj would search all codes, which takes 0.01 s or more.
    """
    return str(crs.srs if isinstance(crs, CenteredCRS) or crs.name == _NO_NAME else crs.to_string())


def no_overlap_message(shared: SharedData, region: Region) -> str:
    """Return the error message for a region that has no pixel in the raster.

    The bounding box of a rotated grid, or of a grid in another CRS, is larger than the grid. Therefore, the cells are
    compared with the region.
    """
    axes, geometry = axes_of(region, shared.crs_of(region)), shared.info.geometry
    limits = axes.extent(region.extent)
    raster = axes.own_extent(project_extent(geometry.extent, geometry.crs, axes.crs))
    if has_cells_in(geometry, limits, axes.crs):
        return (
            f"the part of the raster ({raster}) within the region ({region.extent}) is smaller than a pixel of the "
            "map; use a smaller region"
        )
    if limits.overlaps(axes.extent(raster)):
        return (
            f"the region ({region.extent}) overlaps the bounding box of the raster ({raster}), but not the raster "
            "itself, whose edges are slanted or curved there"
        )
    return f"the region ({region.extent}) does not overlap the raster ({raster})"
