"""Test what `regionplot prepare` writes, prints and refuses, and how it ends."""

from __future__ import annotations

import re
import resource
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import shapely
from affine import Affine

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
    pytest.mark.usefixtures("read_in_process", "draw_in_process"),
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def prepare(run_command: Any) -> Any:
    return lambda folder, *arguments: run_command(folder, "prepare", *arguments)


def read(path: Path) -> Any:
    with rasterio.open(path) as dataset:
        return dataset.read()


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.name.endswith(".tmp") or path.name.startswith(".")]


@pytest.fixture
def grid(write_raster: Any) -> Path:
    return write_raster(np.arange(600, dtype="float32").reshape(20, 30), name="dem.tif")


def test_steps_are_applied_in_the_given_order(prepare: Any, grid: Path, tmp_path: Path) -> None:
    steps = ["--expression", "b1 * 2", "--scale", "1:1", "--expression", "b1 * 10"]
    result = prepare(tmp_path, grid, "-o", "out.tif", *steps)
    assert (result.returncode, result.stderr) == (0, "")
    assert re.fullmatch(r"out.tif: \d+ blocks in \d+\.\d s, \d x \w+\n", result.stdout)
    np.testing.assert_array_equal(read(tmp_path / "out.tif"), (read(grid) * 2 + 1) * 10)
    assert leftovers(tmp_path) == []


@pytest.mark.slow
def test_every_step_has_its_option(prepare: Any, grid: Path, write_vector: Any, tmp_path: Path) -> None:
    layer = write_vector([shapely.box(-95, 35, -85, 45)])
    options = [
        *("--focal", "gaussian:1.5", "--focal", "median:3", "--mask", layer, "--mask", f"{layer}:outside"),
        *("--expression", "where(isnan(b1), 7, b1)", "--convert", "mm:inch", "--convert", "cm"),
        *("--reclassify", "0:1=5,else=keep", "--resample", "0.5,0.25", "--resample", grid),
        *("--reproject", "EPSG:5070@50000", "--resampling", "nearest", "--hillshade", "--slope=percent:2"),
        *("--accumulate", "sum", "--long-name", "All", "--units", "1", "--cog", "--dtype", "float64", "-j", "1"),
    ]
    result = prepare(tmp_path, grid, "-o", "out.tif", *options)
    assert (result.returncode, result.stderr) == (0, "")
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert (dataset.crs.to_epsg(), dataset.res, dataset.dtypes[0]) == (5070, (50_000, 50_000), "float64")
        assert (dataset.descriptions, dataset.units) == (("All",), ("1",))
        assert np.isfinite(dataset.read()).any()


def test_a_crs_can_contain_an_at_sign(prepare: Any, grid: Path, tmp_path: Path) -> None:
    mercator = "+proj=merc +a=6378137 +b=6378137 +lat_ts=0 +lon_0=0 +units=m +nadgrids=@null +wktext +no_defs"
    for text, side in ((mercator, None), (f"{mercator}@200000", 200_000)):
        result = prepare(tmp_path, grid, "-o", "out.tif", "--reproject", text)
        assert (result.returncode, result.stderr) == (0, "")
        with rasterio.open(tmp_path / "out.tif") as dataset:
            assert dataset.crs.is_projected
            assert side is None or dataset.res == (side, side)


def test_masks_use_the_named_layer_and_optionally_touched_cells(
    prepare: Any, grid: Path, write_vector: Any, tmp_path: Path
) -> None:
    path = write_vector([shapely.box(-95.4, 35.6, -90, 40)], name="areas.gpkg", layer="small")
    write_vector([shapely.box(-100, 30, -70, 50)], name="areas.gpkg", layer="large", append=True)
    counts = []
    for more in ([], ["--all-touched"]):
        result = prepare(tmp_path, grid, "-o", "out.tif", "--mask", path, "--layer", "small", *more)
        assert (result.returncode, result.stderr) == (0, "")
        counts.append(np.isfinite(read(tmp_path / "out.tif")).sum())
    assert counts == [5 * 4, 6 * 5]
    result = prepare(tmp_path, grid, "-o", "out.tif", "--mask", path, "--layer", "none")
    assert "areas.gpkg: there is no layer 'none'" in result.stderr


