"""What a child process states about a GeoTIFF gives the same description as the file itself."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint

from regionplot.errors import RasterError
from regionplot.inputs.describe import inspect_raster, open_bands
from regionplot.inputs.profile import raster_profile
from regionplot.inputs.source import RasterInfo
from regionplot.inputs.statement import StatementPipe, statement_about, statement_from, statement_of
from regionplot.settings.raster import RasterSettings

VALUES = np.arange(12, dtype=np.int16).reshape(3, 4)
COLORS = np.full((4, 3, 4), 200, np.uint8)


def facts(info: RasterInfo) -> dict[str, str]:
    """Return all fields as texts, so that nan equals nan."""
    return {field.name: repr(getattr(info, field.name)) for field in dataclasses.fields(info)}


def sent(path: Path) -> StatementPipe:
    """Return a pipe through which a statement was sent. This process is sender and receiver."""
    pipe = StatementPipe()
    pipe.send(path)
    pipe.close_writer()
    return pipe


def changed(path: Path, change: Callable[[Any], None]) -> Path:
    with rasterio.open(path, "r+") as file:
        change(file)
    return path


def tagged(file: Any) -> None:
    file.update_tags(long_name="Snow depth", TIFFTAG_DATETIME="2026:11:29 12:00:00", valid_max="7")
    file.update_tags(1, standard_name="surface_snow_thickness", units="m")
    file.set_band_description(1, "snow (ö)")
    file.units = ["cm"]


def packed(file: Any) -> None:
    file.scales, file.offsets = [0.1], [-273.15]


FILES = {
    "plain": lambda write: write(VALUES),
    "nodata": lambda write: write(VALUES, nodata=3),
    "nan": lambda write: write(VALUES.astype(np.float32), nodata=np.nan),
    "large integers": lambda write: write(VALUES.astype(np.int64), nodata=-(2**63)),
    "scale": lambda write: changed(write(VALUES), packed),
    "tags": lambda write: changed(write(VALUES), tagged),
    "two bands": lambda write: write(np.stack([VALUES, VALUES])),
    "colors": lambda write: write(COLORS[:3], photometric="RGB"),
    "colors with alpha": lambda write: write(COLORS, photometric="RGB", alpha="YES"),
    "twelve bits": lambda write: write(COLORS[:3].astype(np.uint16), photometric="RGB", nbits=12),
    "mask": lambda write: changed(write(VALUES), lambda file: file.write_mask(VALUES > 3)),
    "projected": lambda write: write(VALUES, Affine(1e3, 0, -5e4, 0, -1e3, 2e4), crs="ESRI:102004"),
    "rotated": lambda write: write(VALUES, Affine(0.1, 0.02, -100, 0.03, -0.1, 40)),
    "southern row first": lambda write: write(VALUES, Affine(1, 0, -100, 0, 1, 20)),
}


@pytest.mark.parametrize("make", FILES.values(), ids=FILES)
@pytest.mark.parametrize("mask_and_scale", [True, False])
def test_a_statement_gives_the_description_of_the_file(make, mask_and_scale, write_raster) -> None:
    path = make(write_raster)
    settings = RasterSettings(path=path, band=1, mask_and_scale=mask_and_scale)
    expected = facts(inspect_raster(settings))
    with statement_from(sent(path)):
        assert statement_about(path) is not None
        assert facts(inspect_raster(settings)) == expected
        assert len(open_bands(settings.model_copy(update={"band": None}))) == rasterio.open(path).count


def test_statements_about_real_files(shared_data_folder: Path) -> None:
    paths = sorted(shared_data_folder.glob("*.tif"))
    for path in paths:
        settings = RasterSettings(path=path, band=1)
        with statement_from(sent(path)):
            assert (statement_about(path) is None) == has_palette(path)
            stated = facts(inspect_raster(settings))
        assert stated == facts(inspect_raster(settings)), path.name
    assert len(paths) > 10


def has_palette(path: Path) -> bool:
    with rasterio.open(path) as file:
        return file.colorinterp[0].name == "palette"


def test_a_statement_holds_the_profile_and_the_version_of_gdal(write_raster) -> None:
    path = write_raster(VALUES)
    with rasterio.open(path) as file, statement_from(sent(path)):
        statement = statement_about(path)
        assert (statement.profile, statement.gdal) == (raster_profile(file), rasterio.__gdal_version__)


@pytest.mark.parametrize("settings", [{"band": 2}, {"variable": "snow"}, {"max_cells": 5}])
def test_wrong_settings_have_the_same_message(settings, write_raster) -> None:
    path = write_raster(VALUES)
    with pytest.raises(RasterError) as expected:
        inspect_raster(RasterSettings(path=path, **settings))
    with statement_from(sent(path)), pytest.raises(RasterError) as found:
        inspect_raster(RasterSettings(path=path, **settings))
    assert str(found.value) == str(expected.value)


def with_control_points(file: Any) -> None:
    points = [GroundControlPoint(row, column, column, row) for row, column in ((0, 0), (0, 4), (3, 0))]
    file.gcps = points, rasterio.crs.CRS.from_epsg(4326)


UNSTATED = {
    "color table": lambda write: changed(
        write(VALUES.astype(np.uint8)), lambda file: file.write_colormap(1, {1: (255, 0, 0, 255)})
    ),
    "control points": lambda write: changed(write(VALUES, Affine.identity()), with_control_points),
    "many bands": lambda write: write(np.stack([VALUES] * 33)),
    "no GeoTIFF": lambda write: write(VALUES, name="grid.img", driver="HFA"),
}


@pytest.mark.parametrize("make", UNSTATED.values(), ids=UNSTATED)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_no_statement_about_files_that_plain_values_do_not_describe(make, write_raster) -> None:
    assert statement_of(make(write_raster)) is None


def test_no_statement_if_the_file_has_changed(write_raster, tmp_path) -> None:
    path = write_raster(VALUES)
    with statement_from(sent(path)):
        assert statement_about(tmp_path / "other.tif") is None
        assert statement_about(path) is not None
        shutil.copy(path, tmp_path / "new.tif")
        (tmp_path / "new.tif").replace(path)
        assert statement_about(path) is None
    assert statement_about(path) is None, "outside of the context"


def test_a_long_statement_is_not_sent(write_raster) -> None:
    path = changed(write_raster(VALUES), lambda file: file.update_tags(history="x" * 200_000))
    pipe = sent(path)
    assert pipe.receive(path) is None
    with statement_from(pipe):
        assert inspect_raster(RasterSettings(path=path)).geometry.width == 4


def test_a_child_that_cannot_open_the_file_sends_nothing(tmp_path) -> None:
    path = tmp_path / "grid.tif"
    path.write_bytes(b"II*\0")
    pipe = StatementPipe()
    with pytest.raises(RasterError):
        pipe.send(path)
    assert pipe.receive(path) is None


def test_a_process_without_a_child_sends_nothing(write_raster) -> None:
    pipe = StatementPipe()
    pipe.close_writer()
    pipe.send(write_raster(VALUES))
    assert pipe.receive(Path("grid.tif")) is None
