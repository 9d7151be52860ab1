"""Maps of curvilinear grids have the pixels that matplotlib draws from the coordinates of the file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

from regionplot.errors import RasterError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.prepare.run import prepared
from regionplot.render.figure import plot_region
from regionplot.render.renderer import MapRenderer
from regionplot.render.sheets import Style, make_sheet
from regionplot.runs.run import render_regions
from regionplot.settings.config import Config
from regionplot.settings.loading import read_config
from regionplot.shared.data import SharedData
from regionplot.sheet.view import View

LEVELS = [0.0, 1, 2, 5, 10, 15, 20, 30, 50]
SHEET = {"size": [420, 340]}
AT_THE_PEAK = 12
"""Band at the peak of the storm."""
EAST_CAROLINA = Region("all", Extent(-80.4, -75, 32.8, 37.3))
NEW_BERN = Region("zoom", Extent(-77.6, -77.0, 34.4, 34.9))


@pytest.fixture(scope="module")
def stage_iv(shared_data_folder: Path) -> Callable[[int], SharedData]:
    """Return a function that loads a band of a real grid: 118 x 87 cells of about 4.8 km."""

    @cache
    def loaded(band: int) -> SharedData:
        raster = {"path": shared_data_folder / "stageiv_precip_curvilinear.nc", "band": band}
        sections = {"raster": raster, "map": SHEET, "colors": {"levels": LEVELS}, "output": {"directory": "maps"}}
        return SharedData.load(read_config(sections))

    return loaded


@pytest.fixture
def swath(write_netcdf: Callable[..., Path]) -> Path:
    """Write a small tilted swath across the antimeridian. Two of its edges have no coordinates."""
    row, column = np.mgrid[:45, :60]
    latitudes, longitudes = 10 - 0.2 * row + 0.06 * column, 174 + 0.2 * column + 0.06 * row
    longitudes = np.where(longitudes > 180, longitudes - 360, longitudes)
    longitudes[:, :2] = latitudes[:, :2] = -999
    field = (10 + 8 * np.sin(row / 4.5) * np.cos(column / 3.5)).astype(np.float32)
    units = {"lat": (latitudes, {"units": "degrees_north"}), "lon": (longitudes, {"units": "degrees_east"})}
    return write_netcdf("swath.nc", **units, field=(field, {"coordinates": "lon lat", "units": "K"}))


def pcolormesh(shared: SharedData, region: Region) -> np.ndarray:
    """Return the classes that matplotlib draws from the coordinates of the file; 255 without data."""
    view = View.of(region, shared.crs, Style.of(shared).layout.panel, "datalim")
    panel, extent = view.panel, view.panel.extent
    figure = Figure(figsize=(panel.width / 100, panel.height / 100), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), frameon=False)
    axes.set(xlim=(extent.xmin, extent.xmax), ylim=(extent.ymin, extent.ymax), xticks=[], yticks=[])
    colors = ListedColormap([(i / 255, 0, 0) for i in range(len(LEVELS) - 1)])
    norm = BoundaryNorm(LEVELS, colors.N)
    axes.pcolormesh(*shared.meshgrid, shared.raster.data, cmap=colors, norm=norm, shading="nearest", antialiased=False)
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())
    return np.where(drawn[..., 1] == 255, 255, drawn[..., 0])


@pytest.mark.parametrize(("region", "share"), [(EAST_CAROLINA, 0.06), (NEW_BERN, 0.04)], ids=["all", "zoom"])
def test_pixels_are_equal_to_those_that_matplotlib_draws_from_the_coordinates_of_the_file(
    stage_iv: Callable[[int], SharedData], region: Region, share: float
) -> None:
    """Pixels along the edges of cells can differ. Their positions are correct to a sixteenth of a cell."""
    shared = stage_iv(AT_THE_PEAK)
    expected = pcolormesh(shared, region)
    style = Style.of(shared)
    shown = make_sheet(region, style).codes.astype(int)
    classes = np.where(shown == style.scale.nodata, 255, shown - 1)
    assert classes.shape == expected.shape
    assert (classes != expected).mean() < share
    assert (expected == 255).mean() > 0.1 or region is NEW_BERN


def test_shared_data_holds_the_cells_and_coordinates_of_the_file(
    stage_iv: Callable[[int], SharedData], shared_data_folder: Path
) -> None:
    from scipy.io import netcdf_file

    shared = stage_iv(AT_THE_PEAK)
    with netcdf_file(shared_data_folder / "stageiv_precip_curvilinear.nc", mmap=False) as file:
        for mine, name in zip(shared.meshgrid, ("lon", "lat"), strict=True):
            np.testing.assert_array_equal(mine, file.variables[name][:])
            assert not mine.flags.writeable
        rain = file.variables["Total_precipitation_surface_1_Hour_Accumulation"][11]
    np.testing.assert_array_equal(shared.raster.data, rain)
    assert not shared.raster.data.flags.writeable
    assert not shared.cells.flags.writeable
    assert shared.raster.rio.crs.to_epsg() == 4326
    np.testing.assert_array_equal(shared.raster["longitude"], shared.meshgrid[0])
    assert shared.description["time"] == datetime(2018, 9, 14, 6, tzinfo=UTC)


def test_a_band_has_a_time(stage_iv: Callable[[int], SharedData]) -> None:
    first, last = stage_iv(1), stage_iv(23)
    assert first.description["time"] == datetime(2018, 9, 13, 19, tzinfo=UTC)
    assert last.description["time"] == datetime(2018, 9, 14, 17, tzinfo=UTC)
    assert not np.array_equal(first.raster, last.raster)


@pytest.mark.timeout(method="signal")
def test_all_start_methods_write_the_same_bytes(
    make_config: Callable[..., Config], swath: Path, tmp_path: Path
) -> None:
    regions = [Region("seam", Extent(176, 183, 4, 9)), Region("all", Extent(173, -172 + 360, -2, 15))]
    written = {}
    for method in ("serial", "fork", "forkserver"):
        config = make_config(
            raster={"path": swath}, map=SHEET, colors={"levels": [0, 5, 10, 15, 20]},
            output={"directory": tmp_path / method}, run={"start_method": method},
        )  # fmt: skip
        assert render_regions(regions, config).failed == []
        written[method] = [(tmp_path / method / f"{region.name}.png").read_bytes() for region in regions]
        assert all(outcome.value.state == "unchanged" for outcome in render_regions(regions, config).outcomes)
    assert written["serial"] == written["fork"] == written["forkserver"]


def test_a_map_across_the_antimeridian_has_no_seam(load: Callable[..., SharedData], swath: Path) -> None:
    shared = load(raster={"path": swath}, map=SHEET, colors={"levels": [0, 5, 10, 15, 20]})
    style = Style.of(shared)
    assert not (make_sheet(Region("seam", Extent(178, 182, 5, 8)), style).codes == style.scale.nodata).any()
    west = make_sheet(Region("west", Extent(-182, -178, 5, 8)), style).codes
    np.testing.assert_array_equal(west, make_sheet(Region("seam", Extent(178, 182, 5, 8)), style).codes)


def test_plot_region_draws_the_same_pixels_as_the_renderer(load: Callable[..., SharedData], swath: Path) -> None:
    shared = load(raster={"path": swath}, map=SHEET, output={"png": "rgb"}, colors={"levels": [0, 5, 10, 15, 20]})
    region = Region("part", Extent(176, 182, 4, 9))
    figure = plot_region(shared, region)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    fast = MapRenderer(shared).render(region).pixels
    np.testing.assert_array_equal(np.asarray(canvas.buffer_rgba())[..., :3], fast)


def test_only_the_part_that_regions_need_is_resampled_to_the_regular_grid(
    make_config: Callable[..., Config], swath: Path
) -> None:
    config = make_config(raster={"path": swath}, map=SHEET, colors={"levels": [0, 5, 10, 15, 20]})
    region = Region("small", Extent(178, 178.5, 6, 6.4))
    whole, part = SharedData.load(config), SharedData.load(config, [region])
    assert part.cells.size < whole.cells.size / 20
    shown = [make_sheet(region, Style.of(shared)).codes for shared in (whole, part)]
    np.testing.assert_array_equal(*shown)


def test_the_error_for_a_grid_beyond_the_memory_limit_names_the_setting(
    make_config: Callable[..., Config], swath: Path
) -> None:
    config = make_config(raster={"path": swath}, run={"memory": 1})
    with pytest.raises(RasterError, match=r"swath.nc: the regular grid .* needs (\d+) MB.* set memory = \1"):
        SharedData.load(config)
    assert SharedData.load(config, [Region("small", Extent(178, 178.2, 6, 6.2))]).plan.window.cells < 2**18


def test_bilinear_and_cubic_interpolate_between_cells(load: Callable[..., SharedData], swath: Path) -> None:
    smooth, stepped = (
        load(raster={"path": swath, "resampling": resampling}, colors={"levels": [0, 5, 10, 15, 20]}).cells
        for resampling in ("bilinear", "nearest")
    )
    np.testing.assert_array_equal(np.isnan(smooth), np.isnan(stepped))
    steps = [np.nanmax(abs(np.diff(cells, axis=1))) for cells in (smooth, stepped)]
    assert steps[0] < steps[1] / 4


def test_steps_on_a_curvilinear_grid_use_the_regular_grid(make_config: Callable[..., Config], swath: Path) -> None:
    steps = [{"step": "expression", "formula": "b1 * 2"}]
    colors = {"levels": [0, 5, 10, 15, 20, 30, 40]}
    plain = SharedData.load(make_config(raster={"path": swath}, colors=colors))
    config = prepared(make_config(raster={"path": swath}, colors=colors, prepare=steps))
    np.testing.assert_allclose(SharedData.load(config).raster, plain.cells * 2)
