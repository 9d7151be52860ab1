"""Write masks of files of every format, and compare the stored cells before and after, bit by bit."""

from __future__ import annotations

import hashlib
import os
import shutil

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.enums import MaskFlags

from regionplot.blocks import compute_mask, mask_files
from regionplot.errors import RasterError, RegionplotError

pytestmark = pytest.mark.filterwarnings("ignore")  # drivers warn of properties that their formats lack

with rasterio.Env() as _environment:
    DRIVERS = sorted(_environment.drivers())
BESIDE = {"AAIGrid", "GRIB", "HFA", "JP2OpenJPEG", "SRTMHGT", "netCDF"}
"""Formats that this package reads, other than GeoTIFF."""
OPTIONS = {"JP2OpenJPEG": {"QUALITY": "100", "REVERSIBLE": "YES"}}
NAMES = {"SRTMHGT": "N40W106.hgt"}
SHAPES = {"SRTMHGT": (1201, 1201)}
"""Rows and columns that a format demands."""


def digest(path):
    """Return a checksum of all stored cells, without any mask."""
    with rasterio.open(path) as dataset:
        return dataset.dtypes, hashlib.sha256(dataset.read().tobytes()).hexdigest()


def listing(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def written_with(driver, dtype, folder, write_raster):
    """Return a file of a format, or None if the driver does not write such a file."""
    height, width = SHAPES.get(driver, (24, 32))
    values = np.random.default_rng(4).integers(1, 200, (height, width)).astype(dtype)
    values[:5] = 7
    cell = 1 / (width - 1)
    affine = rasterio.Affine(cell, 0, -106 - cell / 2, 0, -cell, 41 + cell / 2)
    source = write_raster(values, affine=affine, name="../origin.tif")
    target = folder / NAMES.get(driver, "file.dat")
    try:
        rasterio.shutil.copy(source, target, driver=driver, **OPTIONS.get(driver, {}))
        digest(target)
    except Exception:
        return None
    return target if target.is_file() else None


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("driver", [driver for driver in DRIVERS if driver not in ("HTTP", "GTiff", "COG")])
def test_no_driver_changes_a_cell(driver, dtype, tmp_path_factory, monkeypatch):
    folder, temporary = tmp_path_factory.mktemp("data") / "in", tmp_path_factory.mktemp("temporary")
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    path = written_with(driver, dtype, folder, _writer(folder))
    if path is None:
        return  # the driver writes no such file
    before, cells = listing(folder), digest(path)
    with rasterio.open(path) as dataset:
        expected = np.where((dataset.read() == 7).any(axis=0), 0, 255)
    if driver not in BESIDE:
        with pytest.raises(RasterError, match=path.name):
            compute_mask(path, 7, output=path, executor="serial")
        assert listing(folder) == before
    else:
        compute_mask(path, 7, output=path, executor="serial")
        after = listing(folder)
        assert {name: after[name] for name in before} == before
        assert after.keys() - before.keys() == {f"{path.name}.msk"}
        assert digest(path) == cells
        with rasterio.open(path) as dataset:
            assert all(flags == [MaskFlags.per_dataset] for flags in dataset.mask_flag_enums)
            np.testing.assert_array_equal(dataset.dataset_mask(), expected)
    assert not list(temporary.iterdir())


def _writer(folder):
    def write(values, affine, name):
        path = folder / name
        profile = {"count": 1, "height": values.shape[0], "width": values.shape[1], "dtype": values.dtype}
        with rasterio.open(path, "w", driver="GTiff", crs="EPSG:4326", transform=affine, **profile) as file:
            file.write(values, 1)
        return path

    return write


@pytest.mark.parametrize("driver", sorted(BESIDE))
def test_the_drivers_of_this_package_write_test_files(driver, tmp_path):
    (tmp_path / "in").mkdir()
    assert driver in DRIVERS
    assert written_with(driver, "int16", tmp_path / "in", _writer(tmp_path)) is not None


GEOTIFFS = {
    "plain": {},
    "palette": {"colormap": {n: (n, 0, 255 - n, 255) for n in range(200)}},
    "alpha": {"count": 4, "photometric": "RGB", "alpha": "YES"},
    "separate": {"count": 3, "interleave": "band"},
    "jpeg": {"count": 3, "compress": "jpeg", "photometric": "ycbcr", "interleave": "pixel", "tiled": True,
             "blockxsize": 16, "blockysize": 16},
    "webp": {"count": 3, "compress": "webp", "interleave": "pixel"},
    "lerc": {"dtype": "float32", "compress": "lerc", "max_z_error": 0.5},
    "deflate": {"dtype": "int32", "compress": "deflate", "predictor": 2},
    "zstd": {"dtype": "float64", "compress": "zstd"},
    "bits": {"nbits": 1},
    "complex": {"dtype": "complex64"},
    "signed": {"dtype": "int8"},
    "wide": {"dtype": "int64", "nodata": -(2**62)},
    "nan": {"dtype": "float32", "nodata": np.nan},
    "big": {"bigtiff": "yes"},
    "sparse": {"sparse_ok": "true"},
}  # fmt: skip


@pytest.mark.parametrize("kind", GEOTIFFS)
def test_a_geotiff_keeps_its_cells(kind, write_raster, tmp_path):
    options = dict(GEOTIFFS[kind])
    count, dtype = options.pop("count", 1), options.get("dtype", "uint8")
    values = np.random.default_rng(5).integers(0, 2 if kind == "bits" else 120, (count, 40, 50)).astype(dtype)
    if kind == "nan":
        values[0, :3] = np.nan
    path = write_raster(values, **options)
    cells = digest(path)
    with rasterio.open(path) as dataset:
        missing = ((dataset.read() == 1) | np.isnan(dataset.read())).any(axis=0)
        colors = dataset.colormap(1) if kind == "palette" else None
    for _ in range(2):  # the second run replaces the first mask
        compute_mask(path, 1, output=path, executor="serial")
        assert digest(path) == cells
        with rasterio.open(path) as dataset:
            assert dataset.mask_flag_enums[0] == [MaskFlags.per_dataset]
            np.testing.assert_array_equal(dataset.dataset_mask(), np.where(missing, 0, 255))
            assert kind != "palette" or dataset.colormap(1) == colors
    assert [path.name for path in tmp_path.iterdir()] == ["grid.tif"]


def test_an_external_mask_of_a_geotiff_does_not_hide_the_new_mask(write_raster, tmp_path):
    values = np.array([[1, 2], [3, 1]], np.uint8)
    path = write_raster(values)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="NO"), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(np.zeros((2, 2), np.uint8))
    assert (tmp_path / "grid.tif.msk").exists()
    compute_mask(path, 1, output=path, executor="serial")
    with rasterio.open(path) as dataset:
        np.testing.assert_array_equal(dataset.dataset_mask(), np.where(values == 1, 0, 255))


