"""Statistics of the cells in areas are those of the cells whose centers lie inside."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine

from regionplot.geo.crs import parse_crs
from regionplot.geo.extent import Extent
from regionplot.geo.grid import GridGeometry
from regionplot.geo.region import Region
from regionplot.layers.area_values import statistic_in
from regionplot.layers.field import Field
from regionplot.render.drawn_marks import DrawnMarks
from regionplot.render.sheets import Style, make_sheet
from regionplot.sheet.marks import Label

LONLAT = parse_crs("EPSG:4326")
LAMBERT = parse_crs("EPSG:5070")
AREAS = [
    shapely.Point(-95, 40).buffer(3.3),
    shapely.MultiPolygon([shapely.box(-99, 33, -97, 36), shapely.box(-94, 33, -93.2, 34)]),
    shapely.Polygon(shapely.box(-92, 30, -86, 36).exterior.coords, [shapely.box(-90, 32, -88, 34).exterior.coords]),
]
GRIDS = {
    "degrees": (LONLAT, Affine(0.25, 0, -105, 0, -0.25, 46)),
    "0 to 360": (LONLAT, Affine(0.25, 0, 255, 0, -0.25, 46)),
    "south to north": (LONLAT, Affine(0.25, 0, -105, 0, 0.25, 26)),
    "Lambert": (LAMBERT, Affine(25_000, 0, -1_000_000, 0, -25_000, 2_400_000)),
    "rotated": (LONLAT, Affine.translation(-105, 46) @ Affine.rotation(5) @ Affine.scale(0.25, -0.25)),
}


def field_of(name: str) -> Field:
    crs, transform = GRIDS[name]
    values = np.random.default_rng(1).normal(size=(80, 80))
    values[10:20, 30:50] = np.nan
    return Field(values, GridGeometry(transform, 80, 80, crs), {}, "")


@pytest.mark.parametrize(("statistic", "compute"), [("mean", np.mean), ("median", np.median), ("maximum", np.max)])
@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("map_crs", [LONLAT, LAMBERT], ids=["degrees", "Lambert"])
def test_statistics_are_those_of_the_cells_inside(name: str, map_crs: pyproj.CRS, statistic: str, compute) -> None:
    field, crs = field_of(name), GRIDS[name][0]
    column, row = np.meshgrid(np.arange(80) + 0.5, np.arange(80) + 0.5)
    x, y = field.geometry.transform @ (column, row)
    lon, lat = pyproj.Transformer.from_crs(crs, LONLAT, always_xy=True).transform(x, y)
    to_map = pyproj.Transformer.from_crs(LONLAT, map_crs, always_xy=True).transform
    densified = shapely.segmentize(np.array(AREAS, object), 0.02)
    areas = shapely.transform(densified, lambda points: np.column_stack(to_map(*points.T)))
    found = statistic_in(field, areas, map_crs, statistic)
    for area, value in zip(AREAS, found, strict=True):
        inside = field.values[shapely.contains_xy(area, (lon + 180) % 360 - 180, lat)]
        assert value == pytest.approx(compute(inside[np.isfinite(inside)]), abs=1e-6)


def test_small_areas_have_the_value_at_their_place_and_areas_outside_have_none() -> None:
    field = field_of("degrees")
    field.values[:] = np.arange(80.0)
    areas = np.array([shapely.box(-100.0, 40, -99.99, 40.01), shapely.box(10, 50, 20, 60)], object)
    small, outside = statistic_in(field, areas, LONLAT, "mean")
    assert small == pytest.approx((-99.995 + 105) / 0.25 - 0.5, abs=0.01)
    assert np.isnan(outside)


@pytest.mark.usefixtures("read_in_process")
def test_areas_are_labeled_with_values_in_the_units_of_the_colors(load, write_raster, write_vector) -> None:
    values = np.repeat([[0.0, 20.0]], 40, axis=1).repeat(40, axis=0)
    raster = write_raster(values, Affine(0.25, 0, -100, 0, -0.25, 40), tags={"units": "degC"})
    areas = write_vector([shapely.box(-99, 32, -91, 38), shapely.box(-89, 32, -81, 38)], name="areas.shp")
    labels = [{"path": areas, "name": "id", "values": True, "format": "{:.1f}"}]
    shared = load(raster={"path": raster}, colors={"units": "degF", "vmin": 0, "vmax": 99}, labels=labels)
    sheet = make_sheet(Region("a", Extent(-100, -80, 30, 40)), Style.of(shared))
    marks = [mark for mark in DrawnMarks.of(shared.layers, sheet).in_panel if isinstance(mark, Label)]
    assert {mark.text for mark in marks if mark.weight == "semibold"} == {"32.0", "68.0"}
    assert {mark.text for mark in marks if mark.weight == "normal"} == {"0", "1"}
