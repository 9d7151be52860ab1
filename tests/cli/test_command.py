"""Test what the command draws, prints and refuses, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from contextlib import chdir
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psutil
import pytest
import shapely
from affine import Affine

import regionplot
from regionplot.cli import commands, render_once
from regionplot.cli.render import render
from regionplot.cli.request import Request
from regionplot.registry import LAYERS, STEPS, WRITERS
from regionplot.runs import lock
from regionplot.settings.config import section_names, settings_of
from regionplot.settings.loading import read_config
from regionplot.settings.output import FORMATS
from regionplot.settings.plugins import layer_settings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of POSIX")

COMMAND = [sys.executable, "-m", "regionplot"]
CONFIG = '[raster]\npath = "sample:relief"\n[map]\nsize = [300, 200]\n'
TABLE = "name,west,east,south,north,title\neast,-84.5,-75.3,33.8,36.7,East\nwest,-124,-114,33,42,West\n"
MANY = "name,west,east,south,north\n" + "".join(f"r{i},{-125 + i},{-80 + i / 2},25,50\n" for i in range(50))
OUTSIDE = "outside,100,110,-30,-20,Outside\n"


@pytest.fixture
def folder(tmp_path):
    """Return a folder with settings for small maps and a table of two regions."""
    (tmp_path / "regionplot.toml").write_text(CONFIG)
    (tmp_path / "regions.csv").write_text(TABLE)
    return tmp_path


@pytest.fixture
def long_run(folder):
    """Return a folder with 50 regions, which keep one worker busy for some seconds."""
    run = '\n[[features]]\npath = "sample:counties"\n[run]\nworkers = 1\nmaps_per_worker = 1000\nretries = 0\n'
    (folder / "regionplot.toml").write_text(CONFIG.replace("[300, 200]", "[1400, 900]") + run)
    (folder / "regions.csv").write_text(MANY)
    return folder


def run_process(folder, *arguments, **options):
    """Run the command in a new process."""
    options = {"cwd": folder, "capture_output": True, "text": True, "timeout": 100, "encoding": "utf-8", **options}
    return subprocess.run([*COMMAND, *map(str, arguments)], **options)


def images(folder, output="output"):
    return sorted(path.stem for path in (folder / output).rglob("*.png") if not path.name.startswith("."))


def leftovers(folder):
    hidden = (path for path in folder.rglob("*") if path.name.endswith(".tmp") or path.name.startswith("."))
    return [path for path in hidden if path.name != lock.NAME]


def wait_until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.01)
    return result


def alive(processes):
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_a_plain_run_prints_each_map_and_a_summary(folder):
    result = run_process(folder, "regions.csv")
    assert (result.returncode, result.stderr) == (0, "")
    first, second, last = result.stdout.splitlines()
    assert re.fullmatch(r"\[1/2\] output/(east|west)\.png \d+ ms", first)
    assert re.fullmatch(r"\[2/2\] output/(east|west)\.png \d+ ms", second)
    assert re.fullmatch(r"2 maps drawn in \d+\.\d s, in output; settings: regionplot.toml", last)
    assert images(folder) == ["east", "west"]
    assert not leftovers(folder)


@pytest.mark.parametrize("quiet", [True, False])
def test_failures_go_to_stderr_and_the_other_maps_are_drawn(run_command, quiet, folder):
    (folder / "regions.csv").write_text(TABLE + OUTSIDE)
    result = run_command(folder, "regions.csv", *["-q"] * quiet)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("regionplot: regions.csv:4: outside: ")
    assert ("2 maps drawn, 1 failed" in result.stdout) != quiet
    assert images(folder) == ["east", "west"]


def test_quiet_prints_nothing_without_errors(run_command, folder):
    result = run_command(folder, "-q", "regions.csv")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert images(folder) == ["east", "west"]


HEADER = TABLE.splitlines()[0] + "\n"
REFUSED = {
    "missing raster": (3, {"--raster": "none.tif"}, CONFIG, TABLE, "there is no file .*none.tif"),
    "raster is no raster": (3, {"--raster": "regions.csv"}, CONFIG, TABLE, "regions.csv: cannot be read as a raster"),
    "missing table": (2, {}, CONFIG, None, "regions.csv: No such file"),
    "empty table": (2, {}, CONFIG, "", "no regions: the file is empty"),
    "header only": (2, {}, CONFIG, HEADER, "no regions: the table has no rows"),
    "bad bound": (2, {}, CONFIG, HEADER + "a,-84,nan,33,36,A\n", r"regions.csv:2: column 'east': 'nan' is not"),
    "unknown key": (2, {}, CONFIG + "dip = 90\n", TABLE, r"regionplot.toml:5: \[map\] dip: .*did you mean 'dpi'"),
    "not TOML": (2, {}, "[raster", TABLE, "regionplot.toml:1: not valid TOML"),
    "missing config": (2, {"--config": "none.toml"}, CONFIG, TABLE, "none.toml: No such file"),
    "bad projection": (2, {}, CONFIG + 'projection = "flat"\n', TABLE, r"\[map\] projection: .*flat"),
    "bad colormap": (2, {}, CONFIG + '[colors]\ncolormap = "mud"\n', TABLE, "colormap.*mud"),
    "bad workers": (2, {"--workers": "many"}, CONFIG, TABLE, "--workers many: must be a whole number or"),
    "bad timeout": (2, {"--timeout": "-1"}, CONFIG, TABLE, "--timeout -1.0: must be greater than 0"),
    "bad method": (2, {"--start-method": "teleport"}, CONFIG, TABLE, "Invalid value for '--executor'"),
    "unknown option": (2, {"--speed": "11"}, CONFIG, TABLE, "No such option:? '?--speed'?"),
    "nothing matches": (2, {"--only": "north*"}, CONFIG, TABLE, "no region's name matches 'north\\*'"),
    "no config": (2, {}, None, TABLE, "no settings: .*--config FILE or --raster PATH, or run regionplot init"),
    "output is a file": (2, {"--output": "regions.csv"}, CONFIG, TABLE, "regions.csv: maps cannot be written there"),
}


@pytest.mark.parametrize(("code", "options", "config", "table", "message"), REFUSED.values(), ids=REFUSED)
def test_each_error_gives_one_clear_message(run_command, code, options, config, table, message, tmp_path):
    for name, text in (("regionplot.toml", config), ("regions.csv", table)):
        if text is not None:
            (tmp_path / name).write_text(text)
    result = run_command(tmp_path, "regions.csv", *[word for option in options.items() for word in option])
    assert result.returncode == code, result.stderr
    assert re.search(message, result.stderr), result.stderr
    assert len(re.findall(r"^(regionplot|Error): ", result.stderr, re.MULTILINE)) == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert not list(tmp_path.rglob("*.png"))


def test_a_raster_alone_is_enough(run_command, tmp_path):
    (tmp_path / "regions.csv").write_text(HEADER + "east,-84.5,-75.3,33.8,36.7,East\n")
    result = run_command(tmp_path, "regions.csv", "--raster", "sample:relief")
    assert (result.returncode, result.stderr) == (0, "")
    assert images(tmp_path) == ["east"]


def test_the_config_beside_the_table_comes_before_the_working_directory(run_command, folder, tmp_path):
    below = tmp_path / "below"
    below.mkdir()
    (below / "regions.csv").write_text(TABLE)
    assert run_command(folder, "below/regions.csv", "--only", "east").returncode == 0
    assert (images(folder), (below / "output").exists()) == (["east"], False)
    (below / "regionplot.toml").write_text(CONFIG)
    assert run_command(folder, "below/regions.csv", "--only", "west").returncode == 0
    assert (images(folder), images(below)) == (["east"], ["west"])


@pytest.mark.slow
def test_options_override_the_config(run_command, folder):
    (folder / "regionplot.toml").write_text(CONFIG.replace("sample:relief", "none.tif") + "[run]\nworkers = 7\n")
    options = "-v -o maps/new -j 1 --start-method spawn --only w* --only x* --timeout 50 --features sample:states"
    result = run_command(folder, *options.split(), "--raster", "sample:relief", "regions.csv")
    assert result.returncode == 0, result.stderr
    assert images(folder, "maps/new") == ["west"]
    assert not (folder / "output").exists()


@pytest.mark.parametrize(
    ("options", "settings", "method", "cluster"),
    [
        ("--executor fork", 'scheduler = "tcp://127.0.0.1:1"', "fork", "None"),
        ("--executor auto", 'scheduler_file = "old.json"', "auto", "None"),
        ("--start-method serial", 'executor = "dask"\nscheduler = "local"', "serial", "None"),
        ("--executor dask", 'scheduler = "tcp://127.0.0.1:1"', "dask", "tcp://127.0.0.1:1"),
        ("--executor dask", 'executor = "fork"', "dask", "None"),
        ("--scheduler tcp://127.0.0.1:2", 'scheduler_file = "old.json"', "dask", "tcp://127.0.0.1:2"),
        ("--scheduler tcp://127.0.0.1:2", 'start_method = "fork"', "dask", "tcp://127.0.0.1:2"),
        ("--scheduler new.json", 'scheduler = "tcp://127.0.0.1:1"', "dask", "new.json"),
        ("--scheduler local", 'scheduler = "tcp://127.0.0.1:1"', "dask", "None"),
    ],
)
def test_options_replace_all_keys_that_choose_the_executor(options, settings, method, cluster, folder, monkeypatch):
    """Otherwise `--executor fork` and a scheduler in the file exclude each other."""
    monkeypatch.chdir(folder)
    (folder / "regionplot.toml").write_text(f"{CONFIG}[run]\n{settings}\n")
    for name in ("old.json", "new.json"):
        (folder / name).write_text("{}")
    parsed = render.make_context("render", ["regions.csv", *options.split()]).params
    run = Request.from_options(**{key: value for key, value in parsed.items() if key != "watch"}).config().run
    assert run.method == method
    assert str(run.cluster).endswith(cluster)


@pytest.mark.parametrize("command", [(), ("cost",)])
def test_a_run_uses_the_executor_of_the_options_not_the_scheduler_of_the_file(command, run_command, folder):
    (folder / "regionplot.toml").write_text(CONFIG + '[run]\nscheduler = "tcp://127.0.0.1:1"\n')
    result = run_command(folder, *command, "regions.csv", "--start-method", "serial")
    assert result.returncode == 0, result.stderr


def test_init_writes_working_files_and_overwrites_none(run_command, tmp_path):
    result = run_command(tmp_path, "init", "new")
    assert (result.returncode, result.stderr) == (0, "")
    assert "regionplot new/regions.csv" in result.stdout
    config, table = tmp_path / "new" / "regionplot.toml", tmp_path / "new" / "regions.csv"
    assert table.is_file()
    assert (tmp_path / "new" / "regionplot.schema.json").is_file()
    small = config.read_text(encoding="utf-8").replace("size = [1400, 900]", "size = [300, 200]")
    config.write_text(small, encoding="utf-8")
    again = run_command(tmp_path, "init", "new")
    assert again.returncode == 2
    assert re.search("regionplot.toml and .*regions.csv: existing files are not overwritten", again.stderr)
    assert config.read_text(encoding="utf-8") == small
    drawn = run_command(tmp_path, "new/regions.csv", "--only", "c*")
    assert (drawn.returncode, drawn.stderr) == (0, "")
    assert images(tmp_path / "new") == ["california", "colorado", "conus"]


def test_the_command_prints_its_version_and_help(run_command, tmp_path):
    assert run_command(tmp_path, "--version").stdout.split()[-1] == regionplot.__version__
    for arguments in (["--help"], ["-h"], []):
        result = run_command(tmp_path, *arguments)
        text = result.stdout + result.stderr
        for word in ("[OPTIONS] REGIONS", "--config", "--raster", "--start-method", "init", "Exit codes: 0"):
            assert word in text
        assert result.returncode in ((0,) if arguments else (0, 2))


def test_help_imports_no_large_library_and_a_run_only_its_own_command():
    code = """
