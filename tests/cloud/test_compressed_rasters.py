"""Draw maps from compressed rasters."""

from __future__ import annotations

import bz2
import gzip
import io
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regionplot.errors import RasterError
from regionplot.inputs import archives as module
from regionplot.inputs.describe import open_source
from regionplot.inputs.grib_members import grib1_members
from regionplot.inputs.grib_winds import is_relative_to_grid
from regionplot.inputs.source import read_window
from regionplot.settings.raster import RasterSettings

VALUES = np.arange(20, dtype=np.int16).reshape(4, 5)


def zipped(content: bytes, *names: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("a.tif",):
            archive.writestr(name, content)
    return target.getvalue()


PACK: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "zip": zipped}


def values_of(path: Path, **keys: Any) -> Any:
    source = open_source(RasterSettings(path=path, **keys))
    return read_window(source, source.describe().geometry.full_window)[0]


@pytest.mark.parametrize("kind", PACK)
def test_compressed_rasters_have_the_values_of_the_file(write_raster: Any, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"snow.tif.{kind}"
    plain = write_raster(VALUES)
    path.write_bytes(PACK[kind](plain.read_bytes()))
    assert np.array_equal(values_of(path), values_of(plain))
    path.write_bytes(PACK[kind](write_raster(VALUES + 1).read_bytes()))  # a new version is unpacked again
    assert np.array_equal(values_of(path), VALUES + 1)


@pytest.mark.parametrize("kind", PACK)
def test_members_and_directions_of_a_compressed_grib_are_those_of_the_file(tmp_path: Path, kind: str) -> None:
    product = (60).to_bytes(3, "big") + bytes([0, 0, 0, 0, 0x80]) + bytes(32) + b"\1" + bytes(8) + b"\7" + bytes(10)
    grid = (32).to_bytes(3, "big") + bytes(13) + b"\x08" + bytes(15)  # 0x08: relative to the grid
    message = b"GRIB" + (8 + 60 + 32 + 4).to_bytes(3, "big") + b"\1" + product + grid + b"7777"
    path = tmp_path / f"winds.grib.{kind}"
    path.write_bytes(PACK[kind](b"header" + message * 2))
    assert grib1_members(path) == {1: 7, 2: 7}
    assert (is_relative_to_grid(path, 2), is_relative_to_grid(path, 3)) == (True, None)


@pytest.mark.parametrize("kind", PACK)
def test_a_bomb_is_refused_before_it_fills_the_memory(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"bomb.tif.{kind}"
    path.write_bytes(PACK[kind](b"II*\0".ljust(30_000_000, b"\0")))
    tracemalloc.start()
    with pytest.raises(RasterError, match="unpacks to more than"):
        open_source(RasterSettings(path=path, max_cells=1000))
    assert tracemalloc.get_traced_memory()[1] < 8_000_000
    tracemalloc.stop()


def test_the_free_memory_limits_the_unpacked_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(3_000_000)))
    monkeypatch.setattr(module, "available_memory", lambda: 4_000_000)
    with pytest.raises(RasterError, match="unpacks to more than 2,000,000 bytes"):
        open_source(RasterSettings(path=path))


CRS_WITH_FILE = b'II*\0\x08\0\0\0\x01\0\xb1\x87\x02\0\x40\0\0\0\x1a\0\0\0\0\0\0\0EXTENSION["PROJ4_GRIDS","/dev/stdin"]'
FAULTS = {
    "two files": (zipped(b"II*\0", "a.tif", "b.tif"), "zip", "holds 2 files"),
    "no file": (zipped(b"", "folder/"), "zip", "holds 0 files"),
    "no archive": (b"II*\0", "zip", "cannot be unpacked"),
    "cut": (gzip.compress(bytes(range(256)) * 9)[:-20], "gz", "cannot be unpacked"),
    "damaged": (bz2.compress(b"II*\0" * 99)[:20] + bytes(20), "bz2", "cannot be unpacked"),
    "nothing": (gzip.compress(b""), "gz", "is empty"),
    "archive in archive": (gzip.compress(zipped(b"II*\0")), "gz", "its format is not one of"),
    "a VRT": (gzip.compress(b"<VRTDataset>"), "gz", "an XML file"),
    "NetCDF": (gzip.compress(b"CDF\1" + bytes(99)), "gz", "only GeoTIFF and GRIB"),
    "a CRS that names a file": (gzip.compress(CRS_WITH_FILE), "gz", "its CRS names another file"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_reported(tmp_path: Path, name: str) -> None:
    content, kind, message = FAULTS[name]
    path = tmp_path / f"a.{kind}"
    path.write_bytes(content)
    with pytest.raises(RasterError, match=f"a.{kind}: .*{message}"):
        open_source(RasterSettings(path=path))


@pytest.mark.parametrize("method", ["fork", "threads"])
def test_workers_use_the_unpacked_raster(
    write_raster: Any, tmp_path: Path, run_command: Callable[..., Any], method: str
) -> None:
    path = tmp_path / "snow.tif.gz"
    path.write_bytes(gzip.compress(write_raster(VALUES).read_bytes()))
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\na,-100,-98,47,49\nb,-99,-97,47,49\n")
    settings = (
        f'[raster]\npath = "snow.tif.gz"\n[map]\nsize = [120, 100]\n[run]\nstart_method = "{method}"\nmemory = 1\n'
    )
    (tmp_path / "regionplot.toml").write_text(settings)
    for state in ("2 maps drawn", "2 unchanged"):
        done = run_command(tmp_path, "regions.csv")
        assert done.returncode == 0, done.stderr
        assert state in done.stdout
