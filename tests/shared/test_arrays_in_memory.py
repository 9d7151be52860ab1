"""Arrays and geometries in memory become maps, in all processes."""

# ruff: noqa: ARG001 (a function takes all arguments that regionplot passes)

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyproj
import pytest
import rioxarray  # noqa: F401
import shapely
import xarray as xr
from PIL import Image

import regionplot
import regionplot.xarray
from regionplot import Extent, Region, SharedData, render_regions

INSIDE = Region("inside", Extent(-98, -92, 38, 44))
EAST = Region("east", Extent(-92, -86, 38, 44))
SMALL = {"map": {"size": [300, 200]}, "colors": {"levels": [0, 100, 200, 300, 400, 500]}}


class Frame:
    """The attributes of a GeoDataFrame that are used."""

    def __init__(self, geometries: list[Any], crs: str | None = "EPSG:4326", **columns: list[Any]) -> None:
        self._table = pd.DataFrame(columns, index=range(len(geometries)))
        self.crs, self.columns, self.index = crs, [*columns, "geometry"], self._table.index
        self.geometry = Series(geometries, crs)

    def __getitem__(self, column: str) -> Any:
        return self._table[column]


class Series(list[Any]):
    """The attributes of a GeoSeries that are used."""

    name = "geometry"

    def __init__(self, geometries: list[Any], crs: str | None) -> None:
        super().__init__(geometries)
        self.crs = crs

    @property
    def bounds(self) -> Any:
        return shapely.bounds(np.array(self, dtype=object))


def array(dtype: Any = np.float32, **coordinates: Any) -> xr.DataArray:
    values = np.arange(20 * 24).reshape(20, 24).astype(dtype)
    places = coordinates or {"lat": 50.0 - np.arange(20), "lon": -105.0 + np.arange(24)}
    return xr.DataArray(values, places, tuple(places), "snow", {"units": "cm"})


def square(west: float, south: float, size: float = 2) -> shapely.Polygon:
    return shapely.box(west, south, west + size, south + size)


def settings(tmp_path: Path, method: str = "serial", **sections: Any) -> dict[str, Any]:
    run = {"start_method": method, "workers": 2}
    return {**SMALL, "output": {"directory": tmp_path / "maps"}, "run": run, **sections}


def test_cells_in_memory_are_not_copied() -> None:
    data = array()
    shared = SharedData.from_arrays(data, config=SMALL)
    assert np.shares_memory(shared.cells, data.values)
    assert data.values.flags.writeable
    assert not shared.cells.flags.writeable
    assert np.shares_memory(shared.cut(INSIDE).data, data.values)
    assert shared.raster.rio.crs.to_epsg() == 4326
    assert "snow" in repr(shared)


def test_a_large_array_is_used_whole_without_regard_to_the_memory_limit() -> None:
    data = array().isel(lat=slice(0, 10))
    big = xr.DataArray(np.zeros((2000, 2000)), {"y": -np.arange(2000.0), "x": np.arange(2000.0)}, ("y", "x"))
    shared = SharedData.from_arrays(big.rio.write_crs("EPSG:5070"), config={"run": {"memory": 16}})
    assert not shared.plan.reads_per_map
    assert SharedData.from_arrays(data).cells.shape == (10, 24)


