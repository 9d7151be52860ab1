"""Prepared rasters are computed once, reused until something changes, and drawn instead of the raster."""

from __future__ import annotations

import os
import pickle
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

import regionplot
from regionplot.blocks import BlockObserver
from regionplot.cli.display import Display
from regionplot.errors import ConfigError, InputError, RasterError
from regionplot.executors.observer import JobObserver
from regionplot.inputs.describe import inspect_raster
from regionplot.prepare.cache import PreparedFolder, locked_in_cache, prepared_digest
from regionplot.prepare.inputs import Input
from regionplot.prepare.run import Existing, prepare_raster, prepared
from regionplot.prepare.steps.expression import Expression
from regionplot.prepare.steps.focal import Focal
from regionplot.settings.loading import read_config
from regionplot.shared.data import SharedData

pytestmark = pytest.mark.timeout(method="signal")

DOUBLE: dict[str, Any] = {"step": "expression", "formula": "b1 * 2", "units": "inch", "long_name": "Twice"}
MEAN: dict[str, Any] = {"step": "focal", "size": 3}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder for this test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def grid(write_raster: Any) -> Path:
    values = np.arange(600, dtype="float32").reshape(20, 30)
    values[3, 4] = -1
    tags = {"VALID_TIME": "2026-03-10 00:00:00"}
    return write_raster(values, name="snow.tif", nodata=-1, tags=tags, descriptions=["Snow"])


def steps_of(*steps: dict[str, Any]) -> Any:
    return read_config({"raster": {"path": "sample:relief"}, "prepare": list(steps)}).prepare


def read(path: Path) -> Any:
    with rasterio.open(path) as dataset:
        return dataset.read()


def config_of(grid: Path, *steps: dict[str, Any], **raster: Any) -> Any:
    return read_config({"raster": {"path": grid, **raster}, "prepare": list(steps), "run": {"start_method": "serial"}})


