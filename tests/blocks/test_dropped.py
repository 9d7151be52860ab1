"""Test that GCPs, RPCs and masks that an output does not have are named in one warning."""

from __future__ import annotations

import logging
import warnings

import block_functions as functions
import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.errors import NotGeoreferencedWarning
from rasterio.rpc import RPC

from regionplot.blocks import Mean, compute_mask, mosaic, process_blocks, split_tiles

CELLS = np.arange(60, dtype=np.float32).reshape(6, 10)
POINTS = [GroundControlPoint(0, 0, 1, 2), GroundControlPoint(0, 10, 3, 2), GroundControlPoint(6, 0, 1, 9)]
COEFFICIENTS = [1.0, *[0.0] * 19]
MODEL = RPC(1, 1, 5, 5, COEFFICIENTS, COEFFICIENTS, 1, 5, 5, 1, COEFFICIENTS, COEFFICIENTS, 1, 1)


@pytest.fixture
def scene(tmp_path):
    """Write a raster with GCPs and RPCs."""
    path = tmp_path / "scene.tif"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", "GTiff", 10, 6, 1, dtype="float32", gcps=POINTS, crs="EPSG:4326") as file:
            file.write(CELLS, 1)
            file.rpcs = MODEL
    return path


@pytest.fixture(params=["YES", "NO"])
def masked(request, write_raster):
    """Write a raster with a mask in the file or beside it."""
    path = write_raster(CELLS, name="masked.tif")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=request.param), rasterio.open(path, "r+") as file:
        file.write_mask(CELLS > 5)
    return path


def messages(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_gcps_and_rpcs_are_named_once(scene, tmp_path, caplog):
    process_blocks(functions.first, [scene, scene], tmp_path / "out.tif", executor="serial")
    assert messages(caplog) == [f"{scene}: its 3 GCPs and its RPCs are not copied"]
    caplog.clear()
    split_tiles(scene, tmp_path / "tiles", executor="serial")
    assert messages(caplog) == [f"{scene}: its 3 GCPs and its RPCs are not copied"]
    caplog.clear()
    process_blocks(functions.first, scene, Mean(), executor="serial")
    assert messages(caplog) == []


def test_a_mask_that_is_not_used_is_named(masked, tmp_path, caplog):
    beside = masked.with_name("masked.tif.msk")
    ignored = f"{masked}: its mask {beside} is ignored, because files beside a raster are not read"
    expected = ignored if beside.exists() else f'{masked}: its mask is ignored; read="masked" uses it'
    for output in (tmp_path / "out.tif", Mean()):
        process_blocks(functions.first, masked, output, executor="serial")
        assert messages(caplog) == [expected]
        caplog.clear()
    process_blocks(functions.first, masked, Mean(), read="masked", executor="serial")
    compute_mask(masked, executor="serial")
    mosaic([masked], tmp_path / "out.tif", executor="serial")
    assert messages(caplog) == ([ignored] * 3 if beside.exists() else [])


@pytest.mark.parametrize("options", [{"nodata": 3}, {"dtype": "uint8", "alpha": "yes"}, {}])
def test_rasters_without_extras_give_no_warning(write_raster, tmp_path, caplog, options):
    values = CELLS.astype(options.get("dtype", "float32"))
    path = write_raster(np.stack([values, values]) if "alpha" in options else values, **options)
    process_blocks(functions.first, path, tmp_path / "out.tif", executor="serial")
    assert messages(caplog) == []
