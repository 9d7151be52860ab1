"""Cut the part of the shared data that a map needs, for functions of the user."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.colors.key import planned_key
from regionplot.errors import ConfigError, NoOverlapError
from regionplot.geo.crs import transformer
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.grid import Window
from regionplot.geo.region import Region
from regionplot.geo.windows import cells_per_pixel, needed_window
from regionplot.inputs.source import ResampledSource, read_window
from regionplot.layers.features import Features
from regionplot.layers.stack import lay_out
from regionplot.sheet.view import View

if TYPE_CHECKING:
    import xarray as xr

    from regionplot.shared.data import SharedData

_MARGIN = 0.05
"""Width of the border around the panel of a curvilinear grid, as a fraction of the panel."""


def panel_of(shared: SharedData, area: Any) -> tuple[PanelGrid, pyproj.CRS]:
    """Return the pixels of an area, and their CRS.

    Parameters
    ----------
    shared : SharedData
        The data.
    area : Region, Extent or Axes
        A region stands for the panel of its map. An extent is in map units. The limits of axes are in the CRS of their
        projection, or in map units if they have none.

    Raises
    ------
    RegionError
        If the region cannot be projected.
    ConfigError
        If the area is of another type.
    """
    if isinstance(area, Region):
        return view_of(shared, area).panel, shared.crs_of(area)
    box = lay_out(shared.config, planned_key(shared.coloring)).panel
    if isinstance(area, Extent):
        return PanelGrid(area, box.width, box.height), shared.crs
    if not hasattr(area, "get_xlim"):
        raise ConfigError(f"the area is of type {type(area).__name__}; pass a Region, an Extent or axes")
    area.apply_aspect()  # adapts the limits to the shape of the axes, as drawing does
    (left, right), (bottom, top) = sorted(area.get_xlim()), sorted(area.get_ylim())
    size = area.bbox.size
    extent = Extent(left, right, bottom, top)
    return PanelGrid(extent, max(1, round(size[0])), max(1, round(size[1]))), getattr(area, "projection", shared.crs)


def view_of(shared: SharedData, region: Region) -> View:
    """Fit a region to the panel of its map.

    Raises
    ------
    RegionError
        If the region cannot be projected.
    """
    box = lay_out(shared.config, planned_key(shared.coloring)).panel
    return View.of(region, shared.crs_of(region), box, shared.config.map.fit)


def cut_raster(shared: SharedData, area: Any, pixel_cells: float | None) -> xr.DataArray:
    """Return the cells of an area. See `SharedData.cut`."""
    panel, crs = panel_of(shared, area)
    if isinstance(shared.source, ResampledSource):
        return _cut_curvilinear(shared, panel, crs, pixel_cells)
    from regionplot.inputs import dataarray  # noqa: PLC0415 (maps are drawn without xarray)

    window = needed_window(shared.info.geometry, panel, crs)
    loaded = shared.plan.window
    window = None if window is None else window.intersection(loaded)
    if window is None:
        raise NoOverlapError(f"the area ({panel.extent}) does not overlap the raster ({shared.info.geometry.extent})")
    step = _thinning_factor(
        None if pixel_cells is None else cells_per_pixel(shared.info.geometry, panel, crs), pixel_cells
    )
    window = _trimmed(window, step)
    if shared.plan.reads_per_map:
        values, geometry = read_window(shared.source, window, step, shared.config.raster.resampling)
        return dataarray.regular_array(shared.info, values, geometry)
    values = shared.cells[window.slices_in(loaded)][step // 2 :: step, step // 2 :: step]
    return dataarray.regular_array(shared.info, values, shared.info.geometry.subgrid(window, *values.shape))


def _thinning_factor(found: float | None, wanted: float | None) -> int:
    """Return the thinning factor for a number of cells per pixel, and the wanted number."""
    return 1 if found is None or not wanted else max(1, int(found / wanted))


def _trimmed(window: Window, step: int) -> Window:
    """Return a window whose sides are multiples of a step, so that thinned cells have equal distances."""
    height, width = (max(step, length - length % step) for length in (window.height, window.width))
    return replace(window, height=min(height, window.height), width=min(width, window.width))


def _cut_curvilinear(shared: SharedData, panel: PanelGrid, crs: pyproj.CRS, pixel_cells: float | None) -> xr.DataArray:
    """Return the rows and columns of a curvilinear grid that have cells in a panel."""
    x, y = (np.asarray(coordinate) for coordinate in _positions(shared, crs))
    extent = panel.extent.resized(*((1 + 2 * _MARGIN) * side for side in (panel.extent.width, panel.extent.height)))
    with np.errstate(invalid="ignore"):
        inside = (x >= extent.xmin) & (x <= extent.xmax) & (y >= extent.ymin) & (y <= extent.ymax)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not rows.size:
        raise NoOverlapError(f"the area ({panel.extent}) does not overlap the raster")
    sides = (rows[-1] - rows[0] + 1) / panel.height, (columns[-1] - columns[0] + 1) / panel.width
    step = _thinning_factor(min(sides), pixel_cells)
    y_dim, x_dim = shared.raster.dims
    return shared.raster.isel(
        {y_dim: _with_border(rows, x.shape[0], step), x_dim: _with_border(columns, x.shape[1], step)}
    )


def _with_border(found: NDArray[np.intp], length: int, step: int) -> slice:
    return slice(max(0, int(found[0]) - 1), min(length, int(found[-1]) + 2), step)


def _positions(shared: SharedData, crs: pyproj.CRS) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the positions of all cells of a curvilinear grid in a CRS. The last positions are kept."""
    kept = vars(shared).get("_positions")
    if kept is None or kept[0] != crs:
        longitudes, latitudes = shared.meshgrid
        source = pyproj.CRS.from_wkt(shared.raster.rio.crs.to_wkt())
        kept = crs, transformer(source, crs).transform(longitudes, latitudes)
        vars(shared)["_positions"] = kept
    x, y = kept[1]
    return x, y


def named_features(shared: SharedData, name: str) -> Features:
    """Return the vector layer with a name: the name of its file without the suffix, or the name of its layer.

    Raises
    ------
    ConfigError
        If there is no such layer.
    """
    layers = [layer for layer in shared.layers if isinstance(layer, Features)]
    for layer in layers:
        if name in _names_of(layer):
            return layer
    names = ", ".join(dict.fromkeys(repr(next(_names_of(layer))) for layer in layers))
    known = f"the layers are {names}" if names else "the settings have no [[features]]"
    raise ConfigError(f"there is no vector layer {name!r}; {known}")


def _names_of(layer: Features) -> Iterator[str]:
    settings = layer.settings
    yield settings.path.stem.removesuffix(".shp")  # of a zipped shapefile
    yield settings.path.name
    yield str(settings.path)
    if settings.layer:
        yield settings.layer