def state(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# reuse


def test_a_prepared_config_draws_from_the_result(grid: Path) -> None:
    config = prepared(config_of(grid, DOUBLE))
    assert config.prepare == ()
    values = SharedData.load(config).raster.data
    assert values[0, 5] == 10
    assert np.isnan(values[3, 4])


class Counter(BlockObserver):
    """Count runs over blocks."""

    runs = 0

    def preparing(self) -> BlockObserver:
        return self

    def started(self, *_run: object) -> None:
        self.runs += 1


def test_a_current_result_is_not_computed_again(grid: Path) -> None:
    observer = Counter()
    first = prepared(config_of(grid, DOUBLE, MEAN), observer).raster.path
    before = state(first)
    assert observer.runs == 1
    assert prepared(config_of(grid, DOUBLE, MEAN), observer).raster.path == first
    assert observer.runs == 1
    assert state(first) == before


def test_a_change_of_a_step_or_an_input_makes_a_new_result(grid: Path, write_vector: Any) -> None:
    layer = write_vector([shapely.box(-100, 30, -90, 50)])
    mask = {"step": "mask", "path": layer}
    paths = [
        prepared(config_of(grid, *steps)).raster.path for steps in ([DOUBLE], [DOUBLE, MEAN], [MEAN, DOUBLE], [mask])
    ]
    write_vector([shapely.box(-100, 30, -80, 50)])
    paths.append(prepared(config_of(grid, mask)).raster.path)
    with rasterio.open(grid, "r+") as dataset:
        dataset.write(np.ones((20, 30), "float32"), 1)
    paths.append(prepared(config_of(grid, DOUBLE)).raster.path)
    assert len(set(paths)) == len(paths)
    assert (read(paths[-1]) == 2).all()
    assert np.isfinite(read(paths[-2])).sum() > np.isfinite(read(paths[-3])).sum()


def test_a_damaged_result_is_computed_again(grid: Path) -> None:
    path = prepared(config_of(grid, DOUBLE)).raster.path
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    assert prepared(config_of(grid, DOUBLE)).raster.path == path
    assert read(path)[0, 0, 5] == 10


def test_a_run_without_cache_computes_the_result_again(grid: Path) -> None:
    path = prepared(config_of(grid, DOUBLE)).raster.path
    before = state(path)
    config = config_of(grid, DOUBLE)
    prepared(config.model_copy(update={"run": config.run.model_copy(update={"cache": False})}))
    assert state(path) != before


def test_settings_can_choose_the_file_of_the_result(grid: Path, tmp_path: Path) -> None:
    place = tmp_path / "derived.tif"
    assert prepared(config_of(grid, DOUBLE, prepared=place)).raster.path == place
    before = state(place)
    prepared(config_of(grid, DOUBLE, prepared=place))
    assert state(place) == before
    prepared(config_of(grid, MEAN, prepared=place))
    assert state(place) != before


def test_a_result_is_discarded_if_an_input_changes_during_the_run(grid: Path, tmp_path: Path) -> None:
    class ChangeInput(BlockObserver):
        def finished(self, _outcome: object) -> None:
            with rasterio.open(grid, "r+") as dataset:
                dataset.write(np.zeros((20, 30), "float32"), 1)

    with pytest.raises(RasterError, match=r"out.tif: an input has changed during the run"):
        prepare_raster([grid], tmp_path / "out.tif", steps_of(DOUBLE), executor="serial", observer=ChangeInput())
    assert files_below(tmp_path) == ["snow.tif"]


def test_the_folder_is_bounded_but_rasters_in_use_stay(tmp_path: Path) -> None:
    folder = PreparedFolder(tmp_path / "prepared", max_bytes=250)
    for number in range(5):
        path = folder.path(f"key{number}", "grid")
        path.write_bytes(b"x" * 100)
        age = 10_000 - 1000 * number if number < 4 else 0
        os.utime(path.parent, (time.time() - age,) * 2)
    folder.trim()
    assert sorted(entry.name for entry in folder.folder.iterdir()) == ["key3", "key4"]
    everything = PreparedFolder(folder.folder, max_bytes=0)
    with locked_in_cache(folder.folder / "key3" / "grid.tif"):
        everything.trim()
        assert sorted(entry.name for entry in folder.folder.iterdir()) == ["key3", "key4"], "a run uses it"
    everything.trim()
    assert [entry.name for entry in folder.folder.iterdir()] == ["key4"], "it was just written"


def test_without_a_writable_cache_results_are_stored_in_the_output_folder(
    grid: Path, cache: Path, tmp_path: Path, caplog: Any
) -> None:
    cache.write_text("a file in the place of the folder")
    config = config_of(grid, DOUBLE)
    output = config.output.model_copy(update={"directory": tmp_path / "maps"})
    path = prepared(config.model_copy(update={"output": output})).raster.path
    assert path.is_relative_to(tmp_path / "maps" / ".prepared")
    assert read(path)[0, 0, 5] == 10
    assert len(caplog.records) == 1


# descriptions


def test_a_result_has_the_description_of_its_raster(grid: Path) -> None:
    said = inspect_raster(prepared(config_of(grid, MEAN)).raster).description
    before = inspect_raster(config_of(grid).raster).description
    assert said == before
    assert said["time"] == datetime(2026, 3, 10, tzinfo=UTC)
    assert said["raster"] == "snow"


def test_steps_change_units_and_names(grid: Path) -> None:
    said = inspect_raster(prepared(config_of(grid, DOUBLE, {"step": "convert", "units": "cm"})).raster).description
    assert (said["long_name"], said["units"]) == ("Twice", "cm")
    assert read(prepared(config_of(grid, DOUBLE, {"step": "convert", "units": "cm"})).raster.path)[
        0, 0, 1
    ] == pytest.approx(5.08)


def test_scales_and_names_of_the_old_values_are_not_copied(write_raster: Any) -> None:
    """rioxarray also writes scale, offset and units as tags."""
    tags = {"scale_factor": "0.1", "add_offset": "3", "units": "K", "long_name": "Old", "_FillValue": "-1"}
    path = write_raster(np.full((5, 5), 10, "int16"), nodata=-1, scales=(0.1,), offsets=(3,), tags=tags)
    config = prepared(config_of(path, DOUBLE))
    info = inspect_raster(config.raster)
    assert (info.scale, info.offset) == (1, 0)
    assert np.isnan(info.nodata or 0)
    assert (info.description["units"], info.description["long_name"]) == ("inch", "Twice")
    np.testing.assert_allclose(SharedData.load(config).raster.data, 8)


def test_the_selected_band_stays_selected(write_raster: Any) -> None:
    path = write_raster(np.arange(75, dtype="float32").reshape(3, 5, 5), descriptions=["a", "b", "c"])
    config = prepared(config_of(path, {"step": "scale", "scale": 10}, band="c"))
    assert (config.raster.band, SharedData.load(config).raster.data[0, 0]) == (1, 500)
    config = prepared(config_of(path, {"step": "expression", "formula": "b3 - b1"}, band=2))
    assert (SharedData.load(config).raster.data == 50).all()


# steps


def test_steps_without_a_new_grid_share_one_pass_and_no_temporary_files_are_left(grid: Path, tmp_path: Path) -> None:
    report = prepare_raster([grid], tmp_path / "a.tif", steps_of(DOUBLE, MEAN, MEAN), executor="serial")
    assert len(report.stages) == 1
    steps = steps_of(DOUBLE, {"step": "resample", "resolution": 0.5}, MEAN, {"step": "reproject", "crs": "EPSG:5070"})
    report = prepare_raster([grid], tmp_path / "b.tif", steps, executor="serial")
    assert len(report.stages) == 4
    assert files_below(tmp_path) == ["a.tif", "b.tif", "snow.tif"]


def test_expressions_find_further_inputs_by_name_after_resampling(write_raster: Any, tmp_path: Path) -> None:
    main = write_raster(np.full((4, 4), 10.0), name="main.tif")
    fine = write_raster(np.full((8, 8), 3.0), Affine(0.5, 0, -100, 0, -0.5, 50), name="fine-grid.tif")
    output = tmp_path / "out.tif"
    formula = {"step": "expression", "formula": "b1 - fine_grid.b1"}
    with pytest.raises(
        ConfigError, match=r"fine-grid.tif: its grid differs from the grid of .*main.tif; use a resample step"
    ):
        prepare_raster([main, fine], output, steps_of(formula), executor="serial")
    prepare_raster([main, fine], output, steps_of({"step": "resample", "like": main}, formula), executor="serial")
    assert (read(output) == 7).all()
    prepare_raster([main, f"f={fine}"], output, steps_of({"step": "resample", "like": main}), executor="serial")
    assert (read(output) == 10).all(), "the first input is the raster that is written"


@pytest.mark.parametrize(("how", "expected"), [("sum", 6), ("mean", 2), ("max", 3), ("last", 3)])
def test_files_are_accumulated(write_raster: Any, tmp_path: Path, how: str, expected: float) -> None:
    files = [write_raster(np.full((4, 4), float(n)), name=f"hour{n}.tif") for n in (1, 2, 3)]
    prepare_raster(files, tmp_path / "out.tif", steps_of({"step": "accumulate", "how": how}), executor="serial")
    assert (read(tmp_path / "out.tif") == expected).all()


def test_bands_are_accumulated(write_raster: Any, tmp_path: Path) -> None:
    path = write_raster(np.stack([np.full((4, 4), n) for n in (1.0, 2.0, 5.0)]))
    prepare_raster([path], tmp_path / "out.tif", steps_of({"step": "accumulate"}, DOUBLE), executor="serial")
    assert (read(tmp_path / "out.tif") == 16).all()


def test_the_mean_over_the_times_of_a_netcdf_file_is_drawn(shared_data_folder: Path) -> None:
    """The result has one band. Tags of the file list all times."""
    path = shared_data_folder / "air_temperature_small.nc"
    config = config_of(path, {"step": "accumulate", "how": "mean"}, crs="EPSG:4326")
    result = SharedData.load(prepared(config))
    with rasterio.open(path) as dataset:
        expected = dataset.read().astype(float).mean(axis=0) * dataset.scales[0] + dataset.offsets[0]
    np.testing.assert_allclose(result.cells, expected, rtol=1e-5)
    assert result.info.description["long_name"] == "4xDaily Air temperature at sigma level 995"


def test_mask_bands_and_variables_are_read(write_raster: Any, tmp_path: Path) -> None:
    import xarray as xr

    masked = write_raster(np.full((4, 4), 9, "uint8"), name="masked.tif")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(masked, "r+") as dataset:
        dataset.write_mask(np.eye(4, dtype=bool))
    steps = steps_of({"step": "resample", "resolution": 1, "method": "nearest"})
    prepare_raster([masked], tmp_path / "out.tif", steps, executor="serial")
    assert (np.isfinite(read(tmp_path / "out.tif")[0]) == np.eye(4, dtype=bool)).all()
    y, x = np.arange(40.0, 36, -1), np.arange(-100.0, -95)
    axes = {"y": ("y", y, {"units": "degrees_north"}), "x": ("x", x, {"units": "degrees_east"})}
    data = {name: (("y", "x"), np.full((4, 5), value)) for name, value in (("tmp", 1.0), ("rain", 4.0))}
    xr.Dataset(data, coords=axes).to_netcdf(tmp_path / "two.nc", engine="scipy")
    config = config_of(tmp_path / "two.nc", DOUBLE, variable="rain", crs="EPSG:4326")
    result = SharedData.load(prepared(config))
    assert (result.raster.data == 8).all()
    assert result.info.description["variable"] == "rain"


def test_a_result_can_be_stored_as_integers_and_as_a_cog(grid: Path, tmp_path: Path) -> None:
    output, storage = tmp_path / "out.tif", {"dtype": "int16", "nodata": -5}
    prepare_raster([grid], output, steps_of(DOUBLE), storage=storage, driver="COG", executor="serial")
    with rasterio.open(output) as dataset:
        assert (dataset.dtypes[0], dataset.nodata, dataset.units) == ("int16", -5, ("inch",))
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.read(1)[3, 4] == -5


def test_bands_keep_their_own_units_and_names(tmp_path: Path, write_raster: Any) -> None:
    path = write_raster(np.ones((2, 5, 5)), descriptions=["Temperature", "Wind"])
    with rasterio.open(path, "r+") as dataset:
        dataset.units = ("K", "m/s")
    prepare_raster([path], tmp_path / "out.tif", steps_of(MEAN), executor="serial")
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert (dataset.units, dataset.descriptions) == (("K", "m/s"), ("Temperature", "Wind"))
    with pytest.raises(
        ConfigError,
        match=r"step 1 \(convert\): .*grid.tif: its bands have different units \(K, m/s\); give the units to",
    ):
        prepare_raster(
            [path], tmp_path / "out.tif", steps_of({"step": "convert", "units": "degC"}), existing=Existing.REPLACE
        )


def test_inputs_that_cannot_be_accumulated_are_refused(tmp_path: Path, write_raster: Any) -> None:
    one, other = write_raster(np.ones((5, 5)), name="one.tif"), write_raster(np.ones((5, 5)), name="other.tif")
    accumulate = {"step": "accumulate"}
    with pytest.raises(
        ConfigError, match=r"step 2 \(accumulate\): the steps before accumulate apply to the first input only"
    ):
        prepare_raster([one, other], tmp_path / "out.tif", steps_of(MEAN, accumulate))
    with rasterio.open(one, "r+") as dataset:
        dataset.units = ("mm",)
    with pytest.raises(ConfigError, match=r"step 1 \(accumulate\): the inputs are in different units: '', 'mm'"):
        prepare_raster([one, other], tmp_path / "out.tif", steps_of(accumulate))


def test_an_accumulation_has_the_latest_time_of_its_inputs(tmp_path: Path, write_raster: Any) -> None:
    times = [f"2026-0{month}-01 00:00:00" for month in (1, 6)]
    files = [write_raster(np.ones((5, 5)), name=f"{n}.tif", tags={"VALID_TIME": t}) for n, t in enumerate(times)]
    prepare_raster(files, tmp_path / "out.tif", steps_of({"step": "accumulate", "how": "last"}), executor="serial")
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.tags()["VALID_TIME"] == times[1]


# faults


def test_inputs_and_devices_are_never_overwritten(grid: Path, tmp_path: Path, write_vector: Any) -> None:
    areas = write_vector([shapely.box(-100, 30, -90, 45)], name="areas.gpkg")
    mask = steps_of({"step": "mask", "path": str(areas)})
    (tmp_path / "link.tif").symlink_to(grid)
    os.mkfifo(tmp_path / "pipe.tif")
    for output in (grid, areas, tmp_path / "link.tif"):
        with pytest.raises(ConfigError, match=r"the output is also an input .*; choose another output"):
            prepare_raster([grid], output, mask)
    for output in (tmp_path, tmp_path / "pipe.tif", Path("/dev/null"), tmp_path / ("x" * 300)):
        with pytest.raises(RasterError, match=r"it is not a regular file|name too long"):
            prepare_raster([grid], output, mask)
    assert files_below(tmp_path) == ["areas.gpkg", "link.tif", "snow.tif"]


def test_sidecar_files_of_the_old_raster_are_removed(grid: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.tif"
    for suffix in (".ovr", ".aux.xml", ".msk"):
        output.with_name(output.name + suffix).write_text("old")
    prepare_raster([grid], output, steps_of(DOUBLE), executor="serial")
    assert files_below(tmp_path) == ["out.tif", "snow.tif"]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"step": "expression", "formula": "b2"}, r"\[\[prepare\]\] #2 \(expression\): 'b2': there is no b2"),
        ({"step": "expression", "formula": "__import__('os')"}, r"#2 formula: .*no function '__import__'"),
        ({"step": "focal", "size": 4}, r"#2: .*odd number"),
        ({"step": "reclassify", "rules": ["x"]}, r"#2: 'x' is not a rule"),
        ({"step": "convert", "units": "parsec"}, r"#2 \(convert\): .*states no units"),
        ({"step": "convert", "units": "second", "from_units": "mm"}, r"#2 \(convert\): convert mm:second"),
        ({"step": "reproject", "crs": "EPSG:1"}, r"#2 \(reproject\): .*not a CRS"),
        ({"step": "resample", "resolution": 1e-9}, r"#2 \(resample\): .*too large"),
    ],
)
def test_impossible_steps_are_reported_with_their_place_before_any_work(
    grid: Path, cache: Path, step: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        prepared(config_of(grid, MEAN, step))
    assert files_below(cache) == []


def test_wrong_settings_of_steps_are_reported_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "regionplot.toml"
    path.write_text(
        '[raster]\npath = "sample:relief"\n\n[[prepare]]\nstep = "focal"\nkin = "mean"\n\n[[prepare]]\n'
        'step = "smooth"\n\n[[prepare]]\nstep = "mask"\npath = "none.shp"\n\n[[prepare]]\nformula = "b1"\n'
    )
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    problems = [str(problem) for problem in caught.value.problems]
    assert problems[0] == f"{path}:6: [[prepare]] #1 kin: unknown key; did you mean 'kind'?"
    assert problems[1].startswith(f"{path}:8: [[prepare]] #2: there is no step 'smooth'; use one of expression, focal")
    assert problems[2] == f"{path}:13: [[prepare]] #3 path: there is no file {tmp_path / 'none.shp'}"
    assert problems[3].startswith(f"{path}:15: [[prepare]] #4: step is missing; use one of expression")


def test_names_of_inputs_are_valid_in_expressions(write_raster: Any, tmp_path: Path) -> None:
    (tmp_path / "a=b").mkdir()
    for name, expected in (("snow__depth.tif", "snow_depth"), ("class.tif", "in_class"), ("a=b/2.tif", "in_2")):
        path = write_raster(np.ones((4, 4)), name=name)
        assert Input.parse(path).name == expected
        formula = steps_of({"step": "expression", "formula": f"b1 + {expected}.b1"})
        prepare_raster([write_raster(np.ones((4, 4))), path], tmp_path / "out.tif", formula, executor="serial")
        assert (read(tmp_path / "out.tif") == 2).all()
        assert Input.parse(f"n={path}").name == "n"


def test_missing_files_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\[\[prepare\]\] #1 path: there is no file"):
        steps_of({"step": "mask", "path": str(tmp_path / "none.shp")})
    with pytest.raises(InputError, match=r"^there is no file .*none.tif"):
        Input.parse(tmp_path / "none.tif")


def test_an_unreadable_input_leaves_the_old_output_unchanged(grid: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.tif"
    prepare_raster([grid], output, steps_of(DOUBLE), executor="serial")
    before = output.read_bytes()
    grid.write_bytes(grid.read_bytes()[:1500])
    with pytest.raises(regionplot.RegionplotError, match=r"snow\.tif"):
        prepare_raster([grid], output, steps_of(DOUBLE), executor="serial")
    assert output.read_bytes() == before
    assert files_below(tmp_path) == ["out.tif", "snow.tif"]


def test_a_raster_with_steps_cannot_be_loaded_before_it_is_prepared(grid: Path) -> None:
    with pytest.raises(ConfigError, match=r"load the config that regionplot.prepared\(config\) returns"):
        SharedData.load(config_of(grid, DOUBLE))


def test_steps_pickle_and_round_trip(grid: Path) -> None:
    config = config_of(grid, DOUBLE, MEAN, {"step": "resample", "resolution": [1.0, 2.0]})
    assert pickle.loads(pickle.dumps(config)) == config
    assert read_config(config.model_dump()) == config


# with maps


REGION = regionplot.Region("here", regionplot.Extent(-98, -75, 33, 48))
MAP = {"map": {"size": [300, 200]}}


def test_a_run_prepares_the_raster_once(grid: Path, tmp_path: Path) -> None:
    sections = {**MAP, "raster": {"path": grid}, "prepare": [DOUBLE], "output": {"directory": tmp_path / "maps"}}
    first = regionplot.render_regions([REGION], read_config(sections))
    assert (len(first.drawn), list(first.stages)) == (1, ["check", "prepare", "load", "compare", "draw"])
    again = regionplot.render_regions([REGION], read_config(sections))
    assert len(again.unchanged) == 1
    sections["prepare"] = [MEAN]
    assert len(regionplot.render_regions([REGION], read_config(sections)).drawn) == 1


def test_maps_of_all_start_methods_are_the_same(grid: Path, tmp_path: Path) -> None:
    images = []
    for method in ("serial", "fork", "forkserver"):
        directory = tmp_path / method
        sections = {**MAP, "raster": {"path": grid}, "prepare": [MEAN], "output": {"directory": directory}}
        options = {"start_method": method, "workers": 2, "cache": False}
        report = regionplot.render_regions([REGION], read_config({**sections, "run": options}))
        images.append(report.drawn[0].value.path.read_bytes())
    assert images[0] == images[1] == images[2]


def test_a_display_observes_blocks() -> None:
    assert isinstance(Display().preparing(), JobObserver)


def test_snow_water_equivalent_becomes_inches_of_snow_on_all_states(shared_data_folder: Path, tmp_path: Path) -> None:
    """Draw a map of each state that the grid covers, from a prepared raster."""
    path = shared_data_folder / "snow_swe_conus_lcc.tif"
    states = shared_data_folder / "us_states.shp"
    config = read_config(
        {
            "raster": {"path": path},
            "prepare": [
                {"step": "expression", "formula": "b1 * 10 / 25.4", "long_name": "Snow depth", "units": "inch"},
                {"step": "focal", "kind": "gaussian", "sigma": 2.0},
                {"step": "mask", "path": states},
            ],
            "map": {"size": [300, 200], "title": "{title}: {long_name} ({units}), {time:%d %b %Y}"},
            "colors": {"levels": [0.1, 1, 4, 12, 36]},
            "features": [{"path": states}],
            "output": {"directory": tmp_path / "maps"},
        }
    )
    report = regionplot.render_regions(shared_data_folder / "regions_us_states.csv", config)
    assert len(report.drawn) == 48
    assert sorted(outcome.job.name for outcome in report.failed) == ["AK", "HI"], "they are outside the grid"
    values = SharedData.load(prepared(config)).raster.data
    with rasterio.open(path) as dataset:
        inches = dataset.read(1, masked=True).astype(float).filled(np.nan) * 10 / 25.4
        x, y = rasterio.warp.transform("EPSG:4326", dataset.crs, [-106.5], [39.5])
        row, column = dataset.index(x[0], y[0])
    around = inches[row - 8 : row + 9, column - 8 : column + 9]
    weight = np.exp(-0.125 * np.arange(-8, 9) ** 2)
    expected = (around * np.outer(weight, weight)).sum() / np.outer(weight, weight).sum()
    assert values[row, column] == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(values).mean() < np.isfinite(inches).mean(), "Canada and the sea are masked"


@pytest.mark.parametrize(
    ("library", "step"),
    [("scipy", Focal(kind="gaussian")), ("numexpr", Expression("b1 * 2")), ("rasterio", Focal(kind="mean"))],
)
def test_the_digest_depends_on_the_versions_of_a_steps_libraries(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, library: str, step
) -> None:
    before = prepared_digest([], [step], "form")
    assert prepared_digest([], [step], "form") == before
    (tmp_path / "site" / f"{library}-0.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert prepared_digest([], [step], "form") != before