@pytest.mark.parametrize("method", ["serial", "threads", "fork", "forkserver"])
def test_all_start_methods_draw_data_in_memory(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = array().where(array() > 30)
    features = {"squares": {"data": Frame([square(-97, 40)]), "linewidth": 3.0, "edgecolor": "red"}}
    shared = SharedData.from_arrays(data, features, settings(tmp_path, method))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    report = render_regions([INSIDE, EAST], shared)
    assert not report.failed, report.failed[0].message
    assert not list(tmp_path.glob("regionplot-*"))
    with Image.open(report.drawn[0].job.target) as image:
        found = np.asarray(image.convert("RGB")).astype(int)
    expected = regionplot.MapRenderer(shared).render(INSIDE).pixels
    assert (found == expected).all()
    assert ((found[..., 0] > 240) & (found[..., 1:].max(axis=2) < 30)).sum() > 100
    assert len(render_regions([INSIDE, EAST], shared).unchanged) == 2


def cells_of(shared: SharedData, region: Region) -> Any:
    import mmap

    owner = shared.cells
    while isinstance(owner, np.ndarray) and owner.base is not None:
        owner = owner.base
    is_mapped = isinstance(owner, memoryview) and isinstance(owner.obj, mmap.mmap)
    value = 255 if is_mapped and not shared.cells.flags.writeable else 0
    return np.full((9, 9, 3), value, np.uint8)


def test_workers_that_are_not_forked_map_the_cells(tmp_path: Path) -> None:
    shared = SharedData.from_arrays(array(), config=settings(tmp_path, "forkserver"))
    report = render_regions([INSIDE], shared, draw=cells_of)
    assert not report.failed, report.failed[0].message
    with Image.open(report.drawn[0].job.target) as image:
        assert image.getpixel((4, 4)) == (255, 255, 255)


def failing(shared: SharedData) -> None:
    raise ValueError("no table")


@pytest.mark.parametrize("method", ["forkserver"])
def test_the_temporary_file_is_removed_after_an_error(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shared = SharedData.from_arrays(array(), config=settings(tmp_path, method))
    with pytest.raises(regionplot.InputError, match="ValueError: no table"):
        render_regions([INSIDE], shared, draw=cells_of, load=failing)
    assert not list(tmp_path.glob("regionplot-*"))


def test_a_new_value_in_memory_is_a_new_map(tmp_path: Path) -> None:
    data = array()
    assert len(data.regionplot.render([INSIDE, EAST], config=settings(tmp_path)).drawn) == 2
    assert len(data.regionplot.render([INSIDE, EAST], config=settings(tmp_path)).unchanged) == 2
    data[5:12, 2:5] = 499
    report = data.regionplot.render([INSIDE, EAST], config=settings(tmp_path))
    assert [outcome.job.name for outcome in report.drawn] == ["inside"]
    report = data.regionplot.render([INSIDE], Frame([square(-97, 40)]), config=settings(tmp_path))
    assert len(report.drawn) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda data: data.expand_dims(time=[np.datetime64("2026-11-20T06:00")]),
        lambda data: data.transpose("lon", "lat"),
        lambda data: data.isel(lat=slice(None, None, -1)),
        lambda data: data.astype(np.int16).rio.write_nodata(7).rio.write_crs("EPSG:4326"),
        lambda data: data.rename(lat="latitude", lon="longitude"),
        lambda data: data.rename(lat="y", lon="x").rio.write_crs("EPSG:4326"),
        lambda data: _with_cf_mapping(data),
    ],
)
def test_arrays_of_many_kinds_give_the_same_map(make: Callable[[xr.DataArray], xr.DataArray]) -> None:
    data = array()
    expected = regionplot.MapRenderer(SharedData.from_arrays(data.where(data != 7), config=SMALL)).render(INSIDE)
    found = regionplot.MapRenderer(SharedData.from_arrays(make(data), config=SMALL)).render(INSIDE)
    assert (found.pixels == expected.pixels).all()


def test_cells_of_dask_arrays_are_computed() -> None:
    dask = pytest.importorskip("dask")
    with dask.config.set(scheduler="synchronous"):  # threads would stay, and forbid forks in the other tests
        shared = SharedData.from_arrays(array().chunk({"lat": 7}))
    assert (shared.cells == array().values).all()


def _with_cf_mapping(data: xr.DataArray) -> xr.DataArray:
    """Return an array whose CRS is described by the attributes of a CF grid mapping."""
    mapping = xr.DataArray(0, attrs={"grid_mapping_name": "latitude_longitude", "semi_major_axis": 6378137.0,
                                     "inverse_flattening": 298.257223563})  # fmt: skip
    renamed = data.rename(lat="y", lon="x").assign_coords(crs=mapping)
    renamed.attrs["grid_mapping"] = "crs"
    return renamed


