"""Test damaged, missing, unusual and changing inputs, and output folders that cannot be written."""

from __future__ import annotations

import logging
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine
from PIL import Image
from small_runs import CONFIG, HEADER, TABLE, images, leftovers, pixels, run_light, run_process, with_raster

from regionplot.errors import FeaturesError, RasterError, RegionsError
from regionplot.executors.base import Outcome
from regionplot.inputs.vector_layers import load_layer
from regionplot.layers.features import FeatureSettings
from regionplot.regions.table import read_regions, read_regions_if_any
from regionplot.runs.jobs import Job
from regionplot.runs.report import Observer, RunReport
from regionplot.runs.run import render_regions
from regionplot.system import failpoints

LONLAT = {"crs": "EPSG:4326", "affine": Affine(0.05, 0, -125, 0, -0.05, 50)}
NOISE = np.random.default_rng(0).integers(0, 1000, (600, 1200)).astype(np.int16)
LEVELS = "[colors]\nlevels = [0, 250, 500, 750, 1000]\n"


def cut(part: float) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, int(path.stat().st_size * part))


def spoil(row: int) -> Callable[[Path], None]:
    """Return a function that overwrites the start of a compressed block. GDAL always detects this."""

    def overwrite(path: Path) -> None:
        with rasterio.open(path) as file:
            block = row // file.block_shapes[0][0]
            offset = int(file.get_tag_item(f"BLOCK_OFFSET_0_{block}", "TIFF", bidx=1))
        with path.open("r+b") as raw:
            raw.seek(offset)
            raw.write(b"\xff" * 8)

    return overwrite


DAMAGES = {"empty": (cut(0), "fork"), "half": (cut(0.5), "fork"), "block": (spoil(240), "spawn")}
"""Other damages are tested in `tests/inputs`."""


