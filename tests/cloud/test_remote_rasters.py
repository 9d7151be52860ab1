"""Draw maps from rasters on a web server and in object storage."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from range_server import RangeServer, range_server

from regionplot.errors import InputError, RasterError, RasterReplacedError
from regionplot.executors.dask_task import LoadedTask
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.inputs.arrival import Arrivals
from regionplot.inputs.describe import open_source
from regionplot.inputs.source import read_window
from regionplot.runs import store
from regionplot.runs.task import RenderTask
from regionplot.settings.loading import read_config
from regionplot.settings.raster import RasterSettings
from regionplot.settings.remote_path import RemotePath, is_address
from regionplot.shared.load import check_inputs

pytestmark = pytest.mark.usefixtures("short_pauses")

TABLE = "name,west,east,south,north\nco,-109.3,-101.8,36.8,41.2\n"
CONFIG = (
    '[raster]\npath = "{path}"\n[map]\nstyle = "plain"\nsize = [300, 200]\n[colors]\nlevels = [0, 500, 1000, 1500]\n'
)
SERIAL = '[run]\nstart_method = "serial"\n'


@pytest.fixture(scope="module")
def cog(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a COG of North America whose cells cannot be compressed well."""
    path = tmp_path_factory.mktemp("cog") / "snow.tif"
    values = np.random.default_rng(1).integers(0, 1500, (1024, 1536), dtype=np.int16)
    profile = {"driver": "COG", "width": 1536, "height": 1024, "count": 1, "dtype": "int16", "crs": "EPSG:4326"}
    with rasterio.open(path, "w", **profile, transform=Affine(0.05, 0, -130, 0, -0.04, 65), blocksize=128) as dataset:
        dataset.write(values, 1)
    return path.read_bytes()


@pytest.fixture
def server(cog: bytes) -> Iterator[RangeServer]:
    with range_server() as found:
        found.objects["/snow.tif"] = cog
        yield found


def settings(server: RangeServer, query: str = "", **keys: Any) -> RasterSettings:
    return RasterSettings(path=f"{server.url}/snow.tif{query}", allow_remote=True, **keys)


def write_run(folder: Path, path: str, more: str = "") -> None:
    (folder / "regions.csv").write_text(TABLE)
    (folder / "regionplot.toml").write_text(CONFIG.format(path=path) + more)


def test_a_remote_raster_gives_the_same_map_and_only_its_blocks_are_read(
    tmp_path: Path, server: RangeServer, cog: bytes, run_command: Callable[..., Any]
) -> None:
    for name, path in (("local", str(tmp_path / "snow.tif")), ("remote", f"{server.url}/snow.tif")):
        folder = tmp_path / name
        folder.mkdir()
        (tmp_path / "snow.tif").write_bytes(cog)
        write_run(folder, path, SERIAL)
        done = run_command(folder, "regions.csv", "--allow-remote", "-v")
        assert done.returncode == 0, done.stderr
    images = [(tmp_path / name / "output" / "co.png").read_bytes() for name in ("local", "remote")]
    assert images[0] == images[1]
    assert server.sent < 0.12 * len(cog)
    manifest = json.loads((tmp_path / "remote" / "output" / "manifest.json").read_text())
    use = manifest["run"]["network"]
    assert use["requests"] == len(server.requests) - 1  # after the manifest, the server is asked for changes
    assert use["bytes"] == pytest.approx(server.sent, rel=0.01)
    assert "requests" in done.stdout
    server.requests.clear()
    again = run_command(tmp_path / "remote", "regions.csv", "--allow-remote")
    assert "1 unchanged" in again.stdout


def test_a_signature_appears_nowhere_and_changes_no_map(
    tmp_path: Path, server: RangeServer, run_command: Callable[..., Any]
) -> None:
    secret = "TOPSECRET"
    write_run(tmp_path, f"{server.url}/snow.tif?X-Amz-Signature={secret}&Expires=7", SERIAL)
    first = run_command(tmp_path, "regions.csv", "--allow-remote", "-v", "--log-file", "log.txt")
    write_run(tmp_path, f"{server.url}/snow.tif?X-Amz-Signature={secret}2&Expires=8", SERIAL)
    second = run_command(tmp_path, "regions.csv", "--allow-remote", "-v", "--log-file", "log.txt")
    assert "1 unchanged" in second.stdout
    server.objects.clear()
    gone = run_command(tmp_path, "regions.csv", "--allow-remote", "-v", "--log-file", "log.txt")
    assert gone.returncode == 3
    assert "/snow.tif: " in gone.stderr
    refused = run_command(tmp_path, "regions.csv", "-v")
    assert "--allow-remote" in refused.stderr
    assert "allow_remote = true" in refused.stderr
    option = run_command(tmp_path, "regions.csv", "--raster", f"https://me:{secret}@x.org/a.tif?sig={secret}")
    (tmp_path / "regionplot.toml").unlink()
    texts = [done.stdout + done.stderr for done in (first, second, gone, refused, option)]
    texts += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in texts if secret in text]
    assert all(secret in path for _, path, _ in server.requests)


