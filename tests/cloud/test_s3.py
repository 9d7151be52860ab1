"""Draw a map from a raster on an S3 server, with GDAL's own client."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from PIL import Image

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDTOPSECRET", "AWS_SECRET_ACCESS_KEY": "TOPSECRET", "AWS_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server_module = pytest.importorskip("moto.server", reason="needs moto[server]")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def client(endpoint: str) -> Iterator[Any]:
    import boto3

    with mock.patch.dict(os.environ, CREDENTIALS):
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        client.create_bucket(Bucket="maps")
        yield client


@pytest.mark.slow
def test_a_raster_in_a_bucket_is_drawn_and_no_credential_is_written(
    tmp_path: Path, write_raster: Any, endpoint: str, client: Any, run_command: Callable[..., Any]
) -> None:
    raster = write_raster(np.arange(20, dtype=np.int16).reshape(4, 5))
    client.upload_file(str(raster), "maps", "in/snow.tif")
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\na,-100,-98,47,49\n")
    options = (
        "--raster",
        "s3://maps/in/snow.tif",
        "--allow-remote",
        "--no-config",
        "-v",
        "--start-method",
        "serial",
        "--log-file",
        "log.txt",
    )
    pytest.importorskip("s3fs")
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache"), **CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}
    done = run_command(tmp_path, "regions.csv", *options, **environment)
    assert done.returncode == 0, done.stderr
    manifest = (tmp_path / "output" / "manifest.json").read_text()
    assert json.loads(manifest)["run"]["raster"] == "s3://maps/in/snow.tif"
    assert json.loads(manifest)["run"]["network"]["requests"] > 0
    assert "TOPSECRET" not in manifest + done.stdout + done.stderr + (tmp_path / "log.txt").read_text()
    assert "1 unchanged" in run_command(tmp_path, "regions.csv", *options, **environment).stdout
    for state, count in (("1 objects written to s3://maps/out, 0 unchanged", 2), ("0 objects written", 2)):
        sent = run_command(tmp_path, "regions.csv", *options, "-o", "s3://maps/out", **environment)
        assert state in sent.stdout, sent.stdout + sent.stderr
        assert client.list_objects_v2(Bucket="maps", Prefix="out/")["KeyCount"] == count
    missing = run_command(tmp_path, "regions.csv", *options[2:], "--raster", "s3://maps/none.tif", **environment)
    assert missing.returncode == 3
    assert "s3://maps/none.tif: there is no such object" in missing.stderr


@pytest.mark.slow
def test_zarr_stores_and_a_cog_in_a_bucket_give_the_same_pixels(
    tmp_path: Path, endpoint: str, client: Any, run_command: Callable[..., Any]
) -> None:
    pytest.importorskip("zarr", minversion="3")
    from zarr_stores import dataset, write, write_cog

    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache"), **CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\na,-109,-105,45,48\n")
    settings = '[raster]\npath = "{path}"\nallow_remote = true\n[map]\nstyle = "plain"\nsize = [240, 200]\n[colors]\n'
    settings += 'label = "snow"\nlevels = [0, 900, 1800, 2400]\n[run]\nstart_method = "serial"\n'
    client.upload_file(str(write_cog(tmp_path)), "maps", "cog/snow.tif")
    for version in (2, 3):
        folder = write(tmp_path, dataset(), version, chunks=(8, 10))
        for file in (each for each in folder.rglob("*") if each.is_file()):
            client.upload_file(str(file), "maps", f"v{version}/snow.zarr/{file.relative_to(folder).as_posix()}")
    maps = {}
    for place in ("cog/snow.tif", "v2/snow.zarr", "v3/snow.zarr"):
        (tmp_path / "regionplot.toml").write_text(settings.format(path=f"s3://maps/{place}"))
        done = run_command(tmp_path, "regions.csv", "-v", "-o", place[:3], "--log-file", "log.txt", **environment)
        assert done.returncode == 0, done.stderr
        manifest = (tmp_path / place[:3] / "manifest.json").read_text()
        assert "TOPSECRET" not in manifest + done.stdout + done.stderr + (tmp_path / "log.txt").read_text()
        assert json.loads(manifest)["run"]["network"]["bytes"] < 50_000, manifest
        maps[place] = Image.open(tmp_path / place[:3] / "a.png").convert("RGB").tobytes()
    assert len(set(maps.values())) == 1
    again = run_command(tmp_path, "regions.csv", "-o", "v3/", **environment)
    assert "1 unchanged" in again.stdout


def test_a_vector_file_in_a_bucket_is_drawn(
    tmp_path: Path, write_raster: Any, endpoint: str, client: Any, run_command: Callable[..., Any]
) -> None:
    feature = {
        "type": "Feature",
        "properties": {},
        "geometry": {"type": "LineString", "coordinates": [[-100, 47], [-98, 49]]},
    }
    content = json.dumps({"type": "FeatureCollection", "features": [feature]})
    client.put_object(Bucket="maps", Key="in/line.geojson", Body=content.encode())
    raster = write_raster(np.arange(20, dtype=np.int16).reshape(4, 5))
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\na,-100,-98,47,49\n")
    (tmp_path / "line.geojson").write_text(content)
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache"), **CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}
    options = ("regions.csv", "--raster", str(raster), "--no-config", "--start-method", "serial", "--allow-remote")
    maps = []
    for place in ("s3://maps/in/line.geojson", "/vsis3/maps/in/line.geojson", "line.geojson"):
        done = run_command(tmp_path, *options, "--features", place, "-o", place[:5].strip("/:"), **environment)
        assert done.returncode == 0, done.stderr
        maps.append((tmp_path / place[:5].strip("/:") / "a.png").read_bytes())
    assert maps[0] == maps[1] == maps[2]
    client.delete_object(Bucket="maps", Key="in/line.geojson")
    missing = run_command(tmp_path, *options, "--features", "s3://maps/in/line.geojson", **environment)
    assert missing.returncode == 3
    assert "s3://maps/in/line.geojson: there is no such object" in missing.stderr
    assert "TOPSECRET" not in missing.stderr
