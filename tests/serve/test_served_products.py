"""Several products, times and large rasters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from service_client import Client, columns, make_client, write_raster

from regionplot.errors import InputError
from regionplot.serve.generation import load_generation
from regionplot.settings.config import Config
from regionplot.settings.loading import read_config_before_arrival

WHOLE = "bbox=-100,40,-96,44&width=40&height=40"
PLAIN: dict = {
    "map": {"style": "plain"},
    "run": {"cache": False},
    "colors": {"levels": [0, 10, 20, 30, 40], "colormap": "viridis"},
}


def series(folder: Path, hours: range = range(3), **sections: object) -> Config:
    """Return settings of a product with a file for each hour, and of a product with one file."""
    for hour in hours:
        write_raster(folder / f"depth_20260310{hour:02d}.tif", np.roll(columns(), 10 * hour, axis=1))
    write_raster(folder / "other.tif", columns()[:, ::-1])
    products = {
        "depth": {"raster": {"path": str(folder / "depth_{time:%Y%m%d%H}.tif"), "time": "all"}},
        "other": {"raster": {"path": folder / "other.tif"}},
    }
    tables = {"raster": {"path": folder / "other.tif"}, **PLAIN, "products": products}
    return read_config_before_arrival({**tables, **sections})


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Client:
    return make_client(series(tmp_path_factory.mktemp("products")), [])


def test_each_product_and_time_is_drawn(products: Client) -> None:
    depth, other = products.get("/catalog").json()["products"]
    times = [time["time"] for time in depth["times"]]
    assert times == [f"2026-03-10T0{hour}:00:00Z" for hour in range(3)]
    assert [depth["name"], other["name"]] == ["depth", "other"]
    first = products.pixels(f"/map?{WHOLE}&product=depth&time={times[0]}")
    for hour, time in enumerate(times):
        shown = products.pixels(f"/map?{WHOLE}&product=depth&time={time}")
        assert (shown == np.roll(first, 10 * hour, axis=1)).all()
        assert products.get(f"/map?{WHOLE}&product=depth&time={time}").headers["data-time"] == time
    assert (products.pixels(f"/map?{WHOLE}&product=other")[1:] == first[1:, ::-1]).all()


def test_the_default_time_is_the_latest_that_has_passed(products: Client) -> None:
    found = products.get("/value?product=depth&lon=-99.95&lat=42").json()
    assert found["time"] == "2026-03-10T02:00:00Z"
    assert found["value"] == 20.0


@pytest.mark.parametrize("time", ["2026-03-10T01:00:00Z", "2026-03-10T01:00", "2026-03-10T01:00:00.000Z"])
def test_a_time_can_be_written_in_several_ways(products: Client, time: str) -> None:
    assert products.get(f"/value?product=depth&lon=-99.95&lat=42&time={time}").json()["value"] == 30.0


def test_an_unknown_time_or_product_is_not_found(products: Client) -> None:
    assert products.get(f"/map?{WHOLE}&product=depth&time=2026-03-10T09:00:00Z").status_code == 404
    assert products.get(f"/map?{WHOLE}&product=snow").status_code == 404


def test_a_raster_that_is_not_loaded_gives_the_same_images(tmp_path: Path) -> None:
    """With a budget of 1 MB for a raster of 4 MB, each request reads its own part."""
    values = np.tile(np.arange(1000) // 25, (1000, 1)).astype(float)
    path = write_raster(tmp_path / "large.tif", values, cell=0.004)
    tables = {"raster": {"path": path}, **PLAIN}
    loaded = make_client(read_config_before_arrival(tables), [])
    read = make_client(read_config_before_arrival({**tables, "run": {"memory": 1}}), [])
    for box in ("bbox=-100,40,-96,44", "bbox=-99,41,-98.9,41.1", "bbox=-104,40,-96,48"):
        address = f"/map?{box}&width=40&height=40"
        assert (loaded.pixels(address) == read.pixels(address)).all()
    value = "/value?lon=-98.001&lat=42.001"
    assert loaded.get(value).json()["value"] == read.get(value).json()["value"] == 19.0


def test_fields_that_do_not_fit_into_memory_together_are_read_for_each_request(tmp_path: Path) -> None:
    rasters = [write_raster(tmp_path / f"large_2026031{n}.tif", np.full((700, 700), 10.0 * n + 5)) for n in range(3)]
    product = {"raster": {"path": str(tmp_path / "large_{time:%Y%m%d}.tif"), "time": "all"}}
    tables = {"raster": {"path": rasters[0]}, **PLAIN, "products": {"large": product}}
    config = read_config_before_arrival({**tables, "run": {"memory": 3}})
    generation = load_generation(config, [])
    assert [each.data.plan.reads_per_map for each in generation.fields.values()].count(False) == 1
    newest = generation.fields[generation.catalog.default_product.field("").key]
    assert not newest.data.plan.reads_per_map, "the default time is in memory"
    client = make_client(config, [])
    values = [client.get(f"/value?lon=-99&lat=43&time=2026-03-1{n}T00:00:00Z").json()["value"] for n in range(3)]
    assert values == [5.0, 15.0, 25.0]


def test_steps_are_applied(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "columns.tif", columns())
    steps = [{"step": "expression", "formula": "b1 * 2"}]
    config = read_config_before_arrival({"raster": {"path": path}, **PLAIN, "prepare": steps})
    assert make_client(config, []).get("/value?lon=-99.45&lat=42").json()["value"] == 10.0


def test_a_product_that_cannot_be_loaded_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = series(tmp_path, range(2))
    (tmp_path / "depth_2026031001.tif").write_bytes(b"II*\0 no raster")
    found = make_client(config, []).get("/catalog").json()["products"]
    assert [len(product["times"]) for product in found] == [1, 1]
    assert "depth_2026031001.tif" in caplog.text
    (tmp_path / "depth_2026031000.tif").unlink()
    (tmp_path / "other.tif").write_bytes(b"")
    with pytest.raises(InputError, match="no product"):
        load_generation(config, [])