@pytest.mark.parametrize("driver", ["HFA", "JP2OpenJPEG", "netCDF"])
def test_an_old_mask_beside_a_file_survives_a_failure(driver, tmp_path):
    (tmp_path / "in").mkdir()
    path = written_with(driver, "uint8", tmp_path / "in", _writer(tmp_path))
    compute_mask(path, 7, output=path, executor="serial")
    before = listing(tmp_path)
    with pytest.raises(RegionplotError, match="unlucky"):
        compute_mask(path, 7, fail, output=path, executor="serial")
    assert listing(tmp_path) == before
    compute_mask(path, 9, output=path, executor="serial")  # replaces the mask
    assert digest(path)
    assert listing(tmp_path)[f"in/{path.name}"] == before[f"in/{path.name}"]
    assert listing(tmp_path).keys() == before.keys()


def fail(_missing):
    raise ArithmeticError("unlucky")


def interrupt(_missing):
    raise KeyboardInterrupt


@pytest.mark.parametrize("rule", [fail, interrupt])
def test_a_geotiff_survives_a_failed_or_cancelled_run(rule, write_raster, tmp_path):
    path = write_raster(np.ones((8, 9), np.uint8))
    before = listing(tmp_path)
    with pytest.raises((RegionplotError, KeyboardInterrupt)):
        compute_mask(path, 1, rule, output=path, executor="serial")
    assert listing(tmp_path) == before


def test_a_changed_cell_is_found_before_the_file_is_replaced(write_raster, tmp_path, monkeypatch):
    path = write_raster(np.ones((8, 9), np.uint8))
    before = listing(tmp_path)

    def damaged(source, target):
        shutil.copyfile(source, target)
        with rasterio.open(target, "r+") as dataset:
            dataset.write(np.full((1, 8, 9), 2, np.uint8))

    monkeypatch.setattr(mask_files.shutil, "copy", damaged)
    with pytest.raises(RasterError, match=r"grid.tif: .*the cells of the file with the mask differ"):
        compute_mask(path, 1, output=path, executor="serial")
    assert listing(tmp_path) == before


@pytest.mark.parametrize("driver", ["GTiff", "HFA"])
def test_a_folder_without_permission_to_write_is_a_clear_error(driver, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    path = written_with(driver, "uint8", tmp_path / "in", _writer(tmp_path))
    before = listing(tmp_path)
    real = os.open

    def refuse(name, flags, *rest, **more):
        if str(name).startswith(str(tmp_path)) and flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied", str(name))
        return real(name, flags, *rest, **more)

    if os.geteuid():
        (tmp_path / "in").chmod(0o500)
    else:  # root may write anywhere, so the system is simulated
        monkeypatch.setattr(mask_files.shutil, "copy", lambda *_: refuse(path, os.O_CREAT))
        monkeypatch.setattr("regionplot.blocks.new_raster.create_raster", lambda *_: refuse(path, os.O_CREAT))
    with pytest.raises(RasterError, match="Permission denied"):
        compute_mask(path, 7, output=path, executor="serial")
    (tmp_path / "in").chmod(0o700)
    assert listing(tmp_path) == before


def test_a_format_whose_masks_gdal_ignores_is_refused(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    path = written_with("HFA", "uint8", tmp_path / "in", _writer(tmp_path))
    before = listing(tmp_path)
    monkeypatch.setattr(mask_files, "_SUFFIX", ".other")
    with pytest.raises(RasterError, match=r"file.dat: GDAL uses no mask with a file of the format HFA; write it to"):
        compute_mask(path, 7, output=path, executor="serial")
    assert listing(tmp_path) == before


def test_the_mask_of_a_linked_file_is_stored_in_the_file(write_raster, tmp_path):
    path, link = write_raster(np.array([[1, 2]], np.uint8)), tmp_path / "link.tif"
    link.symlink_to(path)
    compute_mask(link, 1, output=link, executor="serial")
    assert link.is_symlink()
    with rasterio.open(path) as dataset:
        np.testing.assert_array_equal(dataset.dataset_mask(), [[0, 255]])