import sys
from regionplot.cli import commands
commands.run(sys.argv[1:])
print(*sys.modules)
"""
    large = {"matplotlib", "numpy", "pandas", "pydantic", "rasterio", "rich", "xarray"}
    for argument, absent in (("--help", large), ("none.csv", {"regionplot.cli.init", "regionplot.cli.prepare"})):
        result = subprocess.run([sys.executable, "-c", code, argument], capture_output=True, text=True, check=True)
        assert not absent & set(result.stdout.split()), argument


@pytest.fixture
def start(long_run, start_command):
    """Start the command on the 50 regions and wait for its first maps; return it and its workers."""

    def run():
        with (long_run / "out.txt").open("w") as out, (long_run / "err.txt").open("w") as err:
            command = start_command(long_run, "regions.csv", stdout=out, stderr=err)
        wait_until(lambda: len(images(long_run)) >= 2 or command.poll() is not None)
        return command, psutil.Process(command.run_pid).children()

    return run


@pytest.mark.slow
def test_a_killed_worker_fails_one_map(start, long_run):
    """A worker that is killed between two maps fails no map. Therefore workers are killed until a map fails."""
    (long_run / "regions.csv").write_text("\n".join(MANY.splitlines()[:21]))
    command, _ = start()

    def reported():
        return "SIGKILL" in (long_run / "err.txt").read_text() or command.poll() is not None

    while not reported():
        before = len(images(long_run))
        for worker in psutil.Process(command.run_pid).children():
            worker.kill()
        wait_until(lambda before=before: reported() or len(images(long_run)) > before + 1)
    assert command.wait(100) == 1
    (line,) = (long_run / "err.txt").read_text().splitlines()
    region = re.fullmatch(r"regionplot: regions\.csv:\d+: (r\d+): the worker was killed by SIGKILL.*", line)[1]
    assert set(images(long_run)) | {region} == {f"r{i}" for i in range(20)}
    assert len(images(long_run)) >= 19
    assert "19 maps drawn, 1 failed" in (long_run / "out.txt").read_text()
    assert not leftovers(long_run)


@pytest.mark.parametrize(
    ("name", "code", "whole_group"), [("SIGINT", 130, True), ("SIGTERM", 143, False), ("SIGHUP", 129, False)]
)
def test_a_signal_ends_the_run_and_cleans_up(name, code, whole_group, start, long_run):
    command, workers = start()
    assert len(workers) == 1
    (os.killpg if whole_group else os.kill)(command.pid, getattr(signal, name))
    assert command.wait(60) == code
    assert not alive(workers)
    error = (long_run / "err.txt").read_text()
    drawn, left = map(
        int, re.fullmatch(rf"regionplot: ended by {name}: (\d+) of 50 maps drawn, (\d+) not run\n", error).groups()
    )
    assert drawn + left == 50
    assert drawn <= len(images(long_run)) <= drawn + 1 < 50
    assert not leftovers(long_run)


@pytest.mark.slow
def test_nohup_is_respected(folder):
    shell = ["sh", "-c", f"trap '' HUP; exec {shlex.join(COMMAND)} regions.csv"]
    (folder / "regions.csv").write_text(MANY)
    with subprocess.Popen(shell, cwd=folder, stdout=subprocess.DEVNULL, start_new_session=True) as command:
        wait_until(lambda: len(images(folder)) >= 2)
        os.killpg(command.pid, signal.SIGHUP)
        assert command.wait(100) == 0
    assert len(images(folder)) == 50


def test_a_signal_before_the_run_gives_its_exit_code(monkeypatch, capsys):
    monkeypatch.setattr(render_once, "set_up", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    assert commands.run(["regions.csv"]) == 143
    assert signal.getsignal(signal.SIGTERM) is before
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("redirection", [">&-", ">&- 2>&-", "<&- >&- 2>&-", "> /dev/full"])
def test_the_run_completes_with_closed_or_full_streams(redirection, folder):
    result = subprocess.run(
        ["sh", "-c", f"exec {shlex.join(COMMAND)} regions.csv {redirection}"],
        cwd=folder,
        timeout=100,
        capture_output=True,
    )
    assert (result.returncode, result.stderr) == (0, b"")
    assert images(folder) == ["east", "west"]


def test_the_run_completes_when_the_reader_of_stdout_exits(start_command, long_run):
    (long_run / "regionplot.toml").write_text(CONFIG)
    command = start_command(long_run, "regions.csv")
    assert command.stdout.readline().startswith("[1/50]")
    command.stdout.close()
    assert command.stderr.read() == ""
    assert command.wait(10) == 0
    assert len(images(long_run)) == 50


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{}, {"PYTHONIOENCODING": "ascii"}])
def test_the_c_locale_does_not_break_names_or_messages(environment, folder):
    table = HEADER + "Zürich_Οία,-84.5,-75.3,33.8,36.7,Ærøskøbing – naïve\nŁódź,100,110,-30,-20,Ł\n"
    (folder / "regions.csv").write_text(table, encoding="utf-8")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    result = run_process(folder, "regions.csv", env={**clean, "LC_ALL": "C", **environment})
    assert result.returncode == 1
    assert images(folder) == ["Zürich_Οία"]
    ascii_only = bool(environment)
    assert ("Z\\xfcrich" if ascii_only else "Zürich_Οία") in result.stdout
    assert ("\\u0141\\xf3d\\u017a" if ascii_only else "Łódź") in result.stderr
    assert "Traceback" not in result.stderr


def test_a_terminal_shows_a_bar_failures_and_a_table(start_command, folder):
    (folder / "regions.csv").write_text(TABLE + OUTSIDE)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
    with open(theirs, "w") as terminal:  # noqa: PTH123 (a descriptor)
        command = start_command(folder, "regions.csv", stdout=terminal, stderr=terminal, environment=environment)
    seen = b""
    try:
        while chunk := os.read(ours, 65536):
            seen += chunk
    except OSError:  # Linux reports the end of a terminal as an error
        pass
    finally:
        os.close(ours)
    assert command.wait(60) == 1
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    for pattern in (
        "loading",
        r"drawing .*\d/3",
        "regionplot: regions.csv:4: outside: ",
        r"drawn +2\b",
        r"failed +1\b",
    ):
        assert re.search(pattern, text), text
    assert re.search(r"time +\d+\.\d s, .* maps/s, \d × fork", text), text
    assert re.search(r"folder +output\s", text), text
    assert "Traceback" not in text


ROOT = Path(__file__).parents[2]
STARTER = ROOT / "regionplot" / "cli" / "starter"


def test_config_in_the_repository_is_the_starter():
    ours, starter = ((place / "regionplot.toml").read_text(encoding="utf-8") for place in (ROOT / "config", STARTER))
    assert ours == starter.replace('directory = "output"', 'directory = "../output"').replace(
        "#:schema ", "#:schema ../regionplot/settings/"
    )
    assert ours != starter
    assert (ROOT / "config" / "regions.csv").read_bytes() == (STARTER / "regions.csv").read_bytes()


def _commented():
    """Yield the section, key and value of each commented-out key of the starter."""
    section = ""
    for line in (STARTER / "regionplot.toml").read_text(encoding="utf-8").splitlines():
        if header := re.match(r"(?:# )?\[+([\w.]+)", line):
            section = header[1]
        elif section != "prepare" and re.match(r"# \w+ = ", line):
            ((key, value),) = tomllib.loads(line.removeprefix("# ")).items()
            yield section, key, value


LISTS = {"layers", "prepare", *(name for name in LAYERS if layer_settings(name).is_array)}
EXAMPLES = {  # keys without a default
    "variable", "crs", "prepared", "vmin", "vmax", "classes", "inputs", "diverging", "colors", "stops", "file", "units",
    "ticks", "draw", "decorate", "load", "time", "level", "member", "levels", "distance", "label_color", "light_color",
    "table", "minus", "panels", "panel_title", "above", "min_valid", "min_value", "max_value", "when", "on_published",
    "tracks", "scheduler_file", "asset", "valid_time",
}  # fmt: skip
WITHOUT_DEFAULT = {"band", "norm"}  # the default depends on the raster


@pytest.mark.parametrize(("section", "key", "value"), list(_commented()))
def test_commented_values_of_the_starter_are_the_defaults(section, key, value):
    field = settings_of(section, {}).model_fields[key]
    default = field.get_default(call_default_factory=True)
    if field.is_required() or (section, key) == ("locator", "layer"):
        assert value
    elif key in EXAMPLES | WITHOUT_DEFAULT:
        assert default in (None, {})
    else:
        assert (list(default) if isinstance(default, tuple) else default) == value


def test_starter_mentions_every_key():
    text = (STARTER / "regionplot.toml").read_text(encoding="utf-8")
    written = {
        (section, key) for section, table in tomllib.loads(text).items() if section not in LISTS for key in table
    }
    names = [*section_names(), *(f"output.{name}" for name in WRITERS)]
    sections = {name: settings_of(name, {}) for name in names if name not in LISTS}
    known = {(name, key) for name, section in sections.items() for key in section.model_fields} - {("output", FORMATS)}
    known -= {(name, "show") for name in sections}  # all layers have this key
    assert written | {(section, key) for section, key, _ in _commented() if section not in LISTS} == known


def test_the_step_in_the_starter_is_valid():
    text = (STARTER / "regionplot.toml").read_text(encoding="utf-8")
    step = re.search(r"# \[\[prepare\]\]\n((?:# .*\n)+)", text)[1]
    config = read_config({"raster": {"path": "sample:relief"}, "prepare": [tomllib.loads(re.sub("(?m)^# ", "", step))]})
    assert config.prepare[0].kind == "gaussian"
    assert all(kind in step for kind in STEPS)


def test_profile_prints_the_time_of_each_stage(run_command, folder):
    result = run_command(folder, "regions.csv", "-q", "--profile", "--no-cache")
    assert result.returncode == 0, result.stderr
    stages = [line.split()[0] for line in result.stdout.splitlines() if line]
    assert stages[:6] == ["the", "check", "load", "compare", "draw", "a"]
    assert sorted(stages[6:]) == ["clip", "compare", "compose", "sample", "stroke", "write"]


def test_a_title_without_glyphs_prints_nothing(run_command, folder):
    (folder / "regions.csv").write_text("name,west,east,south,north,title\na,-100,-90,40,45,\u96ea\n", encoding="utf-8")
    result = run_command(folder, "regions.csv", "-q")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert images(folder) == ["a"]


@pytest.mark.parametrize(("method", "loads"), [("fork", 1), ("spawn", 2)])
def test_verbose_prints_the_processes_that_load_the_data(run_command, folder, method, loads):
    result = run_command(folder, "regions.csv", "-v", "-j2", "--start-method", method)
    assert result.returncode == 0, result.stderr
    found = re.findall(r"process (\d+) loaded the shared data in [\d.]+ s", result.stderr)
    assert 1 <= len(found) <= loads
    assert len(set(found)) == len(found)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep the working directory")
@pytest.mark.parametrize("arguments", [["{table}"], ["prepare", "grid.tif", "-o", "out.tif", "--hillshade"]])
def test_a_removed_working_directory_is_reported_in_one_line(arguments, folder, tmp_path, capfd):
    gone = tmp_path / "gone"
    gone.mkdir()
    with chdir(gone):
        gone.rmdir()
        code = commands.run([argument.format(table=folder / "regions.csv") for argument in arguments])
    assert (code, capfd.readouterr().err) == (
        3,
        "regionplot: the working directory has been removed; change to another folder\n",
    )


@pytest.mark.skipif(sys.platform != "linux", reason="guards need Linux")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_during_the_imports_is_reported_in_one_line(name, code, folder):
    """Libraries turn an interrupt during their import into other errors."""
    with subprocess.Popen([*COMMAND, "regions.csv"], cwd=folder, stderr=subprocess.PIPE, text=True) as command:
        while not (children := Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text()):
            time.sleep(0.001)
        assert children, "the guard has started the command"
        time.sleep(0.1)
        command.send_signal(getattr(signal, name))
        error = command.communicate(timeout=30)[1]
    assert (command.returncode, error.count("\n")) == (code, 1)
    assert error.startswith(f"regionplot: ended by {name}")


def test_a_second_run_in_the_same_folder_is_refused(run_command, start_command, long_run):
    """The message names the first run, which continues."""
    first = start_command(long_run, "regions.csv")
    assert first.stdout.readline().startswith("[1/50]")
    second = run_command(long_run, "regions.csv")
    assert second.returncode == 4
    assert re.search(rf"output: process {first.run_pid} on \S+ \(started \d+ s ago\) is drawing", second.stderr)
    assert second.stdout == ""
    first.terminate()
    assert first.wait(20) == 143
    document = json.loads((long_run / "output" / "manifest.json").read_text())
    assert document["run"]["exit_code"] == 143
    assert document["run"]["counts"]["not run"] > 0


def test_unchanged_maps_are_kept_and_reported(run_command, folder):
    run_command(folder, "regions.csv")
    image = folder / "output" / "east.png"
    before = (image.stat().st_mtime_ns, image.stat().st_ino)
    again = run_command(folder, "regions.csv")
    assert "[1/2] output/east.png unchanged" in again.stdout
    assert "0 maps drawn, 2 unchanged in" in again.stdout
    assert (image.stat().st_mtime_ns, image.stat().st_ino) == before
    assert "2 maps drawn in" in run_command(folder, "regions.csv", "--force").stdout


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Pacific/Apia"])
def test_maps_and_times_are_the_same_in_every_time_zone(start_command, folder, zone):
    for name in ("UTC", zone):
        command = start_command(
            folder, "regions.csv", "-o", name.replace("/", "_"), environment={**os.environ, "TZ": name}
        )
        assert command.wait(60) == 0
    for image in ("east.png", "west.png"):
        assert (folder / "UTC" / image).read_bytes() == (folder / zone.replace("/", "_") / image).read_bytes()
    run = json.loads((folder / zone.replace("/", "_") / "manifest.json").read_text())["run"]
    assert abs(datetime.fromisoformat(run["ended"]) - datetime.now(UTC)) < timedelta(minutes=2)
    assert run["ended"].endswith("+00:00")


def test_the_check_reads_the_regions_as_the_maps_do(run_command, tmp_path, write_raster):
    """The check ignored `[regions]`, and had no options for the features of a vector file."""
    write_raster(np.arange(1200, dtype=np.float32).reshape(30, 40), Affine(0.1, 0, -100, 0, -0.1, 50))
    features = [
        {
            "type": "Feature",
            "properties": {"code": code},
            "geometry": shapely.geometry.mapping(shapely.box(-99, south, -97, 49)),
        }
        for code, south in (("a", 48), ("b", 47.5))
    ]
    (tmp_path / "regions.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    (tmp_path / "regionplot.toml").write_text('[raster]\npath = "grid.tif"\n[regions]\nname_field = "code"\n')

    def check(*options):
        result = run_command(tmp_path, "check", "regions.geojson", *options)
        return result.returncode, result.stdout + result.stderr

    assert check()[0] == 0
    assert check("--where", "code = 'a'", "--margin", "10%")[0] == 0
    assert check("--where", "code = 'c'") == (
        2,
        "regionplot: regions.geojson: no regions: no feature meets the condition \"code = 'c'\"\n",
    )
    assert "--where code = 'a'; b: ';' ends the condition" in check("--where", "code = 'a'; b")[1]
    assert check("--margin", "x")[1].startswith("regionplot: --margin x: 'x' is not a margin")
    assert "there is no column 'nome'" in check("--name-field", "nome")[1]