def test_a_second_run_does_nothing_unless_forced(prepare: Any, grid: Path, tmp_path: Path) -> None:
    arguments = [grid, "-o", "out.tif", "--focal", "mean:3"]
    assert prepare(tmp_path, *arguments).returncode == 0
    before = (tmp_path / "out.tif").stat()
    result = prepare(tmp_path, *arguments)
    assert re.fullmatch(r"out.tif: unchanged in \d+\.\d s\n", result.stdout)
    after = (tmp_path / "out.tif").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert "blocks" in prepare(tmp_path, *arguments, "--force").stdout
    assert "blocks" in prepare(tmp_path, grid, "-o", "out.tif", "--focal", "mean:5").stdout


@pytest.mark.slow
def test_more_inputs_than_open_files_are_allowed_can_be_read(write_raster: Any, tmp_path: Path) -> None:
    files = [write_raster(np.full((4, 4), 1.0), name=f"hour{n}.tif") for n in range(60)]
    command = [sys.executable, "-m", "regionplot", "prepare", *files, "-o", "out.tif", "--accumulate", "sum"]
    limited = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (50, 50))
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, preexec_fn=limited)
    assert (result.returncode, result.stderr) == (0, "")
    assert (read(tmp_path / "out.tif") == 60).all()


def test_quiet_prints_nothing_without_errors(prepare: Any, grid: Path, tmp_path: Path) -> None:
    result = prepare(tmp_path, "-q", grid, "-o", "out.tif", "--slope")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


REFUSED = {
    "no such input": (3, ["none.tif", "--slope"], r"there is no file .*none.tif"),
    "input is no raster": (3, ["text.csv", "--slope"], r"text.csv: cannot be read as a raster"),
    "no output folder": (2, ["dem.tif", "-o", "no/out.tif", "--slope"], r"there is no folder .*no"),
    "no output": (2, ["dem.tif", "--slope"], r"Missing option '-o'"),
    "attack": (2, ["dem.tif", "--expression", "b1.__class__.__base__"], r"--expression b1.*: formula: .*is not a band"),
    "import": (
        2,
        ["dem.tif", "--expression", "__import__('os').system('touch x')"],
        r"--expression __import__.*: formula: ",
    ),
    "no such band": (2, ["dem.tif", "--slope", "--expression", "b2"], r"step 2 \(expression\): .*there is no b2"),
    "bad kind": (2, ["dem.tif", "--focal", "meen:3"], r"--focal meen:3: kind: .*\(it is 'meen'\)"),
    "bad size": (2, ["dem.tif", "--focal", "mean:big"], r"--focal mean:big: size: must be a whole number"),
    "even size": (2, ["dem.tif", "--focal", "mean:4"], r"--focal mean:4: .*odd number"),
    "no such mask": (3, ["dem.tif", "--mask", "none.shp:outside"], r"--mask none.shp:outside: path: there is no file"),
    "bad rule": (2, ["dem.tif", "--reclassify", "1"], r"--reclassify 1: '1' is not a rule"),
    "bad units": (2, ["dem.tif", "--convert", "mm:second"], r"convert mm:second"),
    "bad CRS": (2, ["dem.tif", "--reproject", "EPSG:1"], r"step 1 \(reproject\): 'EPSG:1' is not a CRS"),
    "bad how": (2, ["dem.tif", "--accumulate", "product"], r"--accumulate product: how: "),
    "bad dtype": (2, ["dem.tif", "--slope", "--dtype", "text"], r"'text' is not a data type of cells"),
    "no nodata": (2, ["dem.tif", "--slope", "--dtype", "int16"], r"nodata nan is not a value of int16"),
    "too many parts": (2, ["dem.tif", "--scale", "1:2:3"], r"--scale 1:2:3: .*more than 2 parts"),
    "size that is no file": (2, ["dem.tif", "--reproject", "EPSG:5070@none.tif"], r"'EPSG:5070@none.tif' is not a CRS"),
    "no mask for a layer": (2, ["dem.tif", "--slope", "--layer", "a"], r"--layer changes --mask, but"),
    "no mask to touch": (2, ["dem.tif", "--slope", "--all-touched"], r"--all-touched changes --mask, but"),
    "no other grid": (2, ["dem.tif", "--slope", "--resampling", "nearest"], r"--resampling changes --resample or"),
    "hillshade without =": (2, ["dem.tif", "--hillshade", "315:45"], r"no file 315:45; .* --hillshade=315:45"),
    "slope without =": (2, ["dem.tif", "--slope", "percent"], r"no file percent; .* --slope=percent"),
    "bad workers": (2, ["dem.tif", "--slope", "-j", "none"], r"--workers: 'none'"),
}


