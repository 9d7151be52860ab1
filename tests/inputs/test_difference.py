"""The difference of two rasters, also on different grids, and of two products at the same times."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine

from regionplot.colors.fields import field_scale
from regionplot.colors.units import conversion
from regionplot.errors import ConfigError, RasterError
from regionplot.geo.grid import Window
from regionplot.inputs.describe import open_source
from regionplot.settings.field import FieldSettings
from regionplot.settings.loading import read_config
from regionplot.settings.raster import RasterSettings
from regionplot.shared.fields import find_fields

TRANSFORM = Affine(0.5, 0, -100, 0, -0.5, 50)


def plane(transform: Affine, shape: tuple[int, int] = (40, 60), offset: float = 0.0) -> np.ndarray:
    """Return values that are linear in longitude and latitude, at the centers of cells."""
    row, column = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    x, y = transform @ (column, row)
    return 2 * x + 3 * y + offset


def source_of(one, two, **options):
    return open_source(RasterSettings(path=one, minus=FieldSettings(path=two), **options))


@pytest.mark.parametrize(
    "other",
    [TRANSFORM, Affine(0.7, 0, -101, 0, -0.7, 51), Affine(0.3, 0, -105, 0, 0.3, 25), Affine(0.5, 0, 260, 0, -0.5, 50)],
    ids=["same grid", "coarser", "finer, south to north", "0 to 360"],
)
def test_cells_of_the_other_raster_are_interpolated_to_the_grid(write_raster, other: Affine) -> None:
    shape = (40, 60) if abs(other.a) == 0.5 else (90, 140)
    turns = 360 if other.c > 0 else 0
    one = write_raster(plane(TRANSFORM), TRANSFORM, name="one.tif")
    two = write_raster(plane(other, shape, offset=7.0) - 2 * turns, other, name="two.tif")
    source = source_of(one, two)
    cells = source.read(Window(3, 5, 30, 40), (30, 40), "nearest")
    np.testing.assert_allclose(cells, -7.0, atol=1e-4)
    thinned = source.read(Window(0, 0, 40, 60), (10, 15), "average")
    assert thinned.shape == (10, 15)
    np.testing.assert_allclose(thinned[1:-1, 1:-1], -7.0, atol=0.2)


def test_missing_cells_of_both_rasters_and_cells_outside_are_missing(write_raster) -> None:
    first, second = plane(TRANSFORM), plane(TRANSFORM)[:, :50]
    first[0, 0], second[5, 6] = np.nan, np.nan
    source = source_of(write_raster(first, TRANSFORM), write_raster(second, TRANSFORM, name="two.tif"))
    cells = source.read(Window(0, 0, 40, 60), (40, 60), "nearest")
    assert np.isnan(cells[:, 50:]).all()
    assert np.argwhere(np.isnan(cells[:, :50])).tolist() == [[0, 0], [5, 6]]


def test_a_difference_has_a_symmetric_scale_and_units_without_an_offset(write_raster) -> None:
    tags = {"units": "degC", "long_name": "Air temperature"}
    one, two = (write_raster(plane(TRANSFORM), TRANSFORM, name=name, tags=tags) for name in ("one.tif", "two.tif"))
    info = source_of(one, two).describe()
    assert info.description["long_name"] == "Air temperature, difference"
    assert field_scale(info) == "anomaly"
    found = conversion(info.units, "degF")
    assert found is not None
    assert (found.factor, found.offset) == (pytest.approx(1.8), 0.0)


def test_rasters_with_different_units_are_refused(write_raster) -> None:
    one = write_raster(plane(TRANSFORM), TRANSFORM, name="one.tif", tags={"units": "K"})
    two = write_raster(plane(TRANSFORM), TRANSFORM, name="two.tif", tags={"units": "degC"})
    with pytest.raises(RasterError, match=r"two.tif: its units are 'degC', but those of .*one.tif are 'K'; convert"):
        source_of(one, two)


def products(tmp_path, write_raster, times: dict[str, list[str]], **more):
    for product, hours in times.items():
        for hour in hours:
            write_raster(plane(TRANSFORM), TRANSFORM, name=f"{product}_20260310{hour}.tif")
    own = {name: {"raster": {"path": str(tmp_path / f"{name}_{{time:%Y%m%d%H}}.tif")}} for name in times}
    base = {"raster": {"time": "all"}}
    return read_config({**base, "products": {**own, "change": {"difference": list(times)}, **more}})


def test_a_difference_has_the_times_of_both_products(tmp_path, write_raster) -> None:
    config = products(tmp_path, write_raster, {"new": ["00", "06", "12"], "old": ["06", "12", "18"]})
    fields = [each for each in find_fields(config) if each.product == "change"]
    assert [each.time_text for each in fields] == ["2026-03-10T06:00", "2026-03-10T12:00"]
    for each in fields:
        raster = each.config.raster
        assert raster.minus is not None
        assert raster.minus.path is not None
        assert (raster.path.name[:3], raster.minus.path.name[:3]) == ("new", "old")
        assert raster.path.name[3:] == raster.minus.path.name[3:]
    assert [each.product for each in find_fields(config, ["change"])] == ["change", "change"]


@pytest.mark.parametrize("pair", [["new"], ["new", "nothing"], ["new", "change"], "new", 3])
def test_a_difference_names_two_other_products(tmp_path, write_raster, pair) -> None:
    with pytest.raises(ConfigError, match=r"\[products.change\] difference: must be the names of two other products"):
        products(tmp_path, write_raster, {"new": ["00"], "old": ["00"]}, change={"difference": pair})


def test_minus_and_steps_exclude_each_other() -> None:
    raster = {"path": "sample:relief", "minus": {"path": "sample:relief"}}
    with pytest.raises(ConfigError, match=r"minus and .*prepare.* exclude each other"):
        read_config({"raster": raster, "prepare": [{"step": "expression", "formula": "b1"}]})
