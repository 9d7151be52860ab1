"""The format of a file is found by its content, and changes of a file are detected."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from regionplot.errors import RasterError
from regionplot.inputs.drivers import raster_driver
from regionplot.system.files import Fingerprint


@pytest.mark.parametrize(
    ("start", "driver"),
    [
        (b"II*\0", "GTiff"),
        (b"MM\0+", "GTiff"),
        (b"CDF\x02", "netCDF"),
        (b"\x89HDF\r\n\x1a\n", "netCDF"),
        (b"GRIB", "GRIB"),
        (b"TTAA00 KWBC 010000\r\r\nGRIB", "GRIB"),
        (b"NCOLS 4\n", "AAIGrid"),
    ],
)
def test_the_driver_depends_on_the_content_and_not_on_the_name(start: bytes, driver: str, tmp_path: Path) -> None:
    path = tmp_path / "grid.txt"
    path.write_bytes(start + bytes(100))
    assert raster_driver(path) == driver


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n" + bytes(20), b'{"zarr_format": 2}', b"ZARR", b"%PDF-1.7"])
def test_other_kinds_of_rasters_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "grid.tif").write_bytes(content)
    with pytest.raises(RasterError, match="its format is not one of GeoTIFF, NetCDF, GRIB"):
        raster_driver(tmp_path / "grid.tif")


def rewrite(path: Path) -> None:
    """Change the content and restore the time stamp, as `cp -p` and archives do. Only ctime shows the change."""
    stat = path.stat()
    path.write_bytes(b"CONTENT")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    stat = path.stat()
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize(
    "change",
    [rewrite, replace, lambda path: os.truncate(path, 2), lambda path: os.utime(path, ns=(1, 1)), Path.unlink],
    ids=["rewritten", "replaced", "cut", "touched", "removed"],
)
def test_a_changed_file_has_another_fingerprint(change: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "grid.tif"
    path.write_bytes(b"content")
    before = Fingerprint.of(path)
    assert before == Fingerprint.of(path)
    change(path)
    assert before != Fingerprint.of(path)


@pytest.mark.parametrize("name", [b"snow\xff.tif", b"\xe9\xe8/snow.tif"])
def test_a_path_that_gdal_cannot_encode_is_refused(name: bytes, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"II*\0")
    with pytest.raises(RasterError, match="not valid UTF-8; rename"):
        raster_driver(path)
