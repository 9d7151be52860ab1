"""Attack the command with inputs that refer to other files or addresses, or exhaust memory, and with planted links."""

from __future__ import annotations

import gzip
import http.server
import json
import os
import re
import stat
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine
from small_runs import CONFIG, HEADER, TABLE, images, run_light, run_process, with_raster

from regionplot.blocks.process import process_blocks
from regionplot.errors import ConfigError, FeaturesError, InputError, RasterError, RegionplotError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.inputs.describe import inspect_raster, open_source
from regionplot.inputs.gdal import OPTIONS, opened
from regionplot.inputs.source import read_window
from regionplot.inputs.vector_files import check_layer
from regionplot.inputs.vector_layers import load_layer
from regionplot.layers.features import FeatureSettings
from regionplot.prepare.run import prepare_raster
from regionplot.render.renderer import MapRenderer
from regionplot.runs.store import write_file
from regionplot.settings.loading import read_config
from regionplot.settings.raster import RasterSettings

LONLAT = pyproj.CRS.from_epsg(4326)
VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)
PIXELS = np.zeros((6, 4, 3), dtype=np.uint8)


def load_raster(settings: RasterSettings) -> Any:
    source = open_source(settings)
    return read_window(source, source.describe().geometry.full_window)[0]


@dataclass
class Server:
    """A local server that records its requests."""

    url: str
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.requests.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815 (what the server calls)

        def log_message(self, *_: object) -> None:
            pass

    listener = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    found = Server(f"http://127.0.0.1:{listener.server_port}")
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    listener.shutdown()
    thread.join()
    listener.server_close()


@pytest.fixture
def trap(tmp_path: Path, write_raster, server: Server) -> Trap:
    return Trap(tmp_path, write_raster, server.url)


@dataclass
class Trap:
    """Builder of hostile files."""

    folder: Path
    write_raster: Callable[..., Path]
    url: str

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def vrt(self, source: str, name: str = "grid.tif") -> Path:
        raw = f"<SourceFilename>{source}</SourceFilename><ImageOffset>0</ImageOffset><PixelOffset>1</PixelOffset>"
        band = f'<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand">{raw}</VRTRasterBand>'
        return self.write(name, f'<VRTDataset rasterXSize="20" rasterYSize="20">{band}</VRTDataset>')

    def tiff(self, domain: str, tags: dict[str, str]) -> Path:
        path = self.write_raster(np.zeros((600, 700), np.float32))
        with rasterio.open(path, "r+") as file:
            file.update_tags(ns=domain, **tags)
        return path

    def subdataset(self, name: str) -> Path:
        return self.tiff("SUBDATASETS", {"SUBDATASET_1_NAME": name, "SUBDATASET_1_DESC": "snow"})

    def zipped(self, name: str, members: dict[str, bytes]) -> Path:
        with zipfile.ZipFile(self.folder / name, "w") as archive:
            for member, content in members.items():
                archive.writestr(member, content)
        return self.folder / name


RASTER_TRAPS: dict[str, Callable[[Trap], Path]] = {
    "VRT of a local file": lambda trap: trap.vrt("/etc/passwd"),
    "VRT of an address": lambda trap: trap.vrt(f"/vsicurl/{trap.url}/a.tif"),
    "VRT behind blanks": lambda trap: trap.write("grid.tif", b"\n" * 5000 + trap.vrt("/etc/passwd").read_bytes()),
    "VRT behind a mark": lambda trap: trap.write("grid.tif", b"\xef\xbb\xbf" + trap.vrt("/etc/passwd").read_bytes()),
    "WMS": lambda trap: trap.write(
        "grid.tif", f'<GDAL_WMS><Service name="TMS"><ServerUrl>{trap.url}</ServerUrl></Service></GDAL_WMS>'
    ),
    "STAC items": lambda trap: trap.write(
        "grid.tif", json.dumps({"type": "FeatureCollection", "stac_version": "1.0.0", "features": [trap.url]})
    ),
    "overviews at an address": lambda trap: trap.tiff(
        "OVERVIEWS", {"OVERVIEW_FILE": f"/vsicurl/{trap.url}/overview.tif"}
    ),
    "subdataset at an address": lambda trap: trap.subdataset(f"/vsicurl/{trap.url}/a.tif"),
    "subdataset elsewhere": lambda trap: trap.subdataset(str(trap.write_raster(VALUES, name="other.tif"))),
    "subdataset of another NetCDF": lambda trap: trap.subdataset(f'NETCDF:"{trap.folder}/other.nc":snow'),
    "gzipped": lambda trap: trap.write("grid.tif", gzip.compress(trap.write_raster(VALUES).read_bytes())),
    "two in a zip": lambda trap: trap.zipped(
        "grid.zip", dict.fromkeys(("a.tif", "b.tif"), trap.write_raster(VALUES).read_bytes())
    ),
    "in a zip": lambda trap: Path(f"/vsizip/{trap.folder}/grid.zip/grid.tif"),
    "over the network": lambda trap: Path(f"/vsicurl/{trap.url}/grid.tif"),
    "subdataset syntax": lambda trap: Path(f'NETCDF:"{trap.folder}/grid.nc":snow'),
    "archive syntax": lambda trap: trap.write_raster(VALUES, name="grid.zip!grid.tif"),
    "folder": lambda trap: trap.folder,
}


