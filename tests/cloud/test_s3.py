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

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDTOPSECRET", "AWS_SECRET_ACCESS_KEY": "TOPSECRET", "AWS_REGION": "us-east-1"}


@pytest.fixture
def endpoint() -> Iterator[str]:
    server_module = pytest.importorskip("moto.server", reason="needs moto[server]")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.mark.slow
def test_a_raster_in_a_bucket_is_drawn_and_no_credential_is_written(
    tmp_path: Path, write_raster: Any, endpoint: str, run_command: Callable[..., Any]
) -> None:
    import boto3

    raster = write_raster(np.arange(20, dtype=np.int16).reshape(4, 5))
    with mock.patch.dict(os.environ, CREDENTIALS):
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        client.create_bucket(Bucket="maps")
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