@pytest.mark.parametrize(("code", "arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_each_error_gives_one_clear_message(
    prepare: Any, code: int, arguments: list[str], message: str, grid: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.csv").write_text("a,b\n1,2\n")
    output = [] if "-o" in arguments or message.startswith("Missing") else ["-o", "out.tif"]
    result = prepare(tmp_path, *arguments, *output)
    assert result.returncode == code, result.stderr
    assert re.search(message, result.stderr), result.stderr
    assert len(re.findall(r"^(regionplot|Error): ", result.stderr, re.MULTILINE)) == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == [grid.name, "text.csv"]


@pytest.mark.parametrize(
    "steps", [["--scale", "2"], ["--resample", "2"], ["--accumulate", "sum"], ["--expression", "b1 + cut.b1"]]
)
def test_a_truncated_input_is_named_in_one_line(
    prepare: Any, write_raster: Any, tmp_path: Path, steps: list[str]
) -> None:
    whole = write_raster(np.random.default_rng(1).random((300, 300), "float32"), name="whole.tif")
    cut = tmp_path / "cut.tif"
    rasterio.shutil.copy(whole, cut)  # in a copy, the TIFF directory comes before the cells
    cut.write_bytes(cut.read_bytes()[:200_000])
    inputs = [whole, cut] if steps[0] in ("--accumulate", "--expression") else [cut]
    result = prepare(tmp_path, *inputs, "-o", "out.tif", *steps)
    assert result.returncode == 3, result.stderr
    assert re.fullmatch(r"regionplot: .*cut\.tif: cannot be read: .*\n", result.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_ends_the_command_and_the_old_output_stays(
    number: signal.Signals, start_command: Any, write_raster: Any, tmp_path: Path
) -> None:
    random = np.random.default_rng(1)
    large = write_raster(
        random.normal(size=(3000, 3000)).astype("float32"), Affine(1e-3, 0, 0, 0, -1e-3, 0), name="l.tif"
    )
    (tmp_path / "out.tif").write_bytes(b"the old one")
    process = start_command(tmp_path, "prepare", "-v", large, "-o", "out.tif", "--focal", "median:31", "-j", "2")
    while not leftovers(tmp_path):  # until the output file exists
        assert process.poll() is None
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert f"ended by {number.name}: out.tif is not written" in errors
    assert (tmp_path / "out.tif").read_bytes() == b"the old one"
    assert leftovers(tmp_path) == []


@pytest.mark.usefixtures("grid")
def test_a_config_with_steps_prepares_the_raster_and_draws_maps(run_command: Any, tmp_path: Path) -> None:
    (tmp_path / "regionplot.toml").write_text(
        '[raster]\npath = "dem.tif"\n[[prepare]]\nstep = "hillshade"\n[map]\nsize = [300, 200]\n'
    )
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\na,-98,-75,33,48\n")
    result = run_command(tmp_path, "regions.csv", "--profile")
    assert (result.returncode, result.stderr) == (0, "")
    assert re.search(r"^prepare +\d", result.stdout, re.MULTILINE)
    (kept,) = (tmp_path / "cache").rglob("dem.tif")
    before = kept.stat()
    assert "0 maps drawn, 1 unchanged" in run_command(tmp_path, "regions.csv").stdout
    assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    (tmp_path / "regionplot.toml").write_text('[raster]\npath = "dem.tif"\n[[prepare]]\nstep = "focal"\nsize = 2\n')
    result = run_command(tmp_path, "regions.csv")
    assert result.returncode == 2
    assert re.search(
        r"regionplot.toml:\d+: \[\[prepare\]\] #1: focal mean: size 2 must be an odd number", result.stderr
    )


def test_help_names_every_step(run_command: Any, prepare: Any, tmp_path: Path) -> None:
    text = prepare(tmp_path, "--help").stdout
    assert all(f"--{step}" in text for step in ("expression", "focal", "mask", "hillshade", "reproject", "accumulate"))
    assert "prepare INPUTS... -o OUT" in run_command(tmp_path, "--help").stdout
