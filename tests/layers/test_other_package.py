"""Layers of another package are found by their entry points and drawn like any other."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import regionplot
from regionplot.colors.check import color_problems
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.settings.loading import read_config

PACKAGE = Path(__file__).parent / "other_package"
SETTINGS = """
[raster]
path = "sample:relief"
[map]
size = [320, 240]
[colors]
levels = [-100, 0, 500, 1500]
[remark]
text = "Data: sample"
[[peak]]
color = "magenta"
[[features]]
path = "sample:states"
"""
REGIONS = "name,west,east,south,north\nnc,-84.5,-75.3,33.8,36.7\ntn,-90,-82,34,37\n"
CAROLINA = Region("nc", Extent(-84.5, -75.3, 33.8, 36.7))
MAGENTA = (255, 0, 255)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(PACKAGE))
    yield
    sys.modules.pop("example_layers", None)


@pytest.fixture
def run(run_command: Callable[..., Any]) -> Callable[..., str]:
    """Return a function that runs the command."""

    def run(folder: Path, settings: str, *options: str) -> str:
        (folder / "regionplot.toml").write_text(settings)
        (folder / "regions.csv").write_text(REGIONS)
        result = run_command(folder, "regions.csv", "-j", "2", *options)
        assert result.returncode == 0, result.stderr
        return str(result.stdout + result.stderr)

    return run


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.mark.usefixtures("installed")
@pytest.mark.timeout(180, method="signal")
def test_the_command_draws_layers_of_another_package_with_and_without_fork(
    run: Callable[..., str], tmp_path: Path
) -> None:
    for method in ("fork", "forkserver"):
        run(tmp_path, SETTINGS, "-o", method, "--start-method", method)
    for name in ("nc.png", "tn.png"):
        forked, other = (pixels(tmp_path / method / name) for method in ("fork", "forkserver"))
        np.testing.assert_array_equal(forked, other)
        assert (forked == MAGENTA).all(axis=2).sum() > 20, "the peak is marked"
        assert (forked[-18:, :150] < 128).any(), "the remark is below the map"
    run(tmp_path, SETTINGS.replace("magenta", "lime"), "-o", "fork")
    assert not (pixels(tmp_path / "fork" / "nc.png") == MAGENTA).all(axis=2).any(), "a changed setting redraws maps"


@pytest.mark.usefixtures("installed")
def test_a_figure_shows_layers_of_another_package_with_the_same_pixels(tmp_path: Path) -> None:
    path = tmp_path / "regionplot.toml"
    path.write_text(SETTINGS)
    with regionplot.open_maps(path) as maps:
        file = io.BytesIO()
        maps.figure(CAROLINA).savefig(file, format="png")
        picture = maps.render(CAROLINA)
    assert picture.palette is None, "the layer names no inks"
    np.testing.assert_array_equal(np.asarray(Image.open(file).convert("RGB")), picture.pixels)


@pytest.mark.usefixtures("installed")
def test_a_layer_that_wants_values_gets_them_for_any_color_scale(tmp_path: Path) -> None:
    path = tmp_path / "regionplot.toml"
    path.write_text(SETTINGS)
    regions = [CAROLINA] * 1000
    with regionplot.open_maps(path, regions) as maps:
        assert (maps.render(CAROLINA).pixels == MAGENTA).all(axis=2).any()
    path.write_text(SETTINGS.replace("[[peak]]\n", "").replace('color = "magenta"\n', ""))
    with regionplot.open_maps(path, regions) as maps:
        assert maps.style.cell_codes is not None, "cells are classified before, if no layer wants values"


@pytest.mark.usefixtures("installed")
def test_a_layer_without_other_inks_leaves_the_palette(tmp_path: Path) -> None:
    path = tmp_path / "regionplot.toml"
    path.write_text(SETTINGS.replace("[[peak]]\n", "").replace('color = "magenta"\n', ""))
    with regionplot.open_maps(path) as maps:
        picture = maps.render(CAROLINA)
        assert picture.palette is not None
        assert (picture.pixels[-18:, :150] < 128).any()


@pytest.mark.usefixtures("installed")
def test_wrong_colors_in_layers_of_another_package_are_found() -> None:
    config = read_config({"raster": {"path": "sample:relief"}, "peak": [{}, {"color": "rde"}]})
    assert list(map(str, color_problems(config))) == [
        "[[peak]] #2 color: 'rde' is not a color; write a name or '#rrggbb'"
    ]
