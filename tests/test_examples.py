"""The examples of the documentation draw maps of real data."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

import regionplot

FOLDER = Path(__file__).parents[1] / "docs" / "examples"
REGIONS = {"temperature": "us", "waves": "atlantic", "pressure": "oceans", "heights": "oceans", "snow": "us"}
"""Name of the table of regions for each example."""


def test_each_example_is_in_the_page_and_has_regions() -> None:
    page = (FOLDER.parent / "examples.md").read_text()
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(REGIONS)
    for name, table in REGIONS.items():
        assert f"(examples/{name}.toml)" in page
        assert f"(examples/{table}.csv)" in page
        assert "data/" in tomllib.loads((FOLDER / f"{name}.toml").read_text())["raster"]["path"]
        assert len(regionplot.read_regions(FOLDER / f"{table}.csv")) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", REGIONS)
def test_each_example_draws_its_regions(name: str, shared_data_folder: Path, tmp_path: Path) -> None:
    settings = (FOLDER / f"{name}.toml").read_text()
    assert 'path = "data/' in settings
    own = tmp_path / f"{name}.toml"
    own.write_text(settings.replace('"data/', f'"{shared_data_folder}/').replace("[map]", "[map]\nsize = [900, 600]"))
    regions = regionplot.read_regions(FOLDER / f"{REGIONS[name]}.csv")
    shared = regionplot.SharedData.load(regionplot.read_config(own), regions)
    renderer = regionplot.MapRenderer(shared)
    for region in regions:
        picture = renderer.render(region)
        assert picture.pixels.shape[:2] == (600, 900)
        assert np.ptp(picture.pixels[100:500, 100:800]) > 0