def test_a_time_of_length_one_is_used_in_titles() -> None:
    data = array().expand_dims(time=[np.datetime64("2026-11-20T06:00")])
    shared = SharedData.from_arrays(data, config={"map": {"title": "{time:%d %b %H}"}})
    assert regionplot.MapRenderer(shared).render(INSIDE).title == "20 Nov 06"


def test_several_times_are_an_error_that_names_the_cure() -> None:
    data = xr.concat([array(), array()], "time")
    with pytest.raises(
        regionplot.RasterError, match=r"shape is \(2, 20, 24\); choose a part of it, such as .isel\(time=0\)"
    ):
        SharedData.from_arrays(data)


@pytest.mark.parametrize("names", [("XLAT", "XLONG"), ("latitude", "longitude"), ("nav_lat", "nav_lon")])
def test_an_array_with_coordinates_of_two_dimensions_is_drawn(names: tuple[str, str], tmp_path: Path) -> None:
    plain = array()
    longitudes, latitudes = np.meshgrid(plain.lon, plain.lat)
    turned = longitudes + 0.1 * (latitudes - 40), latitudes - 0.1 * (longitudes + 95)
    coordinates = {names[0]: (("j", "i"), turned[1]), names[1]: (("j", "i"), turned[0])}
    data = xr.DataArray(plain.values, coordinates, ("j", "i"), "snow")
    shared = SharedData.from_arrays(data, config=settings(tmp_path, "forkserver"))
    assert shared.meshgrid[0] == pytest.approx(turned[0])
    assert np.shares_memory(shared.raster.data, data.values)
    middle = shared.cut(Region("middle", Extent(-96, -94, 39, 41)))
    assert middle.size < data.size / 2
    assert (middle.data == data.data[np.ix_(*(_places(middle, data)))]).all()
    report = render_regions([INSIDE], shared)
    assert not report.failed, report.failed[0].message
    with Image.open(report.drawn[0].job.target) as image:
        assert (np.asarray(image.convert("RGB")) == regionplot.MapRenderer(shared).render(INSIDE).pixels).all()


def _places(part: xr.DataArray, whole: xr.DataArray) -> tuple[Any, Any]:
    first = int(np.flatnonzero(whole.data.ravel() == part.data[0, 0])[0])
    row, column = divmod(first, whole.shape[1])
    return np.arange(row, row + part.shape[0]), np.arange(column, column + part.shape[1])


JSON = {
    "type": "FeatureCollection",
    "features": [{"type": "Feature", "properties": {}, "geometry": square(-97, 40).__geo_interface__}],
}


class JsonLike:
    __geo_interface__ = JSON


@pytest.mark.parametrize(
    "features",
    [
        Frame([square(-97, 40), None]),
        Frame([square(-97, 40)]).geometry,
        [Frame([square(-97, 40)])],
        {"squares": Frame([square(-97, 40)])},
        {"data": [square(-97, 40)], "crs": "EPSG:4326"},
        {"squares": {"data": square(-97, 40), "crs": 4326}},
        JSON,
        JsonLike(),
        Frame([shapely.transform(square(-97, 40), lambda p: np.column_stack(
            pyproj.Transformer.from_crs(4326, 3857, always_xy=True).transform(*p.T)))], "EPSG:3857"),
    ],
)  # fmt: skip
def test_geometries_of_many_kinds_are_layers(features: Any) -> None:
    shared = SharedData.from_arrays(array(), features, SMALL)
    layer = next(layer for layer in shared.layers if type(layer).__name__ == "Features")
    assert shapely.total_bounds(layer.vectors.lines) == pytest.approx((-97, 40, -95, 42), abs=1e-6)


