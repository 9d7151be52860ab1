"""Test the public names of the package, and that it does not change a program that imports it."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import regionplot
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region

CAROLINA = Region("nc", Extent(-84.5, -75.3, 33.8, 36.7))
MAP = {"size": [300, 200]}


def test_all_public_names_exist_and_have_docstrings() -> None:
    assert regionplot.__all__ == sorted(regionplot.__all__)
    assert dir(regionplot) == sorted(regionplot.__all__)
    for name in regionplot.__all__:
        assert getattr(regionplot, name).__doc__
    assert set(regionplot.__all__) == {
        "BlockError", "Config", "ConfigError", "ExecutorError", "Extent", "Failure", "FeaturesError", "FunctionError",
        "InputError", "Job", "LockedError", "MapRenderer", "NoOverlapError", "Outcome", "OutputError", "RasterError",
        "Region", "RegionError", "RegionplotError", "RegionsError", "RunReport", "SharedData", "__version__",
        "open_maps", "plot_region", "prepared", "read_config", "read_regions", "render_regions",
    }  # fmt: skip


def test_other_names_do_not_exist() -> None:
    with pytest.raises(AttributeError, match="no attribute 'plot_regions'"):
        _ = regionplot.plot_regions


def test_every_error_is_a_regionplot_error_with_an_exit_code() -> None:
    errors = [value for name, value in vars(regionplot).items() if name.endswith("Error")]
    assert len(errors) == 13
    assert all(issubclass(error, regionplot.RegionplotError) and error.exit_code in (1, 2, 3, 4) for error in errors)
    error = regionplot.ConfigError("one", "two")
    assert ([problem.message for problem in error.problems], str(error)) == (["one", "two"], "one\ntwo")


@pytest.mark.parametrize("module", ["regionplot", "regionplot.geo.extent", "regionplot.executors.choose"])
def test_importing_the_package_imports_no_large_library(module: str) -> None:
    heavy = {"matplotlib", "cartopy", "xarray", "rioxarray", "rasterio", "pandas", "numpy", "shapely", "pyproj"}
    code = f"import sys, {module}; sys.exit(' '.join({heavy!r} & set(sys.modules)) or 0)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.strip()) == (0, "")


@pytest.mark.slow
def test_drawing_does_not_import_libraries_that_the_raster_does_not_need(light_process, tmp_path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import regionplot as r, sys; c = r.read_config({'raster': {'path': 'sample:relief'}});"
        "r.plot_region(r.SharedData.load(c), r.Region('a', r.Extent(-84, -75, 33, 37)));"
        "assert not {'matplotlib.pyplot', 'netCDF4', 'xarray', 'rioxarray'} & set(sys.modules)"
    )
    with light_process.start(tmp_path, script=script) as drawing:
        _, errors = drawing.communicate(timeout=100)
    assert (drawing.returncode, errors) == (0, "")


def test_plot_region_returns_a_figure_with_a_geo_axes(load) -> None:
    import cartopy.crs
    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    def pixels(overlay: bool) -> np.ndarray:
        figure = regionplot.plot_region(load(map={**MAP, "projection": "EPSG:5070"}), CAROLINA)
        axes = figure.axes[0]
        assert isinstance(axes, GeoAxes)
        if overlay:
            axes.plot(-80, 35, "o", color="red", markersize=12, transform=cartopy.crs.PlateCarree(), zorder=2)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)

    changed = (pixels(overlay=True) != pixels(overlay=False)).any(axis=2)
    rows, columns = np.nonzero(changed)
    red = pixels(overlay=True)[int(rows.mean()), int(columns.mean())]
    assert red.tolist() == [255, 0, 0]
    assert 50 < changed.sum() < 1000, "the overlay, and nothing else, has changed"


def state() -> dict[str, Any]:
    """Return all state of a host program that drawing could change."""
    import matplotlib

    return {
        "rcParams": dict(matplotlib.rcParams),
        "backend": dict.__getitem__(matplotlib.rcParams, "backend"),
        "environment": dict(os.environ),
        "handlers": {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)},
        # CPython itself sets the default when it starts a process that is not forked
        "start method": multiprocessing.get_start_method(allow_none=True),
        "folder": os.getcwd(),  # noqa: PTH109
        "numpy": np.geterr(),
    }


@pytest.mark.parametrize("start_method", ["auto", "serial"])
def test_drawing_does_not_change_the_host_program(load, start_method: str) -> None:
    shared = load(map=MAP, run={"start_method": start_method, "workers": 2})
    before = state()
    figure = regionplot.plot_region(shared, CAROLINA)
    report = regionplot.render_regions([CAROLINA, Region("elsewhere", Extent(10, 20, 40, 50))], shared)
    assert (len(report.drawn), len(report.failed)) == (1, 1)
    assert figure.axes
    assert state() == before


def test_reprs_are_short_and_state_shapes_and_crs(load) -> None:
    shared = load(map={**MAP, "projection": "EPSG:5070"}, features=[{"path": "sample:counties"}])
    renderer = regionplot.MapRenderer(shared)
    report = regionplot.render_regions([CAROLINA], shared)
    shown = [repr(value) for value in (shared, renderer, renderer.render(CAROLINA), report, CAROLINA)]
    assert shown[0].startswith("<SharedData relief.tif: cells (685, 1393) float32 in EPSG:4326; maps in EPSG:5070; ")
    assert shown[1] == "<MapRenderer relief.tif: 300 x 200 pixels in EPSG:5070>"
    assert shown[2].startswith("<Picture 'nc': 300 x 200 pixels, ")
    assert shown[3].startswith("<RunReport: 1 map drawn in ")
    assert all(len(text) < 300 and "\n" not in text for text in shown)


def test_jupyter_shows_the_figure_of_plot_region(load) -> None:
    figure: Any = regionplot.plot_region(load(map=MAP, output={"png": {"mode": "rgb"}}), CAROLINA)
    with Image.open(io.BytesIO(figure._repr_png_())) as image:
        shown = np.asarray(image.convert("RGB"))
    renderer = regionplot.MapRenderer(load(map=MAP, output={"png": {"mode": "rgb"}}))
    assert np.array_equal(shown, renderer.render(CAROLINA).pixels)


class GeoDataFrame:
    """An object that is not a layer."""


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"layers": [GeoDataFrame()]}, regionplot.ConfigError, "GeoDataFrame is not a layer .* in \\[\\[features"),
        ({"regions": [{"name": "a"}]}, regionplot.RegionsError, "item 1 of the regions is of type dict, not Region"),
        ({"regions": CAROLINA}, regionplot.RegionsError, "the regions are of type Region; pass a list"),
        ({"regions": pd.DataFrame({"name": ["a"]})}, regionplot.RegionsError, "columns name: no limits; add"),
        ({"data": {"raster": {"path": "sample:relief"}}}, regionplot.ConfigError, "are of type dict; pass a Config"),
        ({"data": "regionplot.toml"}, regionplot.ConfigError, "are of type str; pass a Config"),
    ],
)
def test_arguments_of_a_wrong_type_are_errors(make_config, arguments, error, message) -> None:
    with pytest.raises(error, match=message):
        regionplot.render_regions(**{"regions": [CAROLINA], "data": make_config(map=MAP), **arguments})


def test_loading_layers_without_regions_logs_no_warning(load, caplog) -> None:
    load(map=MAP, features=[{"path": "sample:states"}])
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
