"""Every band and variable of the real rasters has the labels, times, values and places that other libraries give it.

The truth comes from rasterio (GeoTIFF), netCDF4 and eccodes, and positions come from pyproj and the raw axes of the
files.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import matplotlib
import netCDF4
import numpy as np
import pyproj
import pytest
import rasterio
from grib_messages import read_messages
from numpy.typing import NDArray
from scipy.spatial import KDTree

from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.inputs.color_tables import rgb_bands
from regionplot.inputs.curvilinear import CurvilinearSource
from regionplot.inputs.describe import open_bands, open_source
from regionplot.render.renderer import MapRenderer
from regionplot.settings.loading import read_config
from regionplot.settings.raster import RasterSettings
from regionplot.shared.data import SharedData
from regionplot.sheet.view import View

Cells = np.ma.MaskedArray[Any, Any]
if find_spec("eccodes") is None:
    pytest.skip("eccodes is not installed", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
PIXELS = 300
SIZE = 280, 200
CLEAR = 0.3
"""Distance from the center of a cell, in cells, up to which a position belongs to the cell without doubt."""
METERS_PER_DEGREE = 111_000
SPHERE = pyproj.CRS.from_proj4("+proj=longlat +R=6371229")
GRIB_UNITS = {"m s**-1": "m/s", "m**2 s**-2": "m^2/s^2", "K": "C", "Degree true": "deg"}
"""Units of GDAL for each unit of eccodes. GDAL converts kelvins."""
NO_TIME = {"coads_slp_wind_climatology.nc": "the axis is in the year 0, which a climatology means to be unknown"}


@dataclass(frozen=True)
class Truth:
    """Facts about one band, from a library other than GDAL or from the raw tags of a GeoTIFF."""

    cells: Cells
    """Values, shape (rows, columns) of the file."""
    crs: pyproj.CRS
    locate: Callable[[NDArray[Any], NDArray[Any]], tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]]
    """Return rows and columns of positions in the CRS, and True for positions near the center of a cell."""
    units: str
    names: tuple[str, ...]
    """Accepted long names. Empty if the file has none."""
    time: datetime | None
    reference_time: datetime | None = None
    level: str | None = None


def by_transform(transform: Any, shape: tuple[int, int], *, turns: bool = False) -> Any:
    def locate(x: NDArray[Any], y: NDArray[Any]) -> Any:
        column, row = _apply(~transform, x, y)
        column = column % (360 / abs(transform.a)) if turns else column
        clear = (abs(column % 1 - 0.5) < CLEAR) & (abs(row % 1 - 0.5) < CLEAR)
        inside = (column >= 0) & (column < shape[1]) & (row >= 0) & (row < shape[0])
        return np.floor(row), np.floor(column), clear & inside

    return locate


def _apply(transform: Any, x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    a, b, c, d, e, f = transform[:6]
    return a * x + b * y + c, d * x + e * y + f


def by_axes(y_axis: NDArray[Any], x_axis: NDArray[Any], *, turns: bool) -> Any:
    """Return the function that locates positions on the 1-D axes of a file."""

    def nearest(axis: NDArray[Any], at: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        order = np.argsort(axis)
        edges = (axis[order][1:] + axis[order][:-1]) / 2
        index = order[np.searchsorted(edges, at)]
        return index, abs(axis[index] - at) / abs(np.diff(axis)).max() < CLEAR

    def locate(x: NDArray[Any], y: NDArray[Any]) -> Any:
        first = min(x_axis) - 1e-6 - abs(x_axis[1] - x_axis[0]) / 2
        at = first + (x - first) % 360 if turns else x
        (row, is_row), (column, is_column) = nearest(y_axis, y), nearest(x_axis, at)
        return row, column, is_row & is_column

    return locate


def by_coordinates(latitudes: NDArray[Any], longitudes: NDArray[Any]) -> Any:
    """Return the function that locates positions by the nearest of the 2-D coordinates of a file."""

    def points(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
        lon, lat = np.radians(x), np.radians(y)
        return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])

    tree = KDTree(points(longitudes.ravel(), latitudes.ravel()))

    def locate(x: NDArray[Any], y: NDArray[Any]) -> Any:
        distance, index = tree.query(points(x, y), k=2)
        return *np.unravel_index(index[:, 0], latitudes.shape), distance[:, 0] < 0.5 * distance[:, 1]

    return locate


def tiff_truth(path: Path, _variable: str | None, band: int) -> Truth:
    with rasterio.open(path) as file:
        tags = {**file.tags(), **file.tags(band)}
        cells = np.ma.masked_invalid(file.read(band, masked=True))
        cells = cells * file.scales[band - 1] + file.offsets[band - 1] if cells.dtype.kind in "iu" else cells
        tag = next(
            (tags[key] for key in ("GRIB_VALID_TIME", "VALID_TIME", "TIFFTAG_DATETIME", "REF_TIME") if key in tags),
            None,
        )
        names = [tags.get("GRIB_COMMENT"), file.descriptions[band - 1], tags.get("long_name"), path.stem]
        locate = by_transform(file.transform, file.shape, turns=file.crs.is_geographic)
        units = file.units[band - 1] or tags.get("units") or tags.get("GRIB_UNIT", "").strip("[]")
        accepted = tuple(name.partition(" [")[0] for name in names if name)
        time = None if tag is None else _tag_time(tag)
        return Truth(cells, pyproj.CRS.from_wkt(file.crs.to_wkt()), locate, units, accepted, time)


def _tag_time(text: str) -> datetime:
    if text.split()[0].isdigit():
        return datetime.fromtimestamp(int(text.split()[0]), UTC)
    year, *rest = (int(part) for part in re.findall(r"\d+", text)[:6])
    return datetime(year, *rest, tzinfo=UTC)


def netcdf_truth(path: Path, name: str | None, band: int) -> Truth:
    with netCDF4.Dataset(path) as file:
        variable = file[name]
        others = [d for d in variable.dimensions if d not in variable.dimensions[-2:]]
        index = np.unravel_index(band - 1, [file.dimensions[d].size for d in others]) if others else ()
        cells = np.ma.masked_invalid(variable[tuple(int(i) for i in index)])
        times = {d: file[d][int(i)] for d, i in zip(others, index, strict=True) if d.lower() == "time"}
        time = None
        for axis, value in times.items():
            calendar = getattr(file[axis], "calendar", "standard")
            if path.name not in NO_TIME:
                time = netCDF4.num2date(value, file[axis].units, calendar)
        y, x = (file[d] if d in file.variables else None for d in variable.dimensions[-2:])
        crs = SPHERE if path.name != "gridmet_tmmx_20190121.nc" else pyproj.CRS.from_epsg(4326)
        if y is None or x is None:
            locate = by_coordinates(np.asarray(file["lat"][:]), np.asarray(file["lon"][:]))
        else:
            mapping = getattr(variable, "grid_mapping", None)
            if (mapping is not None and mapping != "crs") or getattr(x, "units", "") == "m":
                crs = pyproj.CRS.from_cf({key: file[mapping].getncattr(key) for key in file[mapping].ncattrs()})
            turns = getattr(x, "units", "") != "m"
            locate = by_axes(np.asarray(y[:], float), np.asarray(x[:], float), turns=turns)
        names = getattr(variable, "long_name", name), getattr(variable, "description", name)
        utc = None if time is None else datetime(*time.timetuple()[:6], tzinfo=UTC)
        return Truth(cells, crs, locate, getattr(variable, "units", ""), names, utc)


@cache
def grib_messages(path: Path) -> tuple[dict[str, Any], ...]:
    """Return the keys of each message that the tests need."""
    return read_messages(path)


def grib_truth(path: Path, _variable: str | None, band: int) -> Truth:
    facts = grib_messages(path)[band - 1]
    cells = np.ma.masked_array(facts["values"].reshape(facts["Nj"], facts["Ni"]))
    if facts["bitmapPresent"]:
        cells = np.ma.masked_equal(cells, facts["missingValue"])
    units = GRIB_UNITS.get(facts["units"], facts["units"])
    cells = cells - 273.15 if facts["units"] == "K" else cells
    with rasterio.open(path) as file:  # eccodes gives no projected CRS
        crs, transform = pyproj.CRS.from_wkt(file.crs.to_wkt()), file.transform
    if facts["gridType"] == "regular_ll":
        latitudes = np.linspace(facts["latitudeFirst"], facts["latitudeLast"], facts["Nj"])
        east = facts["longitudeFirst"] + (facts["longitudeLast"] - facts["longitudeFirst"]) % 360
        locate = by_axes(latitudes, np.linspace(facts["longitudeFirst"], east, facts["Ni"]), turns=True)
    else:
        cells = cells[::-1] if facts["jScansPositively"] else cells
        locate = by_transform(transform, cells.shape)
    is_pressure = facts["typeOfLevel"] == "isobaricInhPa"
    return Truth(
        cells, crs, locate, units, (),
        _grib_time(facts["validityDate"], facts["validityTime"]), _grib_time(facts["dataDate"], facts["dataTime"]),
        f"{facts['level']} hPa" if is_pressure else None,
    )  # fmt: skip


def _grib_time(date: int, time: int) -> datetime:
    return datetime.strptime(f"{date:08d}{time:04d}", "%Y%m%d%H%M").replace(tzinfo=UTC)


TRUTHS = {".tif": tiff_truth, ".nc": netcdf_truth, ".grib": grib_truth, ".grib2": grib_truth}
VARIABLES: dict[str, Sequence[str]] = {
    "aqm_pm25_conus_lcc.nc": ["pm25"], "gridmet_tmmx_20190121.nc": ["air_temperature"],
    "oisst_19811231_0to360.nc": ["sst", "anom", "err", "ice"], "air_temperature_small.nc": ["air"],
    "coads_slp_wind_climatology.nc": ["SLP", "UWND", "VWND"],
    "stageiv_precip_curvilinear.nc": ["Total_precipitation_surface_1_Hour_Accumulation"],
}  # fmt: skip
FILES = [
    "ndfd_temp_conus_lcc.tif", "snow_swe_conus_lcc.tif", "ecmwf_swe_global_0p25.tif", "aso_snowdepth_grandmesa_50m.tif",
    "hrrr_surface_temp.grib2", "aqm_ozone_alaska_polar.tif", "mrms_refl_conus_7000x3500_cog.tif",
    "psurge_milton_lcc_8577x5505_cog.tif", "etopo5_global_0to360.tif", "gridmet_elevation_conus.tif",
    "nsidc_seaice_20201024_south.tif", "RGB.byte.tif", "rgb_webmercator_jpeg_overviews.tif",
    "era5_levels_members_times.grib", "gfswave_20210826_atlantic.grib2", "nlcd_zion_paletted.tif", *VARIABLES,
]  # fmt: skip
RASTERS = [(name, variable) for name in FILES for variable in VARIABLES.get(name, [None])]


def test_the_list_of_rasters_is_complete(shared_data_folder: Path) -> None:
    assert {path.name for path in shared_data_folder.iterdir() if path.suffix in TRUTHS} == set(FILES)


def bands_of(path: Path, variable: str | None) -> range:
    with rasterio.open(path if variable is None else _subdataset(path, variable)) as file:
        return range(1, file.count + 1)


def _subdataset(path: Path, variable: str) -> str:
    with rasterio.open(path) as file:
        return f"netcdf:{path}:{variable}" if file.subdatasets else str(path)


@pytest.fixture(scope="module", params=RASTERS, ids=lambda raster: "-".join(filter(None, raster)))
def raster(request: pytest.FixtureRequest, shared_data_folder: Path) -> tuple[Path, str | None]:
    """Return a path and a variable. All tests of a raster run one after the other, so they share the truth."""
    name, variable = request.param
    return shared_data_folder / name, variable


@lru_cache(maxsize=1)
def truth_of(path: Path, variable: str | None, band: int) -> Truth:
    return TRUTHS[path.suffix](path, variable, band)


def test_labels_times_and_values_of_all_bands_are_right(raster: tuple[Path, str | None]) -> None:
    path, variable = raster
    random = np.random.default_rng(7)
    sources = open_bands(RasterSettings(path=path, variable=variable))
    assert len(sources) == len(bands_of(path, variable))
    for band, source in enumerate(sources, 1):
        truth = truth_of(path, variable, band)
        _check_labels(source.describe().description, truth)
        if isinstance(source, CurvilinearSource) and band > 1:
            continue  # the test of pixels compares the last band; resampling all bands takes long
        geometry = source.describe().geometry
        values = source.read(geometry.full_window, (geometry.height, geometry.width), "nearest")
        row, column = (random.integers(0, size, PIXELS) for size in (geometry.height, geometry.width))
        x, y = _apply(geometry.transform, column + 0.5, row + 0.5)
        at_row, at_column, clear = truth.locate(x, y)
        inside = clear & (at_row < truth.cells.shape[0]) & (at_column < truth.cells.shape[1])
        at = at_row[inside].astype(int), at_column[inside].astype(int)
        expected = truth.cells[at].astype(float).filled(np.nan)
        assert inside.sum() > PIXELS / 10
        np.testing.assert_allclose(values[row[inside], column[inside]], expected, rtol=2e-6, atol=2e-5)


def _check_labels(description: Any, truth: Truth) -> None:
    assert description["units"] in (truth.units, *(("deg true", "Degree true") if truth.units == "deg" else ()))
    assert not truth.names or description["long_name"] in truth.names
    assert description.get("time") == truth.time
    if truth.reference_time is not None:
        assert description["reference_time"] == truth.reference_time
    if truth.level is not None:
        assert description["level"] == truth.level


def _levels(cells: Cells) -> list[float]:
    """Return levels between the values of the cells, so that no cell lies on a level."""
    values = np.unique(cells.compressed()).astype(float)
    if values.size < 3:
        return [float(values[0]) - 1, float(values[-1]) + 1]
    index = np.unique(np.linspace(0.1, 0.9, 9) * (values.size - 2)).astype(int)
    middle = np.unique(((values[index] + values[index + 1]) / 2).astype(np.float32)).astype(float)
    return [float(level) for level in middle] if middle.size > 1 else [float(middle[0]), float(middle[0]) + 1]


def test_pixels_of_maps_have_the_value_of_their_cell(raster: tuple[Path, str | None]) -> None:
    """Each band is read and located once for the maps in the CRS of the raster and in another CRS."""
    path, variable = raster
    for band in sorted({bands_of(path, variable)[0], bands_of(path, variable)[-1]}, reverse=True):
        truth = truth_of(path, variable, band)
        levels = _levels(truth.cells)
        settings = {"path": path, "variable": variable, "band": band}
        geometry = open_source(RasterSettings(**settings)).describe().geometry
        center = _center_with_data(truth, geometry)
        half = min(geometry.extent.width, geometry.extent.height) / 8
        at_center = Extent(center[0] - half, center[0] + half, center[1] - half, center[1] + half)
        half *= METERS_PER_DEGREE if geometry.crs.is_geographic else 1
        around_zero = Extent(-half, half, -half, half)
        for projection, extent in (("raster", at_center), (_centered_laea(geometry.crs, center), around_zero)):
            _check_map(extent, settings, projection, truth, levels)


def _centered_laea(crs: pyproj.CRS, center: tuple[float, float]) -> str:
    """Return an equal-area projection with a center, which is given in a CRS."""
    geodetic = crs.geodetic_crs
    assert geodetic is not None
    lon, lat = pyproj.Transformer.from_crs(crs, geodetic, always_xy=True).transform(*center)
    ellipsoid = geodetic.ellipsoid
    assert ellipsoid is not None
    axes = f"+a={ellipsoid.semi_major_metre} +b={ellipsoid.semi_minor_metre}"
    return f"+proj=laea +lat_0={lat:.6f} +lon_0={lon:.6f} {axes} +units=m"


def _check_map(extent: Extent, raster: Any, projection: str, truth: Truth, levels: list[float]) -> None:
    region = Region("here", extent, crs=None)
    config = read_config({
        "raster": raster,
        "map": {"projection": projection, "size": list(SIZE)},
        "colors": {"levels": levels, "colormap": "viridis", "nodata": "#ff00ff"},
    })  # fmt: skip
    shared = SharedData.load(config, [region])
    renderer = MapRenderer(shared)
    view = View.of(region, shared.crs, renderer.style.layout.panel, "datalim")
    pixels = renderer.render(region).pixels[..., :3]
    _check_pixels(pixels, view, shared, truth, levels, projection)


def _center_with_data(truth: Truth, geometry: Any) -> tuple[float, float]:
    """Return the center of a cell with data, near the middle of the grid."""
    rows, columns = (np.linspace(0.25, 0.75, 40) * size for size in (geometry.height, geometry.width))
    column, row = (part.ravel() for part in np.meshgrid(np.floor(columns) + 0.5, np.floor(rows) + 0.5))
    x, y = _apply(geometry.transform, column, row)
    at_row, at_column, clear = truth.locate(x, y)
    valid = clear.copy()
    valid[clear] = ~np.ma.getmaskarray(truth.cells)[at_row[clear].astype(int), at_column[clear].astype(int)]
    distance = np.where(valid, (column - geometry.width / 2) ** 2 + (row - geometry.height / 2) ** 2, np.inf)
    return float(x[distance.argmin()]), float(y[distance.argmin()])


def _check_pixels(
    pixels: Any, view: View, shared: SharedData, truth: Truth, levels: list[float], projection: str
) -> None:
    random, panel = np.random.default_rng(3), view.panel
    row, column = random.integers(4, panel.height - 4, 4 * PIXELS), random.integers(4, panel.width - 4, 4 * PIXELS)
    x = panel.extent.xmin + (column + 0.5) * panel.pixel_width
    y = panel.extent.ymax - (row + 0.5) * panel.pixel_height
    there = pyproj.Transformer.from_crs(shared.crs, shared.info.geometry.crs, always_xy=True).transform(x, y)
    at_row, at_column, clear = truth.locate(*(np.asarray(part) for part in there))
    keep = np.flatnonzero(clear & np.isfinite(there[0]))[:PIXELS]
    found = truth.cells[at_row[keep].astype(int), at_column[keep].astype(int)].astype(float)
    count = len(levels) - 1
    table = np.rint(matplotlib.colormaps["viridis"].resampled(count)(np.arange(count))[:, :3] * 255)
    table = np.vstack([table[:1], table, table[-1:], [[255, 0, 255]]])
    index = np.where(np.ma.getmaskarray(found), count + 2, np.searchsorted(levels, found.filled(0), side="right"))
    top = SIZE[1] - view.box.top
    shown = pixels[top + row[keep], view.box.left + column[keep]]
    right = (shown == table[index]).all(axis=1)
    assert keep.size > PIXELS / 4
    assert right.mean() >= 0.985, f"{projection}: {right.mean():.1%} of {keep.size} pixels are right"


def test_images_in_true_color_have_the_colors_of_their_bands(shared_data_folder: Path) -> None:
    """Colors of an image are its bands, at the places that its transform states."""
    path = shared_data_folder / "RGB.byte.tif"
    with rasterio.open(path) as file:
        bands, transform = file.read(), file.transform
        assert rgb_bands(file) is not None
    center = _apply(transform, np.array(400.5), np.array(350.5))
    region = Region("here", Extent(center[0] - 3e4, center[0] + 3e4, center[1] - 3e4, center[1] + 3e4), crs=None)
    shared = SharedData.load(read_config({"raster": {"path": path}, "map": {"size": list(SIZE)}}), [region])
    renderer = MapRenderer(shared)
    view = View.of(region, shared.crs, renderer.style.layout.panel, "datalim")
    pixels = renderer.render(region).pixels[..., :3]
    random, panel = np.random.default_rng(3), view.panel
    row, column = random.integers(4, panel.height - 4, PIXELS), random.integers(4, panel.width - 4, PIXELS)
    x = panel.extent.xmin + (column + 0.5) * panel.pixel_width
    y = panel.extent.ymax - (row + 0.5) * panel.pixel_height
    at_row, at_column, clear = by_transform(transform, bands.shape[1:])(x, y)
    expected = bands[:, at_row[clear].astype(int), at_column[clear].astype(int)].T
    expected[(expected == 0).all(axis=1)] = 255
    shown = pixels[SIZE[1] - view.box.top + row[clear], view.box.left + column[clear]]
    assert (shown == expected).all(axis=1).mean() >= 0.985


def test_the_library_for_grib_is_not_loaded_in_this_process() -> None:
    """Its SQLite and PROJ would replace those of other libraries."""
    assert "eccodes" not in sys.modules