def test_addresses_keep_what_names_the_object() -> None:
    whole = "https://me:pw@example.org/a/snow.tif?file=1&sig=x"
    path = RemotePath.of(whole)
    assert pickle.loads(pickle.dumps(path)) == path
    assert pickle.loads(pickle.dumps(path)).gdal_name == f"/vsicurl/{whole}"
    assert (path.name, path.stem, path.suffix) == ("snow.tif", "snow", ".tif")
    assert path == RemotePath.of(whole.replace("sig=x", "sig=y"))
    assert path != RemotePath.of(whole.replace("file=1", "file=2"))
    assert str(RemotePath.of("/vsis3/bucket/k.tif")) == str(RemotePath.of("S3://bucket/k.tif")) == "s3://bucket/k.tif"
    refused = [
        "/vsizip/a.zip",
        "/vsicurl/file:///etc/passwd",
        "/vsimem/a.tif",
        "s3://bucket",
        "file:///a",
        "s3://b/../k",
        "s3://b/k/..",
        "https://h/k/..?sig=x",
    ]
    assert not [text for text in refused if is_address(text)]


def test_a_pickled_task_reads_the_object_and_shows_no_signature(server: RangeServer) -> None:
    path = f"{server.url}/snow.tif?sig=TOPSECRET"
    config = read_config({"raster": {"path": path, "allow_remote": True}, "map": {"style": "plain"}})
    region = Region("co", Extent(-109, -102, 37, 41), "EPSG:4326")
    task = RenderTask(config, "run", check_inputs(config, [region]), 1)
    for copied in (LoadedTask(task), pickle.loads(pickle.dumps(LoadedTask(task)))):  # dask logs the text of a task
        copy = copied.task.config
        assert copy.raster.path.gdal_name == f"/vsicurl/{path}"
        texts = [repr(copied), repr(copy), str(copy), copy.model_dump_json(), str(copy.model_dump()), repr(copy.raster)]
        derived = [copy.raster.path.parent, copy.raster.path.with_suffix(".png"), copy.raster.path.absolute()]
        assert not [text for text in (*texts, *map(repr, derived), *map(str, derived)) if "TOPSECRET" in text]


@pytest.mark.parametrize("address", ["/vsizip//vsicurl/http://x/a.zip", "/vsicurl/file:///etc/passwd", "/vsimem/a.tif"])
def test_other_file_systems_of_gdal_are_refused_also_where_remote_rasters_are_allowed(address: str) -> None:
    with pytest.raises(InputError, match="virtual files of GDAL are not read"):
        read_config({"raster": {"path": address, "allow_remote": True}})


def test_a_replaced_object_is_detected(server: RangeServer, cog: bytes) -> None:
    source = open_source(settings(server))
    server.objects["/snow.tif"] = cog[:-1] + b"1"
    with pytest.raises(RasterReplacedError, match="input changed"):
        read_window(source, source.describe().geometry.full_window, 32)


def test_the_watcher_returns_each_version_once(server: RangeServer, cog: bytes) -> None:
    arrivals = Arrivals(settings(server).pattern, settle=0.01)
    assert arrivals.next(1) == settings(server).path
    assert arrivals.next(0.05) is None
    server.objects["/snow.tif"] = cog + b"1"
    assert arrivals.next(1) is not None


def test_a_failed_request_is_repeated(server: RangeServer) -> None:
    source = open_source(settings(server))
    window = source.describe().geometry.full_window
    whole = read_window(source, window, 16)[0]
    server.failures += [403]
    assert np.array_equal(read_window(source, window, 16)[0], whole)


def test_if_the_server_is_cut_off_each_map_fails_and_none_is_half_written(
    tmp_path: Path, server: RangeServer, run_command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path, f"{server.url}/snow.tif", '[run]\nstart_method = "serial"\nmemory = 1\n')
    (tmp_path / "regions.csv").write_text(f"{TABLE}ut,-114.1,-109,37,42\nus,-125,-66,25,50\n")
    written = store.write_file

    def cut_after_first(*arguments: Any, **options: Any) -> str:
        server.is_cut = True
        return written(*arguments, **options)

    monkeypatch.setattr(store, "write_file", cut_after_first)
    done = run_command(tmp_path, "regions.csv", "--allow-remote")
    assert done.returncode == 1
    assert sorted(path.name for path in (tmp_path / "output").iterdir() if path.suffix != ".lock") == [
        "co.png", "manifest.json"
    ]  # fmt: skip
    regions = json.loads((tmp_path / "output/manifest.json").read_text())["regions"]
    states = {each["name"]: each["state"] for each in regions}
    assert states == {"co": "rendered", "ut": "failed", "us": "failed"}
    assert "snow.tif: " in done.stderr


def tiff_with_text(text: bytes, order: str, version: int) -> bytes:
    """Return a TIFF with one tag, whose text is at the end, after 100 kB of other content."""
    is_big = version == 43
    mark = {"<": b"II", ">": b"MM"}[order]
    start = 100_000
    if is_big:
        head = mark + struct.pack(f"{order}HHHQ", 43, 8, 0, 16)
        page = struct.pack(f"{order}QHHQQQ", 1, 34737, 2, len(text), start, 0)
    else:
        head = mark + struct.pack(f"{order}HI", 42, 8)
        page = struct.pack(f"{order}HHHIII", 1, 34737, 2, len(text), start, 0)
    return (head + page).ljust(start, b"\0") + text


@pytest.mark.parametrize("version", [42, 43])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_remote_tiff_whose_crs_names_a_file_is_refused(server: RangeServer, order: str, version: int) -> None:
    text = b'ESRI PE String = DATUM["D",EXTENSION["PROJ4_GRIDS","/dev/stdin"]]|'
    server.objects["/snow.tif"] = tiff_with_text(text, order, version)
    with pytest.raises(RasterError, match="its CRS names another file"):
        open_source(settings(server))


def test_netcdf_is_refused(server: RangeServer) -> None:
    server.objects["/snow.tif"] = b"CDF\x01" + bytes(2000)
    with pytest.raises(RasterError, match="must be on a local disk"):
        open_source(settings(server))