def test_layers_in_memory_have_names_and_styles() -> None:
    features = {"a": {"data": Frame([square(-97, 40)]), "linewidth": 2.5}, "b": Frame([square(-95, 40)])}
    shared = SharedData.from_arrays(array(), features, SMALL)
    assert shared.lines("a", INSIDE).settings.linewidth == 2.5
    assert len(shared.lines("b", INSIDE).geometries) == 1
    with pytest.raises(regionplot.ConfigError, match="the layers are 'a', 'b'"):
        shared.lines("c", INSIDE)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (Frame([square(0, 0)], crs=None), "features 1: the geometries have no CRS"),
        ([square(0, 0)], "the geometries have no CRS"),
        ({"x": 3}, "x: an object of type int holds no geometries"),
        ({"x": "file.shp"}, "x: an object of type str holds no geometries"),
        ({"x": {"data": [square(0, 0)], "crs": "nonsense"}}, "x: "),
        (Frame([square(500, 500)]), "all features lie outside the earth"),
    ],
)
def test_objects_without_geometries_or_crs_are_refused(features: Any, message: str) -> None:
    with pytest.raises(regionplot.FeaturesError, match=message):
        SharedData.from_arrays(array(), features, SMALL)


def test_a_wrong_style_is_an_error() -> None:
    with pytest.raises(regionplot.ConfigError, match="features 'x': width: Extra inputs"):
        SharedData.from_arrays(array(), {"x": {"data": Frame([square(-97, 40)]), "width": 3}}, SMALL)


def test_a_table_of_geometries_is_a_table_of_regions(tmp_path: Path) -> None:
    frame = Frame([square(-97, 40), square(-94, 41)], NAME=["one", "two"], title=["One", "Two"], pop=[3, 4])
    found = regionplot.read_regions(frame)
    assert [(region.name, region.title, region.crs) for region in found] == [
        ("one", "One", "EPSG:4326"),
        ("two", "Two", "EPSG:4326"),
    ]
    assert found[0].extent == Extent(-97, -95, 40, 42)
    assert found[1].attributes["pop"] == "4"
    report = array().regionplot.render(frame, config=settings(tmp_path, "fork"))
    assert [outcome.job.target.name for outcome in report.drawn] == ["one.png", "two.png"]
    albers = "+proj=aea +lat_0=37 +lat_1=29 +lat_2=45 +lon_0=-96"
    unnamed = regionplot.read_regions(Frame([square(-1000, -1000, 2000)], albers))[0]
    assert (unnamed.name, unnamed.crs) == ("0", "EPSG:4326")
    assert unnamed.extent.center == pytest.approx((-96, 37), abs=1e-3)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (Frame([square(0, 0)], None), "no CRS"),
        (Frame([shapely.Point(1, 1)], name=["a"]), "regions:1: column 'geometry': the geometry has no area"),
        (Frame([shapely.Polygon()], name=["a"]), "the geometry is empty"),
        (Frame([square(0, 0), square(1, 1)], name=["a", "A"]), "is taken by"),
    ],
)
def test_wrong_geometries_of_regions_are_errors(frame: Any, message: str) -> None:
    with pytest.raises(regionplot.RegionsError, match=message):
        regionplot.read_regions(frame)


def test_a_data_frame_is_a_table_of_regions(tmp_path: Path) -> None:
    frame = pd.DataFrame({"name": ["a"], "west": [-98], "east": [-92], "south": [38], "north": [44]})
    shared = SharedData.from_arrays(array(), config=settings(tmp_path))
    assert [outcome.job.name for outcome in render_regions(frame, shared).drawn] == ["a"]
    assert type(array().regionplot.plot(frame).axes[0]).__name__ == "GeoAxes"


def test_real_geo_data_frames_are_layers_and_regions(tmp_path: Path) -> None:
    geopandas = pytest.importorskip("geopandas")
    frame = geopandas.GeoDataFrame({"name": ["one"]}, geometry=[square(-97, 40)], crs="EPSG:4326")
    report = array().regionplot.render(frame.to_crs("EPSG:5070"), frame, config=settings(tmp_path))
    assert not report.failed
    assert report.drawn


def test_importing_the_package_imports_no_library() -> None:
    code = "import regionplot, sys; assert 'xarray' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
