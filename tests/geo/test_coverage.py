"""Shares of cells that polygons cover, compared with exactextract, rasterstats and exact intersections."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterstats
import shapely
from affine import Affine
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource

from regionplot.geo import coverage
from regionplot.geo.coverage import covered_shares, polygons_in
from regionplot.geo.crs import parse_crs
from regionplot.geo.extent import Extent
from regionplot.geo.grid import GridGeometry
from regionplot.geo.region import Region
from regionplot.shared.data import SharedData
from regionplot.shared.numbers import region_numbers

METERS = parse_crs("EPSG:5070")
DEGREES = parse_crs("EPSG:4326")
NORTH_UP = Affine(1, 0, 0, 0, -1, 12)
ROTATED = Affine(0.94, 0.34, -1, 0.34, -0.94, 10)
SHAPE = shapely.difference(shapely.Point(7.3, 5.8).buffer(4.4), shapely.Point(6.1, 6.2).buffer(1.7))


def _intersections(geometry: GridGeometry, polygon: shapely.Geometry) -> np.ndarray:
    rows, columns = np.mgrid[: geometry.height, : geometry.width].astype(float)
    corners = [geometry.coordinates(columns + c, rows + r) for c, r in ((0, 0), (1, 0), (1, 1), (0, 1))]
    cells = shapely.polygons(np.stack([np.stack(corner, axis=-1) for corner in corners], axis=-2))
    return shapely.area(shapely.intersection(cells, polygon)) / shapely.area(cells)


@pytest.mark.parametrize(
    "transform",
    [NORTH_UP, Affine(1, 0, 0, 0, 1, 0), Affine(-1, 0, 15, 0, -1, 12), Affine(0.5, 0, 3, 0, -0.25, 8)],
    ids=["north up", "south up", "east to west", "oblong"],
)
def test_shares_are_exact(transform: Affine) -> None:
    geometry = GridGeometry(transform, 12, 15, METERS)
    found = covered_shares(geometry, np.array([SHAPE]))
    np.testing.assert_allclose(found, _intersections(geometry, SHAPE), atol=2e-6)


@pytest.mark.parametrize("transform", [NORTH_UP, ROTATED], ids=["north up", "rotated"])
def test_without_exactextract_the_error_is_small(transform: Affine, monkeypatch) -> None:
    monkeypatch.setattr(coverage, "find_spec", lambda _name: None)
    monkeypatch.setattr(coverage, "_STRIP_CELLS", 45)
    geometry = GridGeometry(transform, 12, 15, METERS)
    expected = _intersections(geometry, SHAPE)
    error = np.abs(covered_shares(geometry, np.array([SHAPE])) - expected)
    assert error[(expected == 0) | (expected > 1 - 1e-9)].max() < 1e-12
    crossed = error[(expected > 0) & (expected < 1 - 1e-9)]
    assert crossed.max() < 1 / 8
    assert np.sqrt((crossed**2).mean()) < 1 / 50
    assert covered_shares(geometry, np.array([SHAPE])).sum() == pytest.approx(expected.sum(), rel=0.01)


@pytest.mark.parametrize("start", [0, -180, 20])
def test_polygons_are_found_on_each_turn(start: int) -> None:
    geometry = GridGeometry(Affine(10, 0, start, 0, -10, 90), 18, 36, DEGREES)
    polygon = shapely.box(-15, 5, 15, 25)
    for turn in (-360, 0, 360):
        shifted = shapely.box(-15 + turn, 5, 15 + turn, 25)
        assert covered_shares(geometry, np.array([shifted])).sum() == pytest.approx(polygon.area / 100)
    row = covered_shares(geometry, np.array([polygon]))[7]
    assert row[(0 - start) // 10 % 36] == row[(-10 - start) // 10 % 36] == 1
    assert row[(10 - start) // 10 % 36] == pytest.approx(0.5)


def test_nothing_is_covered_outside() -> None:
    geometry = GridGeometry(NORTH_UP, 12, 15, METERS)
    assert not covered_shares(geometry, np.array([shapely.box(100, 100, 110, 110)])).any()
    assert not covered_shares(geometry, np.empty(0, dtype=object)).any()


def test_only_polygons_have_an_area() -> None:
    mixed = shapely.GeometryCollection([shapely.Point(0, 0), shapely.box(0, 0, 1, 1)])
    assert [each.geom_type for each in polygons_in(shapely.to_wkb(mixed))] == ["Polygon"]
    assert polygons_in(b"").size == 0
    assert polygons_in(shapely.to_wkb(shapely.Point(0, 0))).size == 0


@pytest.fixture
def numbers(make_config, write_raster):
    """Return a function that computes the statistics of a polygon over noise with missing cells, and the cells."""

    def compute(polygon: shapely.Geometry, shape: bytes):
        cells = np.random.default_rng(4).normal(size=(12, 15))
        cells[3:5, 5:8] = np.nan
        path = write_raster(cells, Affine(1, 0, 0, 0, -1, 12))
        statistics = {"table": "a.csv", "percentiles": [25, 50]}
        config = make_config(raster={"path": path}, map={"size": [300, 200]}, statistics=statistics)
        xmin, ymin, xmax, ymax = polygon.bounds
        return region_numbers(SharedData.load(config), Region("r", Extent(xmin, xmax, ymin, ymax), shape=shape)), cells

    return compute


def test_weighted_statistics_are_those_of_exactextract(numbers) -> None:
    found, cells = numbers(SHAPE, shapely.to_wkb(SHAPE))
    grid = NumPyRasterSource(cells, xmin=0, ymin=0, xmax=15, ymax=12, nodata=np.nan)
    feature = {"type": "Feature", "geometry": json.loads(shapely.to_geojson(SHAPE)), "properties": {}}
    names = ["count", "min", "max", "mean", "max_center_x", "max_center_y", "quantile(q=0.25)", "quantile(q=0.5)"]
    expected = exact_extract(grid, [feature], names)[0]["properties"]
    assert (found.count, found.min, found.max, found.mean) == pytest.approx(
        tuple(expected[name] for name in names[:4]), rel=1e-6
    )
    assert found.max_at == (expected["max_center_x"], expected["max_center_y"])
    quantiles = expected["quantile_25"], expected["quantile_50"]
    assert tuple(found.percentiles.values()) == pytest.approx(quantiles, abs=0.02)
    assert found.total == pytest.approx(SHAPE.area)
    assert found.weights == "polygon"


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rasterstats multiplies transforms
def test_statistics_of_an_extent_are_those_of_rasterstats(numbers) -> None:
    box = shapely.box(2.2, 3.3, 11.4, 9.8)
    found, cells = numbers(box, b"")
    names = ["count", "min", "max", "mean", "percentile_25", "percentile_50"]
    expected = rasterstats.zonal_stats(box, cells, affine=NORTH_UP, nodata=np.nan, stats=names)[0]
    actual = found.count, found.min, found.max, found.mean, *found.percentiles.values()
    assert actual == pytest.approx(tuple(expected[name] for name in names))
    assert found.weights == "cells"