PDS_LABEL = """PDS_VERSION_ID = PDS3
NOTE = "GRIB"
RECORD_TYPE = FIXED_LENGTH
RECORD_BYTES = 4
FILE_RECORDS = 4
^IMAGE = "other.img"
OBJECT = IMAGE
  LINES = 4
  LINE_SAMPLES = 4
  SAMPLE_TYPE = UNSIGNED_INTEGER
  SAMPLE_BITS = 8
END_OBJECT = IMAGE
END
"""


@pytest.mark.parametrize("build", RASTER_TRAPS.values(), ids=RASTER_TRAPS)
@pytest.mark.parametrize("read", [inspect_raster, load_raster])
def test_a_raster_that_refers_to_another_file_is_refused_before_it_is_read(
    build, read, trap: Trap, server: Server
) -> None:
    path = build(trap)
    with pytest.raises(RasterError, match=re.escape(str(path))) as caught:
        read(RasterSettings.model_construct(**{**RasterSettings(path=trap.folder).model_dump(), "path": path}))
    assert caught.value.exit_code == 3
    assert server.requests == []


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_label_that_looks_like_a_bulletin_opens_no_other_file(trap: Trap) -> None:
    """GDAL itself opens the label of another file, because its PDS driver comes first."""
    (trap.folder / "other.img").write_bytes(b"secret" * 4)
    path = trap.write("grid.tif", PDS_LABEL)
    with rasterio.open(path) as dataset:
        assert dataset.read(1).tobytes() == b"secretsecretsecr"
    with pytest.raises(RasterError, match=r"grid\.tif: cannot be read as a raster"), opened(path):
        pass


def test_the_overviews_of_an_unchecked_raster_would_be_fetched(trap: Trap, server: Server) -> None:
    """This proves that the hostile file above works."""
    path = RASTER_TRAPS["overviews at an address"](trap)
    with rasterio.open(path, driver="GTiff") as dataset:
        dataset.read(1, out_shape=(10, 10))
    assert "/overview.tif" in server.requests


def test_a_proxy_for_overviews_is_not_followed(trap: Trap, server: Server) -> None:
    path = trap.tiff("ProxyOverviewRequest", {"FILENAME": f"/vsicurl/{trap.url}/overview.tif"})
    source = open_source(RasterSettings(path=path))
    assert not read_window(source, source.describe().geometry.full_window, step=10)[0].any()
    assert server.requests == []


ADDRESSES = ["/vsicurl/{url}/overview.tif", "{url}/overview.tif", "/vsis3/bucket/overview.tif"]


