"""Overlays can name the rasters of products."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from regionplot.errors import ConfigError
from regionplot.settings.loading import read_config

TRANSFORM = Affine(1, 0, -100, 0, -1, 50)


@pytest.fixture
def files(write_raster) -> dict[str, Path]:
    return {name: write_raster(np.ones((2, 8, 9)), TRANSFORM, name=f"{name}.tif") for name in ("a", "b")}


def read(files: dict[str, Path], overlays: dict[str, Any], **more: Any) -> Any:
    products: dict[str, Any] = {name: {"raster": {"path": path, "band": 2}} for name, path in files.items()}
    return read_config({**overlays, "products": {**products, **more}})


def test_the_raster_of_a_product_replaces_its_name(files) -> None:
    wind = {"u": "product:a", "v": {"band": 1}, "units": "kt"}
    config = read(files, {"contours": [{"interval": 1}, {"interval": 1, "raster": "product:b"}], "barbs": [wind]})
    for own in config.products.values():
        (plain, named), (barbs,) = own.layers["contours"], own.layers["barbs"]
        assert plain.raster is None
        assert (named.raster.path, named.raster.band) == (files["b"], 2)
        assert (barbs.u.path, barbs.u.band) == (files["a"], 2)
        assert (barbs.v.path, barbs.v.band) == (None, 1)


def test_a_product_that_draws_several_times_gives_the_time_of_the_map(files) -> None:
    overlay = {"contours": [{"interval": 1, "raster": "product:c"}]}
    for time, expected in (("all", None), (0, 0)):
        config = read(files, overlay, c={"raster": {"path": files["a"], "time": time}})
        assert config.layers["contours"][0].raster.time == expected


def test_the_overlays_of_a_product_can_name_other_products(files) -> None:
    own = {"raster": {"path": files["a"]}, "contours": [{"interval": 1, "raster": "product:b"}]}
    config = read(files, {}, c=own)
    assert config.products["c"].layers["contours"][0].raster.path == files["b"]


@pytest.mark.parametrize("name", ["nothing", "change"])
def test_an_unknown_product_is_named_with_its_place(files, name: str) -> None:
    overlay = {"contours": [{"interval": 1}, {"interval": 1, "raster": f"product:{name}"}]}
    with pytest.raises(
        ConfigError, match=rf"\[\[contours\]\] #2 raster: there is no product '{name}' .*use one of a, b"
    ):
        read(files, overlay, change={"difference": ["a", "b"]})
