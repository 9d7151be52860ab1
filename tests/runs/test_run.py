"""A whole run: checks, shared data, maps and the report."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from affine import Affine

from regionplot import read_config, read_regions
from regionplot.errors import ConfigError, ExecutorError, OutputError, RegionsError
from regionplot.executors.base import Failure, Outcome
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.runs import lock, manifest
from regionplot.runs.execute import stop_when_disk_full
from regionplot.runs.jobs import Job, MapResult, PreviousMap
from regionplot.runs.run import render_regions
from regionplot.runs.task import RenderTask
from regionplot.shared.data import SharedData
from regionplot.shared.load import check_inputs

# the timeout uses a signal, because fork is refused in a program with threads
pytestmark = pytest.mark.timeout(120, method="signal")

EAST = Region("east", Extent(-84.5, -75.3, 33.8, 36.7), origin="regions.csv:2")
WEST = Region("west", Extent(-124, -114, 33, 42), origin="regions.csv:3")
NORTH = Region("north", Extent(-110, -90, 40, 50), origin="regions.csv:4")
OUTSIDE = Region("outside", Extent(100, 110, -30, -20), origin="regions.csv:5")
SMALL = {"size": [300, 200]}
RUN = {"start_method": "serial"}


_WARNINGS = """
import sys, warnings
sys.warnoptions.append("error::UserWarning")  # processes that are started by the script inherit it
warnings.simplefilter("error", UserWarning)
"""


@pytest.fixture
def run_script(start_command, tmp_path):
    """Run a script in another process, which has imported the libraries, and return its output."""

    def run(text, *arguments, code=0):
        path = tmp_path / "script.py"
        path.write_text(_WARNINGS + text)
        command = start_command(tmp_path, *arguments, script=path)
        result = SimpleNamespace(**dict(zip(("stdout", "stderr"), command.communicate(100), strict=True)))
        assert command.returncode == code, result.stdout + result.stderr
        return result

    return run


@pytest.fixture
def _never_loaded(monkeypatch):
    monkeypatch.setattr(SharedData, "load", lambda _config: pytest.fail("nothing should have been loaded"))


def _draw_by(method, folder):
    """Draw maps by `method:workers`, or by `method:workers:products`, into a folder of this name."""
    name, workers, *several = method.split(":")
    second = {"map": {"title": "{product}"}, "output": {"filename": "second/{name}.png"}}
    products = {"first": {"output": {"filename": "{name}.png"}}, "second": second}
    config = read_config({
        **({"products": products} if several else {}),
        "raster": {"path": "sample:relief", "resampling": "bilinear"}, "features": [{"path": "sample:states"}],
        "map": {"style": "plain", "size": [300, 200], "projection": {"name": "LambertConformal"}},
        "output": {"directory": folder / f"{name}-{workers}"},
        "run": {"start_method": name, "workers": int(workers), "maps_per_worker": 3 if name == "fork" else 100},
    })  # fmt: skip
    report = render_regions(read_regions(folder / "regions.csv"), config)
    assert (report.start_method, report.workers, report.exit_code) == (name, int(workers), 0), report


_EACH_METHOD = f"""
import sys
from pathlib import Path
from regionplot import read_config, read_regions, render_regions

{inspect.getsource(_draw_by)}

if __name__ == "__main__":
    for method in sys.argv[1:]:
        _draw_by(method, Path())
"""


def test_every_start_method_gives_the_same_bytes(run_script, tmp_path):
    table = "name,west,east,south,north\n" + "".join(f"r{i},{-120 + 5 * i},{-110 + 5 * i},30,40\n" for i in range(7))
    (tmp_path / "regions.csv").write_text(table)
    here, elsewhere = (
        ["serial:1", "fork:1", "fork:3", "forkserver:2:products", "threads:3"],
        ["spawn:1:products", "dask:1:products"],
    )
    for method in here:
        _draw_by(method, tmp_path)
    run_script(_EACH_METHOD, *elsewhere)  # dask is the last, because it leaves a thread
    folders = sorted(path for path in tmp_path.iterdir() if path.is_dir())
    assert len(folders) == len(here) + len(elsewhere)
    images = [{path.name: path.read_bytes() for path in folder.glob("*.png")} for folder in folders]
    assert sorted(images[0]) == [f"r{i}.png" for i in range(7)]
    assert len(set(images[0].values())) == 7
    assert all(other == images[0] for other in images[1:])
    second = [{path.name: path.read_bytes() for path in folder.glob("*.png")} for folder in tmp_path.glob("*/second")]
    assert (len(second), len(second[0])) == (3, 7), "forkserver, spawn and dask draw two products"
    assert second[0] == second[1] == second[2]


_THREADS = """
import sys, threading, warnings
import matplotlib
from regionplot import Extent, Region, read_config, render_regions