@pytest.mark.parametrize(
    ("address", "unguarded"),
    [
        *((address, "") for address in ADDRESSES),
        *((address, "CPL_VSIL_CURL_ALLOWED_FILENAME") for address in ADDRESSES),
        *((address, "GDAL_HTTP_PROXY") for address in ADDRESSES if address.startswith("/vsi")),
    ],
)
def test_a_function_over_blocks_cannot_fetch_from_an_address(
    address: str, unguarded: str, trap: Trap, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function opens a raster by itself, so its metadata are not checked. Each guard works without the other."""
    if unguarded:
        monkeypatch.delitem(OPTIONS, unguarded)
    monkeypatch.setenv("AWS_S3_ENDPOINT", server.url.removeprefix("http://"))
    monkeypatch.setenv("AWS_HTTPS", "NO")
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")
    monkeypatch.setenv("AWS_VIRTUAL_HOSTING", "NO")
    path = trap.tiff("OVERVIEWS", {"OVERVIEW_FILE": address.format(url=server.url)})
    shapes = []

    def thumbnail(_arrays: Any, block: Any, _arguments: object) -> Any:
        with rasterio.open(path, driver="GTiff") as dataset:
            shapes.append(dataset.read(1, out_shape=(10, 10)).shape)
        return np.zeros((block.core.height, block.core.width), np.float32)

    source = trap.write_raster(VALUES, name="source.tif")
    process_blocks(thumbnail, source, trap.folder / "out.tif", executor="serial")
    assert shapes == [(10, 10)]
    assert server.requests == []


def test_a_raster_resampled_to_a_coarse_grid_fetches_no_overview(trap: Trap, server: Server) -> None:
    path = trap.tiff("ProxyOverviewRequest", {"FILENAME": f"/vsicurl/{server.url}/overview.tif"})
    steps = read_config({"raster": {"path": path}, "prepare": [{"step": "resample", "resolution": 50.0}]}).prepare
    prepare_raster([path], trap.folder / "out.tif", steps, executor="serial")
    assert server.requests == []


@pytest.mark.parametrize("build", RASTER_TRAPS.values(), ids=RASTER_TRAPS)
def test_blocks_refuse_a_raster_that_refers_to_another_file(build, trap: Trap, server: Server) -> None:
    path = build(trap)
    with pytest.raises(RasterError, match=re.escape(str(path))):
        process_blocks(lambda arrays, *_: arrays[0], path, trap.folder / "out.tif", executor="serial")
    assert server.requests == []


def test_the_command_names_a_raster_that_refers_to_another_file(
    run, trap: Trap, server: Server, tmp_path: Path
) -> None:
    path = RASTER_TRAPS["subdataset at an address"](trap)
    result = run(tmp_path, config=with_raster(path))
    assert (result.returncode, result.stdout) == (3, "")
    assert f"{path}: its metadata refer to another file, which is not opened: /vsicurl/" in result.stderr
    assert (server.requests, images(tmp_path)) == ([], [])


@pytest.mark.parametrize("driver", ["GTiff", "COG", "HFA", "AAIGrid", "SRTMHGT", "JP2OpenJPEG"])
def test_all_allowed_raster_formats_are_read(driver: str, tmp_path: Path) -> None:
    side, dtype = (1201, np.int16) if driver == "SRTMHGT" else (40, np.uint8)
    values = np.arange(side * side).reshape(1, side, side).astype(dtype) % 200
    name = {"SRTMHGT": "N49W100.hgt", "JP2OpenJPEG": "grid.jp2"}.get(driver, "grid")
    step = 1 / 1200
    affine = Affine(step, 0, -100 - step / 2, 0, -step, 50 + step / 2)
    profile = {"count": 1, "width": side, "height": side, "dtype": dtype, "crs": "EPSG:4326", "transform": affine}
    if driver == "JP2OpenJPEG":
        profile |= {"REVERSIBLE": "YES", "QUALITY": "100"}
    with rasterio.open(tmp_path / name, "w", driver=driver, **profile) as file:
        file.write(values)
    crs = "EPSG:4326" if driver == "AAIGrid" else None  # sidecar files are not read
    np.testing.assert_array_equal(load_raster(RasterSettings(path=tmp_path / name, crs=crs)), values[0])


GEOJSON = {
    "type": "FeatureCollection",
    "features": [{"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [1, 2]}}],
}


def linked(trap: Trap) -> str:
    crs = {"type": "link", "properties": {"href": f"{trap.url}/crs", "type": "ogcwkt"}}
    return json.dumps({"crs": crs, **GEOJSON})


def ogr_vrt(source: object) -> str:
    layer = f'<OGRVRTLayer name="a"><SrcDataSource>{source}</SrcDataSource><SrcLayer>a</SrcLayer></OGRVRTLayer>'
    return f"<OGRVRTDataSource>{layer}</OGRVRTDataSource>"


def pipeline(trap: Trap) -> str:
    source = trap.write("a.geojson", json.dumps(GEOJSON))
    return json.dumps({"type": "gdal_streamed_alg", "command_line": f"gdal vector pipeline ! read {source}"})


VECTOR_TRAPS: dict[str, Callable[[Trap], Path]] = {
    "VRT as GeoJSON": lambda trap: trap.write("a.json", ogr_vrt(trap.write("b.json", json.dumps(GEOJSON)))),
    "VRT of an address": lambda trap: trap.write("a.vrt", ogr_vrt(f"/vsicurl/{trap.url}/a.json")),
    "VRT in a zip": lambda trap: trap.zipped("a.zip", {"a.shp": ogr_vrt("/etc/passwd").encode()}),
    "WFS": lambda trap: trap.write("a.xml", f"<OGRWFSDataSource><URL>{trap.url}</URL></OGRWFSDataSource>"),
    "GML": lambda trap: trap.write("a.gml", f'<gml:FeatureCollection xsi:schemaLocation="{trap.url}/a.xsd"/>'),
    "GFS": lambda trap: trap.write("a.gfs", "<GMLFeatureClassList></GMLFeatureClassList>"),
    "KML": lambda trap: trap.write("a.kml", f"<kml><NetworkLink><href>{trap.url}</href></NetworkLink></kml>"),
    "pipeline as GeoJSON": lambda trap: trap.write("p.geojson", pipeline(trap)),
    "linked CRS": lambda trap: trap.write("a.geojson", linked(trap)),
    "linked CRS, hidden": lambda trap: trap.write("a.geojson", linked(trap).replace("crs", "\\u0063rs")),
    "linked CRS, in capitals": lambda trap: trap.write("a.geojson", linked(trap).replace('"crs"', '"CRS"')),
    "linked CRS, in a comment's shade": lambda trap: trap.write(
        "a.geojson", linked(trap).replace('"type": "link"', '"type": /**/ "link"')
    ),
    "TopoJSON": lambda trap: trap.write("a.json", json.dumps({"type": "Topology", "objects": {}, "arcs": []})),
    "SQLite": lambda trap: trap.write("a.gpkg", b"SQLite format 3\0" + bytes(2000)),
    "table": lambda trap: trap.write("a.csv", "WKT,a\nPOINT (1 2),1\n"),
    "database": lambda _: Path("PG:host=127.0.0.1"),
    "address": lambda trap: Path(f"{trap.url}/a.json"),
    "over the network": lambda trap: Path(f"/vsicurl/{trap.url}/a.json"),
    "two in a zip": lambda trap: trap.zipped("a.zip", {"a.shp": b"", "b.shp": b""}),
    "none in a zip": lambda trap: trap.zipped("a.zip", {"a.vrt": b""}),
    "folder": lambda trap: trap.folder,
}


@pytest.mark.parametrize("build", VECTOR_TRAPS.values(), ids=VECTOR_TRAPS)
@pytest.mark.parametrize("read", [check_layer, lambda settings: load_layer(settings, LONLAT)], ids=["check", "load"])
def test_vectors_that_refer_to_another_file_are_refused_before_they_are_read(
    build, read, trap: Trap, server: Server
) -> None:
    path = build(trap)
    with pytest.raises(FeaturesError, match=re.escape(str(path))) as caught:
        read(FeatureSettings.model_construct(**{**FeatureSettings(path=trap.folder).model_dump(), "path": path}))
    assert caught.value.exit_code == 3
    assert server.requests == []


def test_the_linked_crs_of_an_unchecked_geojson_would_be_fetched(trap: Trap, server: Server) -> None:
    """This proves that the hostile file above works."""
    import pyogrio

    pyogrio.read_info(VECTOR_TRAPS["linked CRS"](trap))
    assert server.requests
    assert set(server.requests) == {"/crs"}


@pytest.mark.parametrize("name", ["urn:ogc:def:crs:EPSG::5070", "EPSG:5070"])
def test_a_geojson_with_a_named_crs_is_read(name: str, trap: Trap) -> None:
    crs = {"type": "name", "properties": {"name": name, "link": "crs", "url": "x"}}
    path = trap.write("a.geojson", json.dumps({"crs": crs, **GEOJSON}))
    assert load_layer(FeatureSettings(path=path), pyproj.CRS.from_epsg(5070)).points.size == 1


@pytest.mark.parametrize("suffix", [".shp", ".gpkg", ".fgb"])
def test_each_vector_format_is_read_from_a_zip(suffix: str, write_vector, trap: Trap) -> None:
    write_vector([shapely.Point(1, 2)], name=f"layer{suffix}")
    parts = {f"a b/{path.name}": path.read_bytes() for path in trap.folder.glob("layer.*")}
    path = trap.zipped("layer.zip", parts)
    assert load_layer(FeatureSettings(path=path), LONLAT).points.size == 1


@pytest.mark.slow
def test_an_archive_with_too_large_contents_is_not_unpacked(trap: Trap) -> None:
    bomb = zipfile.ZipFile(trap.folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with bomb, bomb.open("bomb.shp", "w", force_zip64=True) as file:
        file.write((9994).to_bytes(4, "big"))
        for _ in range(2**30 // 2**24):
            file.write(bytes(2**24))
    with pytest.raises(FeaturesError, match=r"bomb.shp and its parts unpack to 1,073,741,828 bytes"):
        load_layer(FeatureSettings(path=trap.folder / "bomb.zip"), LONLAT)


def sparse(path: Path, width: int, height: int, **options: Any) -> Path:
    """Write a small file with the header of a large grid and without cells."""
    profile = {"count": 1, "crs": "EPSG:4326", "transform": Affine(1e-3, 0, -125, 0, -1e-3, 50), **options}
    rasterio.open(path, "w", "GTiff", width, height, SPARSE_OK=True, BIGTIFF="YES", **profile).close()
    return path


@pytest.mark.parametrize(
    ("width", "height", "options", "message"),
    [
        (200_000, 200_000, {"dtype": "float32", "tiled": True}, "declares 200,000 x 200,000 cells, more than [raster]"),
        (2**31 - 1, 8, {"dtype": "uint8"}, "declares 2,147,483,647 x 8 cells, more than [raster] max_cells"),
        (2**31 - 1, 1, {"dtype": "uint8"}, "stored in blocks of 2,147,483,647 bytes"),
        (
            30_000,
            30_000,
            {"dtype": "float32", "blockysize": 30_000, "compress": "deflate"},
            "stored in blocks of 3,600,000,000 bytes",
        ),
    ],
    ids=["149 GiB", "strip", "row", "block"],
)
def test_a_small_file_with_huge_dimensions_is_refused_at_once(run, width, height, options, message, tmp_path) -> None:
    path = sparse(tmp_path / "grid.tif", width, height, **options)
    assert path.stat().st_blocks * 512 < 60_000_000
    start = time.monotonic()
    result = run(tmp_path, config=with_raster(path))
    assert time.monotonic() - start < 20
    assert result.returncode == 3
    assert f"regionplot: {path}: " in result.stderr
    assert message in result.stderr


def test_the_limit_of_cells_is_a_setting(write_raster) -> None:
    settings = RasterSettings(path=write_raster(VALUES), max_cells=11)
    with pytest.raises(RasterError, match=r"declares 4 x 3 cells, more than \[raster\] max_cells = 11"):
        inspect_raster(settings)
    assert inspect_raster(settings.model_copy(update={"max_cells": 12})).geometry.width == 4


@pytest.mark.slow
def test_a_large_sparse_raster_needs_little_memory(tmp_path: Path) -> None:
    path = sparse(tmp_path / "grid.tif", 20_000, 20_000, dtype="float32", tiled=True)
    (tmp_path / "regionplot.toml").write_text(with_raster(path))
    (tmp_path / "regions.csv").write_text(f"{HEADER}a,-124,-110,35,45\n")
    # a process inherits the peak memory of its parent, so a small process between it and the tests starts it
    measured = (
        "import os, subprocess, sys; _, status, usage = os.wait4(subprocess.Popen(sys.argv[1:]).pid, 0); "
        "print(status, usage.ru_maxrss, usage.ru_utime)"
    )
    command = [sys.executable, "-m", "regionplot", "-q", "regions.csv"]
    result = subprocess.run(
        [sys.executable, "-c", measured, *command], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    status, kilobytes, seconds = map(float, result.stdout.split())
    assert status == 0, result.stderr
    assert images(tmp_path) == ["a"]
    assert kilobytes < 600_000, "the grid would take 1.6 million"
    assert seconds < 15


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[colors]\nlevels = " + "[" * 50_000, "not valid TOML"),
        ("[map]\ndpi = " + "9" * 5_000, "not valid TOML"),
        ("[map]\ndpi = " + "9" * 4_000, r"\[map\] dpi"),
        ("[run]\nmemory = nan", r"\[run\] memory"),
        ("[map]\ndpi = inf", r"\[map\] dpi: .*finite"),
        ("[map]\nsize = [20_000, 20_000]", "more than 100,000,000 pixels"),
        ("# " + "x" * 2_000_000, "larger than 1,048,576 bytes"),
    ],
    ids=["nested", "no number", "huge number", "nan", "inf", "canvas", "long"],
)
def test_settings_that_exhaust_the_machine_are_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "regionplot.toml"
    path.write_text('[raster]\npath = "sample:relief"\n' + content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_config(path)
    assert len(str(caught.value)) < 10_000


def test_endless_settings_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "regionplot.toml")
    (tmp_path / "zeros.toml").symlink_to("/dev/zero")
    for name in ("regionplot.toml", "zeros.toml"):
        with pytest.raises(ConfigError, match=f"{name}: this is not a regular file"):
            read_config(tmp_path / name)


@pytest.mark.slow
def test_an_endless_table_is_refused(run_command, tmp_path: Path) -> None:
    result = run_command(tmp_path, "/dev/zero", "--raster", "sample:relief")
    assert result.returncode == 2
    assert "/dev/zero: byte 0: a NUL byte" in result.stderr


HOSTILE_TEXTS = {
    "fraction": r"$\frac{$",
    "unknown symbol": r"$\nonsense$",
    "deep": "$" + "{" * 900 + "}" * 900 + "$",
    "megabyte": "snow " * 200_000,
    "blanks": " " * 1_000_000 + "snow",
    "controls": "a\x07\x1b[31m\nb\x00c\u202ed\u2028e",
    "marks": "e" + "\u0301" * 5000,
    "surrogate": "\ud800",
}


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_text_is_drawn_literally_on_one_line_and_truncated(text: str, load) -> None:
    shared = load(map={"size": (300, 200)}, features=[])
    object.__setattr__(shared, "info", shared.info.__class__(**{**vars(shared.info), "description": described(text)}))
    picture = MapRenderer(shared).render(Region("a", Extent(-100, -90, 40, 45), title=text))
    assert len(picture.title) <= 300
    assert not set(picture.title) & set("\n\x00\x07\x1b\u202e\u2028\ud800")
    assert picture.pixels.shape == (200, 300, 3)
    if text.isprintable() and len(text) <= 300:
        assert picture.title == text


def described(text: str) -> dict[str, object]:
    from regionplot.text import plain_text

    return {"raster": "a", "variable": "a", "long_name": plain_text(text), "units": plain_text(text)}


def test_metadata_of_a_raster_become_one_short_line(write_raster) -> None:
    path = write_raster(VALUES, descriptions=("Snow\x1b[31m\n\n" + "y" * 1_000_000,))
    long_name = str(inspect_raster(RasterSettings(path=path)).description["long_name"])
    assert long_name.startswith("Snow")
    assert long_name.isprintable()
    assert len(long_name) <= 300


def test_math_markup_in_names_and_labels_is_drawn_as_text(run, tmp_path: Path) -> None:
    section = '[colors]\nlabel = "$\\\\frac{$"\n'
    table = HEADER + TABLE.removeprefix(HEADER).replace("east,", r"$\frac{x}{$,")
    result = run(tmp_path, config=CONFIG + section, table=table)
    assert (result.returncode, result.stderr) == (0, "")
    assert len(images(tmp_path)) == 2


def test_a_link_in_the_output_folder_must_not_point_outside(run, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "east").symlink_to(elsewhere)
    (tmp_path / "output" / "west").symlink_to("west")
    result = run(tmp_path, config=CONFIG + '[output]\nfilename = "{name}/deep/map.png"\n')
    assert result.returncode == 2
    assert "regions.csv:2: maps cannot be written into" in result.stderr
    assert f"a link leads to {elsewhere}/deep, outside the output folder" in result.stderr
    assert not list(elsewhere.iterdir())


def test_the_output_folder_itself_may_be_a_link(run, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "output").symlink_to("elsewhere")
    (tmp_path / "elsewhere" / "maps").mkdir()
    (tmp_path / "elsewhere" / "east").symlink_to("maps")
    assert run(tmp_path, config=CONFIG + '[output]\nfilename = "{name}/map.png"\n').returncode == 0
    assert (tmp_path / "elsewhere" / "maps" / "map.png").exists()


def test_a_link_made_while_maps_are_drawn_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "folder").symlink_to("../elsewhere")
    target = tmp_path / "output" / "folder" / "deep" / "map.png"
    with pytest.raises(RegionplotError, match="outside the output folder"):
        write_file(target, b"map", "run", within=tmp_path / "output")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_pipe_or_folder_in_place_of_a_map_fails_only_that_map(run, tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    os.mkfifo(tmp_path / "output" / "pipe.png")
    (tmp_path / "output" / "folder.png").mkdir()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "output" / "link.png").symlink_to(victim)
    names = ("pipe", "folder", "link")
    result = run(tmp_path, table=HEADER + "".join(f"{name},-84.5,-75.3,33.8,36.7\n" for name in names))
    assert result.returncode == 1
    errors = sorted(result.stderr.splitlines())
    assert re.search("csv:2: pipe: .*pipe.png: cannot be written: a pipe, socket or device has this name", errors[0])
    assert re.search("csv:3: folder: .*folder.png: cannot be written: Is a directory", errors[1])
    assert len(errors) == 2
    assert victim.read_text() == "precious"
    link = tmp_path / "output" / "link.png"
    assert not link.is_symlink()
    assert link.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_maps_have_the_permissions_of_the_umask(tmp_path: Path) -> None:
    assert run_process(tmp_path, "--only", "east", umask=0o027).returncode == 0
    assert stat.S_IMODE((tmp_path / "output" / "east.png").stat().st_mode) == 0o640


HOSTILE_STYLE = "text.usetex: True\nsavefig.dpi: 7\nfont.size: 99\nbackend: module://hostile\naxes.facecolor: red\n"


@pytest.mark.slow
def test_a_matplotlibrc_in_the_working_directory_changes_nothing(run, light_process, tmp_path: Path) -> None:
    """Only a new interpreter could import the backend, which is in the working directory."""
    assert run(tmp_path, "--only", "east").returncode == 0
    expected = (tmp_path / "output" / "east.png").read_bytes()
    contents = [(HOSTILE_STYLE.encode(), "spawn"), (b"\xff\xfe", "fork"), (b"nonsense: 1\n", "fork"), (None, "fork")]
    for number, (content, method) in enumerate(contents):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "hostile.py").write_text("raise SystemExit('imported')")
        os.mkfifo(folder / "matplotlibrc") if content is None else (folder / "matplotlibrc").write_bytes(content)
        options = "--only", "east", "--start-method", method
        new = method == "spawn"
        result = run_process(folder, *options, timeout=50) if new else run_light(light_process, folder, *options)
        assert (result.returncode, result.stderr) == (0, "")
        assert (folder / "output" / "east.png").read_bytes() == expected


@pytest.mark.parametrize("path", ["/vsicurl/http://127.0.0.1:9/a.tif", "http://127.0.0.1:9/a.tif", "PG:dbname=a"])
@pytest.mark.parametrize("section", ["raster", "features"])
def test_settings_treat_addresses_as_missing_files(section: str, path: str) -> None:
    sections: dict[str, Any] = {"raster": {"path": "sample:relief"}}
    sections[section] = {"path": path} if section == "raster" else [{"path": path}]
    with pytest.raises(InputError, match="there is no file"):
        read_config(sections)
