"""Grids of HDF-EOS5 files lie where their metadata say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest

from regionplot.errors import RasterError
from regionplot.inputs.curvilinear import CurvilinearSource
from regionplot.inputs.describe import open_source
from regionplot.inputs.source import read_window
from regionplot.settings.raster import RasterSettings

h5py = pytest.importorskip("h5py", reason="writes the HDF5 files")

VALUES = np.arange(18 * 36, dtype=np.float32).reshape(18, 36)
STRUCTURE = """GROUP=SwathStructure
END_GROUP=SwathStructure
GROUP=GridStructure
	GROUP=GRID_1
		GridName="Other"
		XDim=2
		YDim=2
	END_GROUP=GRID_1
	GROUP=GRID_2
		GridName="Column Amount"
		XDim=36
		YDim=18
		UpperLeftPointMtrs=({left},{upper})
		LowerRightMtrs=({right},{lower})
		Projection=HE5_GCTP_{projection}
		{more}
		GROUP=DataField
			OBJECT=DataField_1
				DataFieldName="Ozone"
				DimList=({dimensions})
			END_OBJECT=DataField_1
		END_GROUP=DataField
	END_GROUP=GRID_2
END_GROUP=GridStructure
END
"""
WORLD = {"left": "-180000000.0", "upper": "90000000.0", "right": "180000000.0", "lower": "-90000000.0"}
ORDER = '"YDim","XDim"'


def write(path: Path, values: Any = VALUES, projection: str = "GEO", more: str = "", **texts: str) -> Path:
    text = STRUCTURE.format(projection=projection, more=more, **{**WORLD, "dimensions": ORDER, **texts})
    with h5py.File(path, "w") as file:
        file["HDFEOS/GRIDS/Column Amount/Data Fields/Ozone"] = values
        file["HDFEOS INFORMATION/StructMetadata.0"] = np.bytes_(text.encode().ljust(32000, b"\0"))
    return path


def read(path: Path) -> tuple[Any, Any]:
    source = open_source(RasterSettings(path=path))
    geometry = source.describe().geometry
    return read_window(source, geometry.full_window)[0], geometry


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, VALUES),
        ({"more": "GridOrigin=HE5_HDFE_GD_UL"}, VALUES),
        ({"more": "GridOrigin=HE5_HDFE_GD_LL"}, VALUES[::-1]),
        ({"upper": "-90000000.0", "lower": "90000000.0", "more": "GridOrigin=HE5_HDFE_GD_LL"}, VALUES[::-1]),
        ({"upper": "-90000000.0", "lower": "90000000.0"}, VALUES[::-1]),
        ({"left": "-180", "upper": "90", "right": "180", "lower": "-90"}, VALUES),
        ({"dimensions": ""}, VALUES),
    ],
    ids=["default", "upper left", "lower left", "lower left, turned", "turned", "plain degrees", "by size"],
)
def test_a_grid_in_degrees_is_placed_by_its_corners(tmp_path: Path, options: Any, expected: Any) -> None:
    values, geometry = read(write(tmp_path / "grid.he5", **options))
    np.testing.assert_array_equal(values, expected)
    assert geometry.transform[:6] == (10, 0, -180, 0, -10, 90)
    assert geometry.crs.to_epsg() == 4326 or geometry.crs.is_geographic


def test_dimensions_may_be_in_another_order(tmp_path: Path) -> None:
    values, geometry = read(write(tmp_path / "grid.he5", VALUES.T, dimensions='"XDim","YDim"'))
    np.testing.assert_array_equal(values, VALUES)
    assert (geometry.height, geometry.width) == (18, 36)


def test_minutes_and_seconds_of_corners_are_read(tmp_path: Path) -> None:
    corners = {"left": "-10030000.00", "upper": "50015036.00", "right": "-1030000.00", "lower": "-40000000.00"}
    _, geometry = read(write(tmp_path / "grid.he5", **corners))
    extent = geometry.extent
    np.testing.assert_allclose([extent.xmin, extent.xmax, extent.ymin, extent.ymax], [-10.5, -1.5, -40, 50.26])


@pytest.mark.parametrize(
    ("projection", "parameters", "crs"),
    [
        ("SNSOID", "6371007.181,0,0,0,0,0,0,0", "+proj=sinu +R=6371007.181"),
        ("LAMAZ", "6371228.0,0,0,0,0,90000000,0,0", "+proj=laea +lat_0=90 +R=6371228"),
        ("PS", "6378273,6356889.449,0,0,-45000000,70000000,0,0", "+proj=stere +lat_0=90 +lat_ts=70 +lon_0=-45 "
         "+a=6378273 +b=6356889.449"),
        ("CEA", "0,0,0,0,0,30000000,0,0", "+proj=cea +lat_ts=30 +datum=WGS84"),
    ],
)  # fmt: skip
def test_a_projected_grid_has_its_crs(tmp_path: Path, projection: str, parameters: str, crs: str) -> None:
    corners = {"left": "-1800000.0", "upper": "900000.0", "right": "1800000.0", "lower": "-900000.0"}
    path = write(tmp_path / "grid.he5", projection=projection, more=f"ProjParams=({parameters})", **corners)
    values, geometry = read(path)
    np.testing.assert_array_equal(values, VALUES)
    assert geometry.transform[:6] == (100_000, 0, -1_800_000, 0, -100_000, 900_000)
    expected = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(20, 65)
    np.testing.assert_allclose(
        pyproj.Transformer.from_crs(4326, geometry.crs, always_xy=True).transform(20, 65), expected, atol=1e-3
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"projection": "SOM"}, "the HDF-EOS projection 'SOM' cannot be used: it is not known"),
        ({"projection": "UTM", "more": "ZoneCode=99"}, "the HDF-EOS projection 'UTM' cannot be used"),
        ({"left": "x"}, "does not state the corners and dimensions of 'Column Amount'"),
        ({"right": "-180000000.0"}, "the corners of 'Column Amount' in StructMetadata cannot be used"),
        ({"dimensions": "", "values": VALUES[:9]}, "does not state the corners and dimensions of 'Column Amount'"),
    ],
    ids=["projection", "zone", "corner", "no width", "another size"],
)
def test_metadata_that_do_not_place_the_grid_are_refused(tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(RasterError, match=message):
        read(write(tmp_path / "grid.he5", **options))


def test_a_grid_that_the_metadata_do_not_describe_has_no_georeferencing(tmp_path: Path) -> None:
    path = write(tmp_path / "grid.he5")
    with h5py.File(path, "a") as file:
        file.move("HDFEOS/GRIDS/Column Amount", "HDFEOS/GRIDS/Renamed")
    with pytest.raises(RasterError, match=r"no CRS|no transform"):
        read(path)


def test_a_swath_is_drawn_by_its_coordinates(tmp_path: Path) -> None:
    path, (row, column) = tmp_path / "swath.he5", np.mgrid[:20, :30]
    with h5py.File(path, "w") as file:
        file["HDFEOS/SWATHS/S/Data Fields/Ozone"] = (30 * row + column).astype("f4")
        file["HDFEOS/SWATHS/S/Geolocation Fields/Latitude"] = 10 - 0.1 * row + 0.03 * column
        file["HDFEOS/SWATHS/S/Geolocation Fields/Longitude"] = 20 + 0.1 * column + 0.03 * row
    source = open_source(RasterSettings(path=path))
    assert isinstance(source, CurvilinearSource)
    np.testing.assert_array_equal(source.read_native().values, 30 * row + column)


@pytest.mark.parametrize("shape", [(30, 40), (40, 40)], ids=["oblong", "square"])
@pytest.mark.parametrize("groups", [("", ""), ("geo/", "data/")], ids=["root", "groups"])
def test_axes_without_dimension_scales_are_found_by_size(
    tmp_path: Path, shape: tuple[int, int], groups: tuple[str, str]
) -> None:
    path, values = tmp_path / "grid.h5", np.arange(float(np.prod(shape))).reshape(shape)
    with h5py.File(path, "w") as file:
        file[f"{groups[0]}lat"] = 50 - 0.5 * np.arange(shape[0])
        file[f"{groups[0]}lon"] = -100 + 0.5 * np.arange(shape[1])
        file[f"{groups[1]}rain"] = values
    found, geometry = read(path)
    np.testing.assert_array_equal(found, values)
    assert geometry.transform[:6] == (0.5, 0, -100.25, 0, -0.5, 50.25)
