"""Test the command as cron and systemd start it: late rasters, deadlines, metrics, and the example units."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from regionplot.cli import draw_maps
from regionplot.inputs import arrival
from regionplot.runs import lock, manifest
from regionplot.sample import locate

ROOT = Path(__file__).parents[2]
RASTER = locate("relief")
CONFIG = '[raster]\npath = "data/relief_{run:%Y}*.tif"\nsettle = 3600\ncycle = 24\n[map]\nsize = [300, 200]\n'
TABLE = "name,west,east,south,north\neast,-84.5,-75.3,33.8,36.7\nwest,-124,-114,33,42\n"
YEAR = time.strftime("%Y", time.gmtime())


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "regionplot.toml").write_text(CONFIG)
    (tmp_path / "regions.csv").write_text(TABLE)
    (tmp_path / "data").mkdir()
    return tmp_path


LOGGED = ("regions.csv", "--log-file", "run.log", "--metrics", "run.prom")


@pytest.fixture
def start(start_command, folder):
    """Start the command, with a log and metrics."""
    return lambda *arguments: start_command(folder, *LOGGED, *arguments)


@pytest.fixture
def run(run_command, folder):
    """Run the command with a log and metrics."""

    def run_to_end(*arguments):
        result = run_command(folder, *LOGGED, *arguments)
        return result.returncode, result.stdout, result.stderr

    return run_to_end


def wait_for_line(path, text, seconds=60.0):
    end = time.monotonic() + seconds
    while not (path.exists() and text in path.read_text()):
        assert time.monotonic() < end, f"{text!r} is not in {path} in time"
        time.sleep(0.01)


def has_exited(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def assert_gone(group, seconds=10.0):
    """Wait until no process of a group is left. The resource tracker of Python ends shortly after the command."""
    end = time.monotonic() + seconds
    while not has_exited(group):
        assert time.monotonic() < end, "processes are left"
        time.sleep(0.01)


def put(folder, name, age=0.0):
    """Add a complete raster, atomically."""
    hidden = folder / "data" / f".{name}"
    shutil.copyfile(RASTER, hidden)
    then = time.time() - age
    os.utime(hidden, (then, then))
    hidden.replace(folder / "data" / name)


def images(folder):
    """Return the names of all files in the output folder, except the lock and the manifest."""
    return sorted({path.name for path in (folder / "output").rglob("*")} - {lock.NAME, manifest.NAME})


def metrics(folder):
    families = text_string_to_metric_families((folder / "run.prom").read_text())
    samples = [sample for family in families for sample in family.samples]
    return {" ".join([s.name, *s.labels.values()]).removeprefix("regionplot_"): s.value for s in samples}


@pytest.mark.slow
def test_the_run_waits_for_a_late_raster(start, folder):
    command = start("-q", "--wait-for", "60")
    wait_for_line(folder / "run.log", f"waiting for {folder}/data/relief_{YEAR}*.tif, at most 60 s")
    with pytest.raises(subprocess.TimeoutExpired):
        command.wait(0.5)
    put(folder, f"relief_{YEAR}.tif", age=7200)
    assert (*command.communicate(timeout=60), command.returncode) == ("", "", 0)
    assert images(folder) == ["east.png", "west.png"]
    assert metrics(folder)["stage_seconds wait"] > 0.5
    assert metrics(folder)["run_duration_seconds"] > metrics(folder)["stage_seconds wait"]


def test_the_run_waits_for_a_growing_raster(start, folder):
    probe = folder / "probe"
    probe.write_bytes(b"x")
    if not arrival.has_no_writer(probe):
        pytest.skip("leases are not to be had here")
    command = start("-q", "--wait-for", "60")
    content = RASTER.read_bytes()
    with (folder / "data" / f"relief_{YEAR}.tif").open("wb") as file:
        file.write(content[: len(content) // 2])
        file.flush()
        wait_for_line(folder / "run.log", "waiting for")
        with pytest.raises(subprocess.TimeoutExpired):
            command.wait(1)
        file.write(content[len(content) // 2 :])
    assert (*command.communicate(timeout=60), command.returncode) == ("", "", 0)
    assert images(folder) == ["east.png", "west.png"]


def test_the_wait_for_a_missing_raster_ends(run, folder):
    code, out, err = run("-q", "--wait-for", "0.3")
    assert (code, out) == (3, "")
    assert (
        err == f"regionplot: {folder}/data/relief_{YEAR}*.tif: no complete file after 0.3 s: the file does not exist\n"
    )
    found = metrics(folder)
    assert (found["exit_code"], found["regions rendered"], found["last_success_timestamp_seconds"]) == (3, 0, 0)
    assert "ended with exit code 3" in (folder / "run.log").read_text().splitlines()[-1]


def test_the_wait_for_an_endlessly_growing_raster_ends(run, folder):
    with (folder / "data" / f"relief_{YEAR}.tif").open("wb") as file:
        file.write(b"II*\0")
        file.flush()
        code, _, err = run("-q", "--wait-for", "0.3")
    assert code == 3
    assert f"no complete file after 0.3 s: {folder}/data/relief_{YEAR}.tif is still growing (4 bytes)" in err


def test_a_wait_is_printed(run, folder):
    code, out, _ = run("--wait-for", "0.1")
    assert (code, out) == (3, f"waiting for {folder}/data/relief_{YEAR}*.tif, at most 0.1 s\n")


def test_the_newest_match_is_drawn(run, folder):
    put(folder, f"relief_{YEAR}_a.tif", age=7200)
    put(folder, f"relief_{YEAR}_z.tif", age=9999)
    (folder / "data" / f"relief_{YEAR}_b.tif.part").write_bytes(b"")
    assert run("-q")[0] == 0
    assert f"raster {folder}/data/relief_{YEAR}_a.tif, maps: 2" in (folder / "run.log").read_text()


def test_without_a_wait_a_pattern_without_a_match_is_a_missing_input(run, folder):
    code, _, err = run("-q", "--raster", "data/[ab]{run:%Y}.tif")
    assert (code, err) == (
        3,
        f"regionplot: --raster data/[ab]{{run:%Y}}.tif: nothing matches {folder}/data/[ab]{YEAR}.tif\n",
    )


@pytest.mark.parametrize(
    ("config", "table", "message"),
    [
        (CONFIG + "dip = 1\n", TABLE, "unknown key"),
        (CONFIG + '[colors]\ncolormap = "mud"\n', TABLE, "mud"),
        (CONFIG, "name,west\n", "regions.csv"),
        (CONFIG.replace("{run:%Y}", "{ran:%Y}"), TABLE, "only field"),
    ],
)
def test_errors_are_reported_before_the_wait(config, table, message, run, folder):
    (folder / "regionplot.toml").write_text(config)
    (folder / "regions.csv").write_text(table)
    code, _, err = run("-q", "--wait-for", "3000")
    assert (code, message in err) == (2, True)
    assert metrics(folder)["exit_code"] == 2


def test_a_missing_vector_file_is_reported_before_the_wait(run):
    code, _, err = run("-q", "--wait-for", "3000", "--features", "none.shp")
    assert (code, "there is no file" in err) == (3, True)


@pytest.mark.parametrize("option", ["--wait-for", "--deadline"])
@pytest.mark.parametrize("value", ["nan", "inf", "-1", "0", "soon"])
def test_times_must_be_positive_and_finite(option, value, run):
    code, _, err = run(option, value)
    assert (code, f"Invalid value for '{option}'" in err) == (2, True)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_the_wait(name, code, start, folder):
    command = start("-q", "--wait-for", "3000")
    wait_for_line(folder / "run.log", "waiting for")
    command.send_signal(getattr(signal, name))
    assert (*command.communicate(timeout=10), command.returncode) == (
        "",
        f"regionplot: ended by {name}: no map was started\n",
        code,
    )
    assert metrics(folder)["exit_code"] == code


def test_a_deadline_ends_the_wait_too(start, folder):
    command = start("-q", "--wait-for", "3000", "--deadline", "0.5")
    _, err = command.communicate(timeout=60)
    assert (command.returncode, err) == (1, "regionplot: the deadline of 0.5 s has passed: no map was started\n")
    assert metrics(folder)["run_duration_seconds"] < 60


@pytest.fixture
def slow_maps(folder):
    """Return a folder with more maps than can be drawn during a test."""
    config = '[raster]\npath = "sample:relief"\n[map]\nsize = [6000, 4000]\n[run]\nworkers = 1\n'
    (folder / "regionplot.toml").write_text(config)
    rows = [f"r{i},{-125 + i / 20},{-80 + i / 20},25,50" for i in range(300)]
    (folder / "regions.csv").write_text("\n".join(["name,west,east,south,north", *rows, ""]))
    return folder


def run_until_the_deadline(start, method, seconds):
    """Run with a deadline that falls among the maps: return it, the process and the message.

    A slow computer gets more time, so that the first map is drawn before the deadline.
    """
    for limit in (seconds, 4 * seconds, 16 * seconds):
        command = start("-q", "--deadline", limit, "--start-method", method)
        out, err = command.communicate(timeout=120)
        assert (command.returncode, out) == (1, "")
        if err != f"regionplot: the deadline of {limit} s has passed: no map was started\n":
            return limit, command, err
    raise AssertionError(f"no map was started within {limit} s")


@pytest.mark.slow
@pytest.mark.parametrize(("method", "seconds"), [("fork", 1), ("spawn", 3)])
def test_a_deadline_ends_a_run_and_cleans_up(method, seconds, start, slow_maps):
    seconds, command, err = run_until_the_deadline(start, method, seconds)
    message = rf"regionplot: the deadline of {seconds} s has passed: (\d+) of 300 maps drawn, (\d+) not run\n"
    drawn, left = map(int, re.fullmatch(message, err).groups())
    assert drawn + left == 300
    assert drawn <= len(images(slow_maps)) <= drawn + 1
    assert not [name for name in images(slow_maps) if not name.endswith(".png") or name.startswith(".")]
    assert_gone(command.pid)
    found = metrics(slow_maps)
    assert (found["exit_code"], found["regions rendered"], found["regions not_run"]) == (1, drawn, left)
    assert seconds <= found["run_duration_seconds"] < seconds + 12
    assert f"{drawn} of 300 maps drawn" in (slow_maps / "run.log").read_text().splitlines()[-2]


def test_a_run_within_its_deadline_is_not_changed(start, folder):
    command = start("-q", "--raster", "sample:relief", "--deadline", "100")
    assert (*command.communicate(timeout=60), command.returncode) == ("", "", 0)
    assert images(folder) == ["east.png", "west.png"]


def test_metrics_are_written_after_success_failure_and_early_errors(run, folder):
    assert run("-q", "--raster", "sample:relief") == (0, "", "")
    success = metrics(folder)
    assert success["bytes_written"] == sum(path.stat().st_size for path in (folder / "output").glob("*.png"))
    assert {"stage_seconds check", "stage_seconds load", "stage_seconds draw"} <= success.keys()
    assert success["peak_memory_bytes"] > 2**24
    with (folder / "regions.csv").open("a") as table:
        table.write("outside,100,110,-30,-20\n")
    assert run("-q", "--raster", "sample:relief")[0] == 1
    failure = metrics(folder)
    assert [failure[f"regions {state}"] for state in ("unchanged", "failed", "not_run")] == [2, 1, 0]
    assert run("-q", "--raster", "none.tif")[0] == 3
    nothing = metrics(folder)
    assert [nothing["exit_code"], nothing["regions rendered"], nothing["bytes_written"]] == [3, 0, 0]
    assert {found["last_success_timestamp_seconds"] for found in (success, failure, nothing)} == {
        success["last_run_timestamp_seconds"]
    }
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith((".", "run.prom"))) == ["run.prom"]


@pytest.mark.slow
def test_metrics_after_a_signal_count_maps_that_were_not_run(start, slow_maps):
    command = start("-q")
    wait_for_line(slow_maps / "run.log", "drawn: r")
    command.terminate()
    command.communicate(timeout=30)
    found = metrics(slow_maps)
    assert found["exit_code"] == command.returncode == 143
    assert found["regions rendered"] >= 1
    assert found["regions rendered"] + found["regions not_run"] == 300


def test_an_unexpected_error_is_logged_and_counted_in_the_metrics(run, folder, monkeypatch):
    """Otherwise, monitoring could not see that the run was started."""
    monkeypatch.setattr(draw_maps, "render_regions", None)
    code, _, err = run("-q", "--raster", "sample:relief")
    assert (code, metrics(folder)["exit_code"]) == (1, 1)
    assert "this is a bug in regionplot" in err
    assert "    | TypeError: 'NoneType' object is not callable" in (folder / "run.log").read_text()


def test_unwritable_metrics_end_the_run_before_it_starts(run_command, folder):
    result = run_command(folder, "regions.csv", "-q", "--raster", "none.tif", "--metrics", "none/run.prom")
    assert (result.returncode, result.stderr) == (
        2,
        "regionplot: none/run.prom: the metrics cannot be written: there is no folder none; create it\n",
    )


def installed(folder, name):
    """Return an example file, with the paths of the test's folder and of this environment."""
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "log").mkdir()
    text = (ROOT / "config" / name).read_text(encoding="utf-8")
    for place, ours in (
        ("/srv/maps", folder),
        ("/var/lib/node_exporter", folder),
        ("/var/log/regionplot", folder / "log"),
    ):
        text = text.replace(place, str(ours))
    return text