if __name__ == "__main__":
    matplotlib.rcParams["font.size"] = 31  # not the default, so that each map must change it
    matplotlib.rcParams["text.hinting"] = "native"
    before = dict(matplotlib.rcParams), warnings.filters[:]
    regions = [Region(f"r{i}", Extent(-120 + i, -110 + i, 30, 40), title="A title, drawn unhinted") for i in range(12)]
    for method, workers in [("serial", 1), ("threads", 6)]:
        config = read_config({
            "raster": {"path": "sample:relief"}, "features": [{"path": "sample:states"}], "map": {"size": [200, 150]},
            "output": {"directory": method}, "run": {"start_method": method, "workers": workers},
        })
        sys.setswitchinterval(1e-6)
        report = render_regions(regions, config)
        assert (report.start_method, report.workers, len(report.drawn)) == (method, workers, 12), report
        assert (dict(matplotlib.rcParams), warnings.filters[:]) == before
        assert threading.active_count() == 1
        again = render_regions(regions, config)
        assert len(again.unchanged) == 12, again
"""


def test_many_threads_draw_the_same_bytes_and_leave_the_host_program_as_it_was(run_script, tmp_path):
    run_script(_THREADS)
    serial, threads = ({path.name: path.read_bytes() for path in (tmp_path / name).glob("*.png")}
                       for name in ("serial", "threads"))  # fmt: skip
    assert len(serial) == 12
    assert threads == serial


def test_a_failed_region_affects_no_other_and_the_report_is_in_order(make_config, tmp_path):
    regions = [OUTSIDE, WEST, EAST]
    report = render_regions(regions, make_config(map=SMALL, run=RUN))
    assert [outcome.job.region for outcome in report.outcomes] == regions
    assert [outcome.ok for outcome in report.outcomes] == [False, True, True]
    assert report.failed[0].failure.cause == "NoOverlapError"
    assert report.exit_code == 1
    assert str(report).startswith("2 maps drawn, 1 failed in ")
    assert {path.name for path in (tmp_path / "maps").iterdir()} == {"east.png", "west.png", lock.NAME, manifest.NAME}


@pytest.mark.parametrize(
    ("only", "expected"),
    [(["*st"], ["east", "west"]), (["north", "e*"], ["east", "north"]), ([], ["east", "west", "north"])],
)
def test_only_accepts_globs(only, expected, make_config):
    report = render_regions([EAST, WEST, NORTH], make_config(map=SMALL, run=RUN), only=only)
    assert [outcome.job.name for outcome in report.drawn] == expected


def test_equal_names_with_different_files_are_both_reported(make_config):
    twins = [dataclasses.replace(region, name="twin", attributes={"id": region.name}) for region in (EAST, OUTSIDE)]
    report = render_regions(twins, make_config(map=SMALL, run=RUN, output={"directory": "x", "filename": "{id}.png"}))
    assert [outcome.job.region for outcome in report.outcomes] == twins
    assert [outcome.ok for outcome in report.outcomes] == [True, False]


@pytest.fixture(autouse=True)
def _working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_never_loaded")
@pytest.mark.parametrize(
    ("regions", "sections", "error", "message"),
    [
        ([EAST, dataclasses.replace(WEST, name="EAST")], {}, RegionsError, r"regions.csv:3: 'EAST' and 'east' .*csv:2"),
        ([], {}, RegionsError, "no regions"),
        ([EAST], {"output": {"filename": "{state}.png"}}, ConfigError, r"filename: there is no field 'state'"),
        ([EAST], {"map": {"title": "{nothing}"}}, ConfigError, r"title: there is no field 'nothing'; .*long_name"),
        ([EAST], {"map": {"projection": "EPSG:1"}}, ConfigError, r"\[map\] projection"),
        ([EAST], {"colors": {"colormap": "mud"}}, ConfigError, "mud"),
        (
            [EAST],
            {"map": {"size": [16_384, 900]}, "output": {"directory": "x", "filename": "{name}.webp"}},
            ConfigError,
            r"\[map\] size: 16384 x 900 is more than the 16,383 pixels per side that webp can store",
        ),
        ([EAST], {"output": {"directory": "occupied"}}, OutputError, "occupied: maps cannot be written there"),
        ([EAST], {"output": {"directory": "occupied/below"}}, OutputError, "below: maps cannot be written there"),
    ],
)
def test_wrong_settings_are_reported_before_anything_is_loaded(
    regions, sections, error, message, make_config, tmp_path
):
    (tmp_path / "occupied").touch()
    with pytest.raises(error, match=message):
        render_regions(regions, make_config(**sections))


def test_only_without_a_match_is_an_error(make_config):
    with pytest.raises(RegionsError, match="'x\\*' or 'y'"):
        render_regions([EAST], make_config(), only=["x*", "y"])


def test_all_wrong_settings_are_reported_together(make_config):
    config = make_config(map={"title": "{a}", "projection": "nowhere"}, output={"filename": "{b}.png"})
    with pytest.raises(ConfigError) as caught:
        render_regions([EAST], config)
    assert len(caught.value.problems) == 3


def test_loaded_data_is_not_loaded_again(load, monkeypatch, tmp_path):
    shared = load(map=SMALL, run=RUN)
    monkeypatch.setattr(SharedData, "load", lambda _config: pytest.fail("it is loaded already"))
    assert render_regions([EAST], shared).exit_code == 0
    assert (tmp_path / "maps" / "east.png").is_file()


_HOST = """
import multiprocessing, os, signal, threading, warnings
import matplotlib
import rioxarray  # also imports scipy, which sets its own warning filters, and dask
from regionplot import Extent, ExecutorError, Region, read_config, render_regions

