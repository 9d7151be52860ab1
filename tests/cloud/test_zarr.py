"""Draw maps from Zarr stores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from zarr_stores import VALUES, dataset, values_of, write, write_cog

from regionplot.errors import RasterError, RasterReplacedError
from regionplot.geo.grid import Window
from regionplot.inputs.describe import open_source, raster_times
from regionplot.settings.raster import RasterSettings

zarr = pytest.importorskip("zarr")


@pytest.mark.parametrize("version", [2, 3])
def test_a_store_and_a_cog_give_the_same_pixels(tmp_path: Path, run_command: Callable[..., Any], version: int) -> None:
    write(tmp_path, dataset(), version, chunks=(16, 16))
    write_cog(tmp_path)
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\na,-109,-99,42,48\n")
    more = '[map]\nstyle = "plain"\nsize = [240, 200]\n[colors]\nlabel = "snow"\n'
    more += 'levels = [0, 900, 1800, 2400]\n[run]\nstart_method = "serial"\n'
    images = []
    for name in ("snow.zarr", "snow.tif"):
        (tmp_path / "regionplot.toml").write_text(f'[raster]\npath = "{name}"\n{more}')
        done = run_command(tmp_path, "regions.csv", "-o", name[5:])
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        images.append(np.asarray(Image.open(tmp_path / name[5:] / "a.png").convert("RGB")))
    assert np.array_equal(images[0], images[1])


@pytest.mark.parametrize("south_up", [False, True])
def test_windows_and_thinned_windows_are_those_of_the_array(tmp_path: Path, *, south_up: bool) -> None:
    source = open_source(RasterSettings(path=write(tmp_path, dataset(south_up=south_up), chunks=(7, 9))))
    stored = VALUES[::-1] if south_up else VALUES
    window = Window(2, 3, 31, 50)
    part = stored[2:33, 3:53]
    assert np.array_equal(source.read(window, (31, 50), "nearest"), part, equal_nan=True)
    assert np.array_equal(
        source.read(window, (8, 13), "nearest"),
        part[np.ix_(np.arange(8) * 31 // 8, np.arange(13) * 50 // 13)],
        equal_nan=True,
    )


def test_packed_values_are_decoded(tmp_path: Path) -> None:
    path = write(tmp_path, dataset(), dtype="int16", scale_factor=0.5, add_offset=10, _FillValue=-9999)
    found = values_of(path)
    assert np.isnan(found[3, 4])
    assert np.allclose(found, VALUES, atol=0.26, equal_nan=True)


def test_times_and_variables_are_selected(tmp_path: Path) -> None:
    data = dataset(3)
    path = write(tmp_path, data)
    assert [str(time) for time in raster_times(RasterSettings(path=path, time="all"))][1] == "2026-01-02 00:00:00+00:00"
    assert np.array_equal(values_of(path, time=2), VALUES + 2, equal_nan=True)
    with pytest.raises(RasterError, match="has 3 times; choose one with time"):
        values_of(path)
    path = write(tmp_path, dataset().assign(ice=dataset().snow + 1))
    assert np.array_equal(values_of(path, variable="ice"), VALUES + 1, equal_nan=True)
    with pytest.raises(RasterError, match="several variables; choose one: "):
        values_of(path)


def test_a_store_that_changes_is_detected(tmp_path: Path) -> None:
    source = open_source(RasterSettings(path=write(tmp_path, dataset())))
    write(tmp_path, dataset() + 1)
    with pytest.raises(RasterReplacedError, match="input changed"):
        source.read(Window(0, 0, 2, 2), (2, 2), "nearest")


def test_a_codec_that_can_run_code_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, dataset(), 2)
    metadata = path / "snow" / ".zarray"
    document = json.loads(metadata.read_text())
    for filters in ([{"id": "pickle"}], [{"id": "zlib"}, {"id": "json2"}]):
        metadata.write_text(json.dumps({**document, "filters": filters}))
        with pytest.raises(RasterError, match=r"snow/.zarray: the codec '\w+' is not allowed"):
            open_source(RasterSettings(path=path))


@pytest.mark.parametrize("name", ["standard_name", "axis"])
def test_damaged_attributes_of_coordinates_are_reported(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, dataset().rename(y="lat", x="lon"), 2)
    for metadata in path.rglob(".z*"):
        metadata.write_text(metadata.read_text().replace('"standard_name": "latitude"', f'"{name}": 5'))
    for settings in ({}, {"crs": "EPSG:4326"}):
        with pytest.raises(RasterError, match=r"snow.zarr: cannot be read as a Zarr store: .*int"):
            values_of(path, **settings)


def test_links_in_a_store_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, dataset())
    (path / "snow" / "link").symlink_to(tmp_path)
    with pytest.raises(RasterError, match="links, pipes or devices"):
        open_source(RasterSettings(path=path))


def test_a_store_without_a_crs_or_coordinates_is_refused_with_a_cure(tmp_path: Path) -> None:
    data = dataset()
    for name in ("y", "x"):
        data[name].attrs = {}
    with pytest.raises(RasterError, match=r'the array has no CRS; set crs = "EPSG:..." in \[raster\]'):
        open_source(RasterSettings(path=write(tmp_path, data.rename(y="j", x="i"))))
    with pytest.raises(RasterError, match="add a coordinate for each dimension to the store"):
        open_source(RasterSettings(path=write(tmp_path, data.drop_vars(["y", "x"])), crs="EPSG:4326"))


def test_other_faults_are_reported(tmp_path: Path) -> None:
    folder = tmp_path / "empty.zarr"
    folder.mkdir()
    with pytest.raises(RasterError, match="not a Zarr store"):
        open_source(RasterSettings(path=folder))
    path = write(tmp_path, dataset())
    with pytest.raises(RasterError, match=r"more than .raster. max_cells"):
        open_source(RasterSettings(path=path, max_cells=100))
    (path / "zarr.json").write_text("{")
    with pytest.raises(RasterError, match=r"zarr.json: the metadata are damaged"):
        open_source(RasterSettings(path=path))
