"""Real grids are drawn in the right place and colors. Points of the images are compared with the rasters."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import rasterio

from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.inputs.describe import open_source
from regionplot.render.renderer import MapRenderer
from regionplot.settings.loading import read_config
from regionplot.shared.data import SharedData
from regionplot.sheet.view import View

LEVELS = {
    "ndfd_temp_conus_lcc.tif": (-40, -20, -10, -5, 0, 5, 10, 15, 20, 30, 40),
    "snow_swe_conus_lcc.tif": (0.1, 1, 2, 5, 10, 20, 50, 100, 500),
    "hrrr_surface_temp.grib2": (-10, 0, 5, 10, 15, 20, 25, 30, 40),
    "mrms_refl_conus_7000x3500_cog.tif": (0, 10, 20, 30, 40, 50, 60),
    "psurge_milton_lcc_8577x5505_cog.tif": (0, 0.5, 1, 2, 3, 4, 5),
    "gridmet_tmmx_20190121.nc": (250, 260, 270, 275, 280, 285, 290, 300),
    "gridmet_elevation_conus.tif": (0, 100, 500, 1000, 2000, 3000),
    "aqm_ozone_alaska_polar.tif": (0, 10, 20, 30, 40, 50, 60),
    "etopo5_global_0to360.tif": (-5000, -1000, 0, 100, 1000, 5000),
    "ecmwf_swe_global_0p25.tif": (0, 0.001, 0.01, 0.1, 1, 10),
}
CONUS = Region("conus", Extent(-125, -66.5, 24.25, 49.75))
NORTH_CAROLINA = Region("nc", Extent(-84.5, -75.3, 33.8, 36.7))
ALEUTIANS = Region("aleutians", Extent(170, 205, 50, 65))
REGIONS = {"aqm_ozone_alaska_polar.tif": (ALEUTIANS,), "etopo5_global_0to360.tif": (CONUS, ALEUTIANS)}


@pytest.mark.parametrize("projection", ["raster", "EPSG:5070", "LambertConformal", "EPSG:3338"])
@pytest.mark.parametrize("name", LEVELS)
def test_pixels_have_the_color_of_their_cell(shared_data_folder, name, projection):
    """The expected colors come from rasterio and pyproj, not from the package."""
    path = shared_data_folder / name
    config = read_config(
        {
            "raster": {"path": path},
            "map": {"projection": projection, "size": [700, 450]},
            "colors": {"levels": LEVELS[name]},
        }
    )
    shared = SharedData.load(config, source=_opened(path))
    renderer = MapRenderer(shared)
    for region in REGIONS.get(name, (CONUS, NORTH_CAROLINA)):
        picture = renderer.render(region)
        view = View.of(region, shared.crs, renderer.style.layout.panel, "datalim")
        rows, columns, x, y = _scattered_pixels(view)
        value = _read(path, *transformer(shared.crs, shared.geometry.crs).transform(x, y))
        shown = picture.pixels[450 - view.box.top + rows, view.box.left + columns]
        expected = _colors(shared, value)
        right = (shown == expected).all(axis=1)
        # a position can be wrong by an eighth of a pixel, which matters only along the edges of cells
        assert right.mean() > 0.97, f"{region.name}: {right.mean():.3f} of the points are right"
        assert np.isfinite(value).mean() > 0.002


class KeptCells:
    """A source that keeps the cells of its last read, because the next projection reads the same cells."""

    def __init__(self, path):
        self._source = open_source(read_config({"raster": {"path": path}}).raster)
        self.read = lru_cache(1)(self._source.read)
        self.describe = self._source.describe


@lru_cache(1)
def _opened(path):
    return KeptCells(path)


def _scattered_pixels(view):
    """Return indices of pixels away from the neatline, and the map coordinates of their centers."""
    random = np.random.default_rng(7)
    rows = random.integers(3, view.box.height - 3, 4000)
    columns = random.integers(3, view.box.width - 3, 4000)
    x = view.panel.extent.xmin + (columns + 0.5) * view.panel.pixel_width
    y = view.panel.extent.ymax - (rows + 0.5) * view.panel.pixel_height
    return rows, columns, x, y


def _read(path, x, y):
    """Return the cells at some coordinates. Longitudes can be those of any turn."""
    x, y = (np.where(np.isfinite(axis), axis, np.nan) for axis in (x, y))
    values, transform, bounds, is_geographic = _cells(path)
    if is_geographic:
        x = bounds.left + np.mod(np.asarray(x) - bounds.left, 360)
        x = np.where(x > bounds.right, np.nan, x)
    a, b, c, d, e, f = (~transform)[:6]
    columns, rows = a * np.asarray(x) + b * np.asarray(y) + c, d * np.asarray(x) + e * np.asarray(y) + f
    inside = (columns >= 0) & (columns < values.shape[1]) & (rows >= 0) & (rows < values.shape[0])
    found = np.full(len(columns), np.nan)
    found[inside] = values[rows[inside].astype(int), columns[inside].astype(int)].astype(float).filled(np.nan)
    with rasterio.open(path) as source:
        return found * source.scales[0] + source.offsets[0]


@lru_cache(1)
def _cells(path):
    """Return the stored cells, the transform, the bounds, and True if the coordinates are degrees."""
    with rasterio.open(path) as source:
        is_geographic = source.crs is None or source.crs.is_geographic
        return source.read(1, masked=True), source.transform, source.bounds, is_geographic


def _colors(shared, values):
    """Return the colors that matplotlib gives to values."""
    import matplotlib
    from matplotlib.colors import BoundaryNorm

    levels = shared.config.colors.levels
    cmap = matplotlib.colormaps["viridis"].resampled(len(levels) - 1)
    rgba = cmap(BoundaryNorm(levels, cmap.N)(np.ma.masked_invalid(values)))
    rgba[~np.isfinite(values)] = (1, 1, 1, 1)
    return np.rint(rgba[:, :3] * 255).astype(np.uint8)


def test_meshgrid_and_raster_agree(shared_data_folder):
    config = read_config({"raster": {"path": shared_data_folder / "ndfd_temp_conus_lcc.tif"}})
    shared = SharedData.load(config)
    x, y = shared.meshgrid
    np.testing.assert_allclose(x[0], shared.raster["x"])
    np.testing.assert_allclose(y[:, 0], shared.raster["y"])
    assert x.base is not None
    assert not x.flags.writeable
    assert not shared.raster.data.flags.writeable
    assert parse_crs("EPSG:4326") != shared.crs