def state():
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    return handlers, dict(matplotlib.rcParams), dict(os.environ), warnings.filters[:], threading.active_count(), \
        multiprocessing.get_start_method(), os.getcwd()

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    stop = threading.Event()
    threading.Thread(target=stop.wait).start()
    signal.signal(signal.SIGTERM, lambda *_: None)
    matplotlib.rcParams["lines.linewidth"] = 7
    try:
        sections = {"raster": {"path": "sample:relief"}, "map": {"size": [300, 200]}}
        regions = [Region("a", Extent(-84, -75, 33, 36)), Region("b", Extent(100, 110, -30, -20))]
        before = state()
        report = render_regions(regions, read_config(sections))
        assert report.start_method == "forkserver", report
        assert (len(report.drawn), len(report.failed)) == (1, 1), report
        assert state() == before
        render_regions(regions, read_config({**sections, "run": {"start_method": "serial"}}))
        assert state() == before
        try:
            render_regions(regions, read_config({**sections, "run": {"start_method": "fork"}}))
        except ExecutorError:
            print("refused")
    finally:
        stop.set()
"""


def test_a_host_program_with_threads_is_not_changed(run_script):
    assert run_script(_HOST).stdout == "refused\n"


_UNGUARDED = """
import sys
from regionplot import Extent, Region, read_config, render_regions

config = read_config({
    "raster": {"path": "sample:relief"}, "map": {"size": [300, 200]},
    "run": {"start_method": sys.argv[1], "workers": 2},
})
render_regions([Region(f"r{i}", Extent(-84.5, -75.3, 33.8, 36.7)) for i in range(4)], config)
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_script_without_main_guard_gets_one_error_that_names_the_guard(run_script, method):
    result = run_script(_UNGUARDED, method, code=1)
    assert result.stderr.count("Traceback") == 1
    assert 'put the call under the line if __name__ == "__main__":' in result.stderr.splitlines()[-1]