@pytest.mark.parametrize(("harm", "method"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_raster_exits_with_3_and_is_named(run, harm, method, write_raster, tmp_path: Path) -> None:
    path = write_raster(NOISE, LONLAT["affine"], compress="deflate")
    harm(path)
    result = run(tmp_path, "--start-method", method, config=with_raster(path))
    assert (result.returncode, result.stdout) == (3, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"regionplot: {path}: ")
    assert not images(tmp_path)


def test_a_damaged_block_fails_only_the_maps_that_show_it(run, write_raster, tmp_path: Path) -> None:
    """This holds if each map reads its own cells."""
    values = np.random.default_rng(0).integers(0, 1000, (1200, 1200)).astype(np.int16)
    path = write_raster(values, Affine(0.05, 0, -125, 0, -0.05, 70), compress="deflate", blockysize=1)
    spoil(900)(path)  # the preview reads every second row, but not this one
    table = f"{HEADER}north,-124,-115,53.8,56.7\nsouth,-75,-66,23.8,26.7\n"
    result = run(tmp_path, config=with_raster(path, section="memory = 1\n" + LEVELS), table=table)
    assert result.returncode == 1
    assert re.search(rf"csv:3: south: {re.escape(str(path))}: cannot be read as a raster", result.stderr)
    assert images(tmp_path) == ["north"]


@pytest.mark.parametrize("empty", ["note", "skip"])
def test_a_region_without_data_gets_a_note_or_no_map(run, empty: str, write_raster, tmp_path: Path) -> None:
    values = NOISE.copy()
    values[:, :600] = -1
    path = write_raster(values, LONLAT["affine"], nodata=-1)
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "west.png").write_text("older")
    config = with_raster(path).replace("[map]\n", f'[map]\nempty = "{empty}"\n')
    result = run(tmp_path, config=config, table=f"{HEADER}east,-84.5,-75.3,33.8,36.7\nwest,-124,-114,33,42\n")
    assert (result.returncode, result.stderr) == (0, "")
    kept = (tmp_path / "output" / "west.png").read_bytes() == b"older"
    assert kept == (empty == "skip")
    told = "output/west.png skipped: the region has no data" if kept else "output/west.png (no data)"
    assert told in result.stdout
    told = "1 map drawn, 1 skipped" if kept else "2 maps drawn, 1 without data"
    assert told in result.stdout


def test_a_region_outside_the_raster_is_reported_with_both_extents(run, tmp_path: Path) -> None:
    result = run(tmp_path, table=f"{TABLE}far,100,110,-30,-20\n")
    assert result.returncode == 1
    assert re.search(
        r"csv:4: far: the region \(x 100 to 110, y -30 to -20\) does not overlap the raster \(x -1\d\d", result.stderr
    )
    assert images(tmp_path) == ["east", "west"]


TABLES: dict[str, tuple[str | bytes, str]] = {
    "15 nan": (f"{HEADER}a,nan,1,0,1\n", r"csv:2: column 'west': 'nan' is not a finite number"),
    "15 inf": (f"{HEADER}a,0,1,0,inf\n", r"csv:2: column 'north': 'inf'"),
    "15 1e400": (
        f"{HEADER}a,0,1e400,0,1\n",
        r"csv:2: column 'east': '1e400' is not a finite number; the number is too large",
    ),
    "15 underscore": (f"{HEADER}a,0,1_0,0,1\n", r"csv:2: column 'east': '1_0'"),
    "15 digits": (f"{HEADER}a,0,\uff11,0,1\n", r"csv:2: column 'east': "),
    "16 south > north": (f"{HEADER}a,0,1,5,4\n", r"csv:2: column 'south': south 5 is greater than north 4"),
    "16 xmin > xmax": ("name,xmin,xmax,ymin,ymax\na,1,0,4,5\n", r"csv:2: column 'xmin': xmin 1 is greater than xmax 0"),
    "18 latitude": (f"{HEADER}a,0,1,5,91\n", r"csv:2: column 'north': 91 is not a latitude"),
    "18 area": (f"{HEADER}a,0,0,5,6\n", r"csv:2: column 'west': west 0 equals east 0"),
    "18 width": (f"{HEADER}a,-360,360,5,6\n", r"csv:2: column 'east': the region spans 720 degrees"),
    "19 names": (f"{HEADER}a,0,1,0,1\na,0,1,0,1\n", r"csv:3: the name 'a' is taken by 'a' on line 2"),
    "19 case": (f"{HEADER}\u00c5,0,1,0,1\na\u030a,0,1,0,1\n", r"csv:3: the name '.*' is taken by '\u00c5' on line 2"),
    "22 UTF-16": (TABLE.encode("utf-16"), r"csv: byte 0: the file is UTF-16; save it as UTF-8"),
    "22 Latin-1": (f"{HEADER}\u00e9,0,1,0,1\n".encode("latin-1"), r"csv: byte 27 is not UTF-8 \(a Latin-1"),
    "22 NUL": (f"{HEADER}a\0,0,1,0,1\n", r"csv: byte 28: a NUL byte"),
    "23 quote": (f'{HEADER}a,0,1,0,1\n"b,0,1,0,1\nc,0,1,0,1\n', r"csv:3: .*a quote left open"),
    "23 row": (f"{HEADER}a,0,1,0\n", r"csv:2: 4 fields, but the header has 5"),
    "23 header": (f"{TABLE}{HEADER}", r"csv:4: the header line is repeated here"),
    "23 field": (f"{HEADER}{'a' * 101_000},0,1,0,1\n", r"csv:2: a field has more than 100,000 characters"),
}


@pytest.mark.parametrize(("table", "message"), TABLES.values(), ids=TABLES)
def test_a_bad_table_is_refused_with_its_line_and_column(table: str | bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "regions.csv"
    path.write_bytes(table if isinstance(table, bytes) else table.encode())
    with pytest.raises(RegionsError, match=message):
        read_regions(path)


@pytest.mark.parametrize("name", ["16 south > north", "19 names", "22 Latin-1"])
def test_a_bad_table_exits_with_2_before_the_raster_is_read(run, name: str, tmp_path: Path) -> None:
    table, message = TABLES[name]
    result = run(tmp_path, table=table, config=CONFIG.replace("sample:relief", "regions.csv"))
    assert (result.returncode, result.stdout) == (2, "")
    assert re.search(message, result.stderr)


@pytest.mark.parametrize("table", ["", "\n", HEADER], ids=["empty", "blank", "header"])
def test_an_empty_table_is_an_error_unless_allowed(table: str, tmp_path: Path) -> None:
    (tmp_path / "regions.csv").write_text(table)
    with pytest.raises(RegionsError, match=r"regions.csv: no regions"):
        read_regions(tmp_path / "regions.csv")
    assert read_regions_if_any(tmp_path / "regions.csv") == []


def test_the_command_accepts_an_empty_table_with_allow_empty(run, tmp_path: Path) -> None:
    assert run(tmp_path, table=HEADER).returncode == 2
    result = run(tmp_path, "--allow-empty", table=HEADER)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "regions.csv: no regions, nothing to draw\n"
    assert run(tmp_path, "--allow-empty", "--only", "nowhere").returncode == 2, "the table is not empty"


def test_tables_with_other_separators_give_the_same_maps(run, tmp_path: Path) -> None:
    maps = []
    for name, table in (("plain", TABLE.encode()), ("other", _foreign(TABLE))):
        (tmp_path / name).mkdir()
        assert run(tmp_path / name, table=table).returncode == 0
        maps.append([(tmp_path / name / "output" / f"{image}.png").read_bytes() for image in ("east", "west")])
    assert maps[0] == maps[1]


def _foreign(table: str) -> bytes:
    """Return the table with a byte order mark, semicolons and Windows line ends."""
    return b"\xef\xbb\xbf" + table.replace(",", ";").replace("\n", "\r\n").encode()


def test_both_sides_of_the_antimeridian_are_drawn_without_a_seam(run, write_raster, tmp_path: Path) -> None:
    """The two sides have different classes, which must meet in one column of pixels."""
    values = np.repeat(np.where(np.arange(360) < 180, 1.0, 3.0)[None], 180, axis=0).astype(np.float32)
    path = write_raster(values, Affine(1, 0, -180, 0, -1, 90))
    section = '[colors]\nlevels = [0, 2, 4]\ncolormap = "gray"\n'
    config = with_raster(path, section=section).replace("[map]\n", '[map]\ntitle = ""\n')
    result = run(tmp_path, config=config, table=f"{HEADER}folded,170,-170,-10,10\nunfolded,170,190,-10,10\n")
    assert (result.returncode, result.stderr) == (0, "")
    folded, unfolded = (tmp_path / "output" / f"{name}.png" for name in ("folded", "unfolded"))
    assert folded.read_bytes() == unfolded.read_bytes()
    with Image.open(folded) as image:
        row = np.asarray(image.convert("L"))[100, 20:280]
    assert row[0] != row[-1]
    assert np.count_nonzero(np.diff(row.astype(int))) == 1
    assert abs(np.flatnonzero(np.diff(row.astype(int)))[0] - 130) <= 1


@pytest.mark.slow
def test_a_table_of_100_000_rows_needs_little_memory_and_stops_at_once(start_command, tmp_path: Path) -> None:
    few, _ = _interrupted_at_first_map(start_command, tmp_path / "few", 100)
    many, seconds = _interrupted_at_first_map(start_command, tmp_path / "many", 100_000)
    assert 0 < many - few < 100 * 2**20
    assert seconds < 2
    assert not leftovers(tmp_path)


def _interrupted_at_first_map(start_command, folder: Path, rows: int) -> tuple[int, float]:
    """Return the command's memory at its first map, and the seconds that Ctrl-C takes to end it.

    The seconds that it waits for a CPU are left out, because the tests share the machine.
    """
    folder.mkdir()
    (folder / "regionplot.toml").write_text(CONFIG.replace("[300, 200]", "[1400, 900]"))
    lines = (f"r{i},{-120 + i % 40},{-110 + i % 40},30,40\n" for i in range(rows))
    (folder / "regions.csv").write_text(HEADER + "".join(lines))
    command = start_command(folder, "-q", "regions.csv")
    while not images(folder):
        assert command.poll() is None
        time.sleep(0.01)
    run = command.run_pid
    used = psutil.Process(run).memory_info().rss  # with the pages that the workers share
    command.send_signal(signal.SIGINT)
    sent, before = time.monotonic(), _seconds_without_cpu(run)
    waited = before
    while command.poll() is None:
        waited = max(waited, _seconds_without_cpu(run))
        time.sleep(0.01)
    assert command.returncode == 130
    return used, time.monotonic() - sent - (waited - before)


def _seconds_without_cpu(pid: int) -> float:
    """Return the seconds for which a process was ready to run but had no CPU (proc(5), schedstat)."""
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    return 0.0


SHAPEFILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "25 empty": (cut(0), "layer.shp: the file is empty"),
    "25 cut": (cut(0.7), "layer.shp: the file is truncated"),
    "25 garbage": (lambda path: path.write_bytes(b"garbage" * 50), "layer.shp: cannot be read as vector data"),
    "26 shx": (lambda path: path.with_suffix(".shx").unlink(), "its .shx part is missing"),
    "26 dbf": (lambda path: path.with_suffix(".dbf").unlink(), "its .dbf part is missing"),
    "26 prj": (lambda path: path.with_suffix(".prj").unlink(), "layer.shp: the file has no CRS; set crs"),
}


@pytest.mark.parametrize(("harm", "message"), SHAPEFILES.values(), ids=SHAPEFILES)
def test_a_damaged_shapefile_is_refused_and_named(harm, message, write_vector) -> None:
    path = write_vector([shapely.box(-90, 30, -80, 40), shapely.box(-80, 30, -70, 40)])
    harm(path)
    with pytest.raises(FeaturesError, match=message):
        load_layer(FeatureSettings(path=path), pyproj.CRS.from_epsg(4326))


@pytest.mark.parametrize("name", ["25 cut", "26 shx"])
def test_a_damaged_shapefile_exits_with_3(run, name: str, write_vector, tmp_path: Path) -> None:
    path = write_vector([shapely.box(-90, 30, -80, 40), shapely.box(-80, 30, -70, 40)])
    harm, message = SHAPEFILES[name]
    harm(path)
    result = run(tmp_path, "--features", path)
    assert (result.returncode, result.stdout) == (3, "")
    assert message in result.stderr
    assert not images(tmp_path)


def test_bad_geometries_are_repaired_or_skipped_and_counted(run, write_vector, tmp_path: Path) -> None:
    bow_tie = shapely.Polygon([(-90, 30), (-80, 40), (-80, 30), (-90, 40), (-90, 30)])
    path = write_vector([bow_tie, None, shapely.box(-80, 30, -70, 40)])
    config = CONFIG + f'[[features]]\npath = "{path}"\nfacecolor = "red"\n'
    result = run(tmp_path, "-v", "--no-cache", config=config)
    assert result.returncode == 0
    assert f"{path}: skipped 1 feature without a geometry" in result.stderr


def test_vectors_in_another_crs_are_reprojected(run, write_vector, tmp_path: Path) -> None:
    box = shapely.segmentize(shapely.box(-82, 34, -78, 36), 0.01)
    project = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform
    for name, crs, shape in (("a", "EPSG:4326", box), ("b", "EPSG:3857", shapely.transform(box, _of(project)))):
        path = write_vector([shape], crs=crs, name=f"{name}.shp")
        assert run(tmp_path, "--only", "east", "--features", path, "-o", f"output/{name}").returncode == 0
    first, second = (np.asarray(Image.open(tmp_path / "output" / n / "east.png").convert("L"), int) for n in "ab")
    assert (abs(first - second) > 60).mean() < 0.001


def _of(project: Any) -> Callable[[Any], Any]:
    return lambda points: np.column_stack(project(*points.T))


def test_a_raster_without_a_crs_needs_one(run, write_raster, tmp_path: Path) -> None:
    path = write_raster(NOISE, LONLAT["affine"], crs=None)
    result = run(tmp_path, config=with_raster(path))
    assert result.returncode == 3
    assert f"{path}: the raster has no CRS; set crs" in result.stderr
    assert run(tmp_path, "--crs", "EPSG:4326", config=with_raster(path)).returncode == 0
    assert images(tmp_path) == ["east", "west"]


def test_a_south_up_raster_gives_the_maps_of_its_flip(run, write_raster, tmp_path: Path) -> None:
    affine = Affine(0.0625, 0, -128, 0, -0.0625, 50)  # exact in binary
    table = f"{HEADER}east,-84.513,-75.327,33.819,36.731\nwest,-124.07,-114.03,33.11,42.05\n"  # on no edge of a cell
    up = affine @ Affine.translation(0, 600) @ Affine.scale(1, -1)
    for name, values, placed in (("down", NOISE, affine), ("up", NOISE[::-1].copy(), up)):
        path = write_raster(values, placed, name=f"{name}.tif")
        config = with_raster(path, section='[colors]\nlabel = "a"\n')
        assert run(tmp_path, "-o", f"output/{name}", config=config, table=table).returncode == 0
    for name in ("east.png", "west.png"):
        down, up_image = (tmp_path / "output" / folder / name for folder in ("down", "up"))
        assert pixels(down) == pixels(up_image)


def test_a_rotated_raster_is_drawn_correctly(run, write_raster, tmp_path: Path) -> None:
    """Rotate a grid by 90 degrees, so that its western half becomes the southern half."""
    values = np.repeat(np.where(np.arange(40) < 20, 1.0, 3.0)[None], 40, axis=0).astype(np.float32)
    path = write_raster(values, Affine.translation(-100, 20) @ Affine.rotation(90) @ Affine.scale(1, -1))
    section = '[colors]\nlevels = [0, 2, 4]\ncolormap = "gray"\n'
    table = f"{HEADER}a,-98,-82,22,58\n"
    result = run(tmp_path, config=with_raster(path, section=section), table=table)
    assert (result.returncode, result.stderr) == (0, "")
    with Image.open(tmp_path / "output" / "a.png") as image:
        column = np.asarray(image.convert("L"))[:, 150]
    assert (column[45], column[110]) == (255, 0), "3 is white, and lies in the north"


FULL = "".join(f"r{number},{-124 + 5 * number},{-110 + 5 * number},22,48\n" for number in range(8))
ONE_WORKER = CONFIG.replace("workers = 2", "workers = 1")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield the folder of a separate file system of 1 MB."""
    (tmp_path / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path / "disk")]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here; the test with a limit of file sizes runs everywhere")
    yield tmp_path / "disk"
    subprocess.run(["umount", str(tmp_path / "disk")], check=True)


def assert_ended_for_want_of_space(result: Any, errno: str) -> None:
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    failed = [line for line in lines if re.search(rf"csv:\d: r\d: .*r\d.png: cannot be written: .*\({errno}\)", line)]
    assert len(failed) == 3
    others = [line for line in lines if line not in failed]
    assert re.search("the disk is full: 5 maps not drawn; free some space", others[0])
    assert all(re.search(r"manifest.json: cannot be written", line) for line in others[1:])
    assert "0 maps drawn, 3 failed, 5 not run" in result.stdout


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    assert not shutil.disk_usage(ballast.parent).free


def test_a_full_disk_ends_the_run_and_the_old_maps_stay(run, run_command, small_disk: Path) -> None:
    assert run(small_disk, config=ONE_WORKER, table=HEADER + FULL).returncode == 0
    old = {path: path.read_bytes() for path in (small_disk / "output").glob("*.png")}
    _fill(small_disk / "ballast")
    result = run_command(small_disk, "regions.csv", "--force")
    assert_ended_for_want_of_space(result, "ENOSPC")
    assert {path: path.read_bytes() for path in (small_disk / "output").glob("*.png")} == old


@pytest.mark.slow
def test_a_file_size_limit_ends_the_run_and_the_old_maps_stay(run, tmp_path: Path) -> None:
    assert run(tmp_path, config=ONE_WORKER, table=HEADER + FULL).returncode == 0
    old = {path: path.read_bytes() for path in (tmp_path / "output").glob("*.png")}
    limit = 2048
    assert min(map(len, old.values())) > limit
    result = run_process(
        tmp_path,
        "--force",
        config=ONE_WORKER,
        table=HEADER + FULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert_ended_for_want_of_space(result, "EFBIG")
    assert {path: path.read_bytes() for path in (tmp_path / "output").glob("*.png")} == old


@pytest.mark.parametrize("place", ["/proc/maps", "loop/maps"])
def test_an_unwritable_output_folder_is_reported_before_anything_is_loaded(run, place: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    result = run(tmp_path, "-o", place, config=CONFIG.replace("sample:relief", "regions.csv"))
    assert (result.returncode, result.stdout) == (2, ""), "3 would mean that the raster was read"
    assert f"{place}: maps cannot be written there: " in result.stderr


class After(Observer):
    """Observer that calls a function once, after the first map."""

    def __init__(self, do: Callable[[], object]) -> None:
        self._do: Callable[[], object] | None = do

    def finished(self, _: Outcome[Job]) -> None:  # type: ignore[override]
        if self._do is not None:
            self._do()
            self._do = None


@pytest.fixture
def render(make_config, tmp_path: Path) -> Callable[..., RunReport]:
    """Return a function that draws maps in workers and calls a function after the first map."""

    def draw(path: Path, do: Callable[[], object], method: str = "fork", **sections: Any) -> RunReport:
        (tmp_path / "regions.csv").write_text(HEADER + FULL)
        run = {"workers": 1, "start_method": method, "maps_per_worker": 3, **sections.pop("run", {})}
        colors = {"levels": [0, 250, 500, 750, 1000], "label": "a"}
        sections = {"raster": {"path": path}, "map": {"size": (300, 200)}, "colors": colors, "run": run, **sections}
        return render_regions(tmp_path / "regions.csv", make_config(**sections), force=True, observer=After(do))

    return draw


@pytest.mark.timeout(method="signal")
@pytest.mark.parametrize("method", ["fork", "serial"])
def test_a_removed_output_folder_is_not_created_again(method, render, write_raster, tmp_path: Path) -> None:
    path = write_raster(NOISE, LONLAT["affine"])
    output = {"directory": tmp_path / "maps", "filename": "{name}/map.png"}
    report = render(path, lambda: shutil.rmtree(tmp_path / "maps", ignore_errors=True), method, output=output)
    assert report.exit_code == 1
    assert len(report.outcomes) == 8
    assert len(report.failed) >= 6, "a worker may be drawing one map"
    assert all("No such file or directory" in outcome.failure.message for outcome in report.failed)
    assert not (tmp_path / "maps" / "r7").exists()


@pytest.mark.timeout(method="signal")
def test_a_raster_replaced_after_loading_is_drawn_as_loaded(
    render, write_raster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_raster(NOISE, LONLAT["affine"])
    other = write_raster(NOISE[::-1].copy(), LONLAT["affine"], name="other.tif")
    assert render(path, lambda: None).exit_code == 0
    before = {image: image.read_bytes() for image in (tmp_path / "maps").glob("*.png")}
    assert "the raster changed" not in caplog.text
    with caplog.at_level(logging.WARNING, "regionplot"):
        assert render(path, lambda: other.replace(path)).exit_code == 0
    assert {image: image.read_bytes() for image in before} == before
    assert f"{path}: the raster changed during the run" in caplog.text


@pytest.mark.timeout(method="signal")
@pytest.mark.parametrize("resampling", ["nearest", "bilinear"])
def test_a_raster_that_is_replaced_while_it_is_read_is_read_again(
    resampling: str, render, write_raster, tmp_path: Path
) -> None:
    path = write_raster(NOISE, LONLAT["affine"])
    other = write_raster(NOISE[::-1].copy(), LONLAT["affine"], name="other.tif")
    raster = {"path": path, "resampling": resampling}

    def replace(phase: str, _: str) -> None:
        if phase == "cells" and other.exists():
            other.replace(path)

    with failpoints.install(replace):
        assert render(path, lambda: None, raster=raster).exit_code == 0
    found = {image: image.read_bytes() for image in (tmp_path / "maps").glob("*.png")}
    assert render(path, lambda: None, raster=raster).exit_code == 0
    assert {image: image.read_bytes() for image in found} == found


@pytest.mark.timeout(method="signal")
def test_a_raster_that_is_written_to_while_it_is_read_ends_the_run(render, write_raster) -> None:
    path = write_raster(NOISE, LONLAT["affine"])
    hook = failpoints.install(lambda phase, _: os.utime(path) if phase == "cells" else None)
    with hook, pytest.raises(RasterError, match="input changed"):
        render(path, lambda: None)


@pytest.mark.timeout(method="signal")
@pytest.mark.parametrize("change", ["replaced", "cut"])
def test_a_raster_changed_during_the_run_fails_maps_that_read_it_later(change: str, render, write_raster) -> None:
    path = write_raster(NOISE, LONLAT["affine"])
    other = write_raster(NOISE[::-1].copy(), LONLAT["affine"], name="other.tif")
    harm = {"replaced": lambda: other.replace(path), "cut": lambda: os.truncate(path, 20_000)}[change]
    report = render(path, harm, run={"memory": 1}, colors={"vmin": 0, "vmax": 1})  # levels would be loaded
    messages = [outcome.failure.message for outcome in report.failed]
    assert len(messages) >= 6, "a worker may be drawing one map"
    pattern = "input changed" if change == "replaced" else "input changed|cannot be read as a raster"
    assert all(re.search(f"{re.escape(str(path))}: .*({pattern})|{pattern}", message) for message in messages)


HOMES: dict[str, dict[str, str | None]] = {
    "none": {"HOME": None},
    "read-only": {"HOME": "/proc", "XDG_CACHE_HOME": None, "XDG_CONFIG_HOME": None, "MPLCONFIGDIR": "/proc/nowhere"},
}


@pytest.mark.slow
@pytest.mark.parametrize("changes", HOMES.values(), ids=HOMES)
def test_an_unwritable_home_gives_one_warning_at_most(changes, light_process, tmp_path: Path) -> None:
    environment = {**os.environ, **{name: value for name, value in changes.items() if value is not None}}
    for name in [name for name, value in changes.items() if value is None]:
        environment.pop(name, None)
    result = run_light(light_process, tmp_path, "--features", "sample:states", environment=environment)
    assert result.returncode == 0
    assert len(result.stderr.splitlines()) <= 1
    assert images(tmp_path) == ["east", "west"]


@pytest.mark.slow
def test_the_backend_of_the_environment_does_not_matter(light_process, tmp_path: Path) -> None:
    result = run_light(light_process, tmp_path, environment={**os.environ, "MPLBACKEND": "nonsense"})
    assert (result.returncode, result.stderr) == (0, "")
    assert images(tmp_path) == ["east", "west"]


@pytest.mark.slow
def test_a_stale_lock_of_the_font_list_gives_one_warning_at_most(light_process, tmp_path: Path) -> None:
    import matplotlib.font_manager

    version = matplotlib.font_manager.FontManager.__version__
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / f"fontlist-v{version}.json.matplotlib-lock").touch()
    environment = {**os.environ, "MPLCONFIGDIR": str(tmp_path / "config")}
    result = run_light(light_process, tmp_path, environment=environment)
    assert result.returncode == 0
    assert len(result.stderr.splitlines()) <= 1
    assert images(tmp_path) == ["east", "west"]