@pytest.mark.slow
def test_the_crontab_line_works_in_the_environment_of_cron(folder):
    put(folder, f"relief_{YEAR}.tif", age=7200)
    (line,) = [line for line in installed(folder, "crontab.example").splitlines() if re.match(r"[\d*]", line)]
    command = line.split(maxsplit=5)[5]
    assert "%" not in command, "cron makes an end of line of it"
    bare = ["env", "-i", f"HOME={folder}", "SHELL=/bin/sh", "LOGNAME=maps", "sh", "-c", command]
    result = subprocess.run(bare, cwd="/", capture_output=True, text=True, timeout=100)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert images(folder) == ["east.png", "west.png"]
    found = text_string_to_metric_families((folder / "regionplot.prom").read_text())
    assert {family.name: family.samples[0].value for family in found}["regionplot_exit_code"] == 0
    assert "exit code 0" in (folder / "run.log").read_text()


@pytest.mark.slow
def test_the_command_of_the_service_works(folder):
    put(folder, f"relief_{YEAR}.tif", age=7200)
    (start,) = re.findall("^ExecStart=(.*)$", installed(folder, "regionplot.service"), re.MULTILINE)
    result = subprocess.run(start.split(), cwd=folder, env={}, capture_output=True, text=True, timeout=100)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert images(folder) == ["east.png", "west.png"]
    assert "exit code 0" in (folder / "log" / "run.log").read_text()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")
def test_systemd_accepts_the_units(folder, tmp_path):
    (tmp_path / "regionplot.service").write_text(installed(folder, "regionplot.service"), encoding="utf-8")
    shutil.copy(ROOT / "config" / "regionplot.timer", tmp_path)
    units = [str(tmp_path / f"regionplot.{kind}") for kind in ("service", "timer")]
    result = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, ""), "an unknown key is a warning, and ignored"


def test_the_service_timeout_exceeds_the_deadline_and_the_deadline_the_wait(folder):
    text = installed(folder, "regionplot.service")
    wait, deadline, limit = (
        int(re.search(rf"{key}[ =](\d+)", text)[1]) for key in ("--wait-for", "--deadline", "TimeoutStartSec")
    )
    assert wait < deadline < limit < 3600