@pytest.mark.skipif(sys.platform == "win32", reason="bash gives the pipe a name")
@pytest.mark.slow
def test_a_script_from_a_pipe_can_use_a_data_process(tmp_path):
    command = ["bash", "-c", 'exec "$0" <(cat) forkserver', sys.executable]
    done = subprocess.run(command, input=_UNGUARDED, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")


_SHARING = """
import logging, os, sys, threading, time
import psutil
from regionplot import Extent, Region, read_config, render_regions

logging.basicConfig(format="%(message)s", stream=sys.stderr)
logging.getLogger("regionplot").setLevel(logging.INFO)

def opened(pid):
    return [file.path for file in psutil.Process(pid).open_files() if file.path.endswith(".tif")]

class Watch:
    def started(self, jobs, workers, method):  # a fork inherits all files that are open now
        print("parent", psutil.Process().memory_full_info().uss >> 20, len(opened(os.getpid())))
    def finished(self, outcome):
        assert outcome.ok, outcome.failure
        memory = psutil.Process(outcome.pid).memory_full_info()
        print(outcome.pid, memory.uss >> 20, len(opened(outcome.pid)))

if __name__ == "__main__":
    if sys.argv[2] != "fork":
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    config = read_config({
        "raster": {"path": sys.argv[1]}, "map": {"size": [300, 200]},
        "run": {"start_method": sys.argv[2], "workers": 2, "maps_per_worker": 50, "memory": 1000},
    })
    regions = [Region(f"r{i}", Extent(-175 + 12 * i, -150 + 12 * i, 5 * i - 25, 5 * i + 40)) for i in range(8)]
    render_regions(regions, config, observer=Watch())
"""


def _measured(result):
    """Return the lines of the script as (process, private MB, open rasters), and the processes that loaded data."""
    lines = [line.split() for line in result.stdout.splitlines()]
    loads = re.findall(r"process (\d+) loaded the shared data", result.stderr)
    return [(who, int(megabytes), int(rasters)) for who, megabytes, rasters in lines], loads


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_workers_share_one_large_grid(method, run_script, tmp_path):
    """The grid takes 250 MB, each worker less than 40 MB, and no GDAL handle crosses the fork."""
    import rasterio

    size = {"width": 5700, "height": 11000, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
    tiles = {"tiled": True, "compress": "deflate", "sparse_ok": True, "transform": Affine(0.02, 0, -180, 0, -0.01, 80)}
    with rasterio.open(tmp_path / "large.tif", "w", driver="GTiff", **size, **tiles) as file:
        file.write(np.full((512, 512), 7, np.float32), 1, window=rasterio.windows.Window(0, 0, 512, 512))
    (parent, *workers), loads = _measured(run_script(_SHARING, "large.tif", method))
    assert parent[0] == "parent"
    assert (parent[1] > 225) == (method == "fork")
    assert len(workers) == 8
    assert max(megabytes for _, megabytes, _ in workers) < 40
    assert not any(rasters for _, _, rasters in [parent, *workers])
    assert len(loads) == 1
    assert loads[0] not in {who for who, _, _ in workers}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_spawned_workers_load_once_each(run_script):
    (_parent, *workers), loads = _measured(run_script(_SHARING, "sample:relief", "spawn"))
    assert {who for who, _, _ in workers} <= set(loads)
    assert len(set(loads)) == len(loads) <= 2


def test_fork_is_refused_in_a_program_with_threads(make_config, monkeypatch):
    monkeypatch.setattr("threading.active_count", lambda: 2)
    with pytest.raises(ExecutorError, match="unsafe"):
        render_regions([EAST], make_config(run={"start_method": "fork"}))


def _outcomes(text: str) -> list[Outcome[Job]]:
    """Outcomes by letter: `f` is a full disk, `e` another error, `s` a success."""
    failures = {"f": Failure("NoSpaceError", "full"), "e": Failure("RegionError", "bad"), "s": None}
    job = Job(EAST, "east.png")
    return [Outcome(job, None if failures[letter] else MapResult(job.target, 1), failures[letter]) for letter in text]


@pytest.mark.parametrize(
    ("outcomes", "taken"),
    [("ffff", 3), ("sfffs", 4), ("ffsffs", 6), ("ffeffe", 6), ("ffsfff", 6), ("ffsffsfffss", 9), ("ssss", 4), ("", 0)],
)
def test_three_consecutive_disk_full_errors_stop_a_run(outcomes, taken):
    assert len(list(stop_when_disk_full(_outcomes(outcomes)))) == taken


def test_jobs_are_small_when_pickled(make_config):
    """For each map, a worker receives only a job. A pickled task does not contain its loaded data."""
    previous = PreviousMap(Path("/folder/of/maps/latest/northern_rockies.png"), "0" * 32, 100_000, "0" * 64)
    job = Job(dataclasses.replace(EAST, attributes={"state": "x" * 20}), str(previous.path), previous, "0" * 32)
    assert len(pickle.dumps(job)) < 1200
    config = make_config(map=SMALL)
    task = RenderTask(config, "run", check_inputs(config, [EAST]), 1)
    before = len(pickle.dumps(task))
    task.load()
    assert len(pickle.dumps(task)) == before < 8000
