"""The CRS of a NetCDF variable is read from its grid mapping if GDAL does not read the CRS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pyproj
import pytest

from regionplot.inputs.describe import inspect_raster
from regionplot.settings.raster import RasterSettings

SPHERE = {"earth_radius": 6371007.181}
EDGES = np.arange(-4e5, 5e5, 1e5)
MAPPINGS: dict[str, tuple[dict[str, Any], str]] = {
    "sinusoidal": ({"longitude_of_projection_origin": 10.0, **SPHERE}, "+proj=sinu +lon_0=10 +R=6371007.181"),
    "vertical_perspective": (
        {"longitude_of_projection_origin": 10.0, "latitude_of_projection_origin": 20.0,
         "perspective_point_height": 3e7, **SPHERE},
        "+proj=nsper +lon_0=10 +lat_0=20 +h=3e7 +R=6371007.181",
    ),
    "rotated_latitude_longitude": (
        {"grid_north_pole_latitude": 39.25, "grid_north_pole_longitude": -162.0},
        "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +datum=WGS84 +type=crs",
    ),
}  # fmt: skip


def write(path: Path, name: str, attributes: dict[str, Any], order: str) -> Path:
    kind, units, step = ("grid", "degrees", 1e-5) if "rotated" in name else ("projection", "m", 1.0)
    names = {"x": "longitude", "y": "latitude"} if kind == "grid" else {"x": "x_coordinate", "y": "y_coordinate"}
    with netCDF4.Dataset(path, "w") as file:
        for axis in "xy":
            file.createDimension(axis, EDGES.size)
            file.createVariable(axis, "f8", (axis,))[:] = EDGES * step
            file[axis].setncatts({"units": units, "standard_name": f"{kind}_{names[axis]}"})
        file.createVariable("mapping", "i4").setncatts({"grid_mapping_name": name, **attributes})
        file.createVariable("rain", "f4", tuple(order))[:] = 1
        file["rain"].grid_mapping = "mapping: x y"
    return path


@pytest.mark.parametrize("order", ["yx", "xy"])
@pytest.mark.parametrize("name", MAPPINGS)
def test_the_crs_is_read_from_the_grid_mapping(name: str, order: str, tmp_path: Path) -> None:
    attributes, same = MAPPINGS[name]
    geometry = inspect_raster(RasterSettings(path=write(tmp_path / "grid.nc", name, attributes, order))).geometry
    edges = geometry.extent
    x, y = np.meshgrid(np.linspace(edges.xmin, edges.xmax, 5), np.linspace(edges.ymin, edges.ymax, 5))
    found, expected = (
        pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y) for crs in (geometry.crs, same)
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    "attributes", [{"crs_wkt": 'GEOGCS["a"]'}, {"earth_radius": "/etc/passwd"}, {"earth_radius": np.nan}], ids=str
)
def test_texts_and_damaged_numbers_in_a_grid_mapping_are_not_used(attributes: dict[str, Any], tmp_path: Path) -> None:
    crs = inspect_raster(RasterSettings(path=write(tmp_path / "grid.nc", "sinusoidal", attributes, "yx"))).geometry.crs
    assert crs.ellipsoid is not None
    assert round(crs.ellipsoid.semi_major_metre) == 6378137
