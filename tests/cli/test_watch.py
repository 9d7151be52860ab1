"""Test `--watch`: each new version of the raster is drawn, and errors do not end the command."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import rasterio
from affine import Affine
from warm_start import Command

from regionplot.cli import spawned
from regionplot.cli import watch as watch_module
from regionplot.cli.request import Request

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

CONFIG = """
[raster]
path = "data/grid_*.tif"
settle = 0.3
[map]
size = [300, 200]
[colors]
levels = [0, 50, 100, 150, 200, 256]
[[features]]
path = "sample:states"
[run]
workers = 2
"""
OPTIONS = {
    "config_file": None, "no_config": False, "raster": None, "crs": None, "features": (), "workers": None,
    "start_method": None, "only": (), "force": False, "prune": False, "allow_empty": False, "timeout": None,
    "wait_for": None, "deadline": None, "no_cache": True, "profile": False, "log_file": None, "log_format": "text",
    "metrics": None, "margin": None, "name_field": None, "layer": None, "where": None, "clip": None,
    "quiet": True, "verbose": False,
    "band": None, "variable": None, "time": None, "product": (), "scheduler": None, "allow_remote": False,
}  # fmt: skip
TABLE = "name,west,east,south,north\neast,-84,-80,33,35\nwest,-124,-120,33,35\n"


def write_raster(path: Path, east: int, west: int) -> None:
    """Write a grid with one value in its western half and another in its eastern half."""
    values = np.where(np.arange(120) < 60, west, east) * np.ones((60, 1))
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "height": 60, "width": 120, "crs": "EPSG:4326"}
    temporary = path.with_name("writing.part")
    with rasterio.open(temporary, "w", **profile, transform=Affine(0.5, 0, -130, 0, -0.5, 50)) as file:
        file.write(values.astype(np.float32), 1)
    temporary.replace(path)


class Watched:
    """A command with `--watch`, and the lines that it has printed."""

    def __init__(self, start_command: Callable[..., Command], folder: Path, *arguments: str) -> None:
        self.folder = folder
        (folder / "regionplot.toml").write_text(CONFIG)
        (folder / "regions.csv").write_text(TABLE)
        (folder / "data").mkdir()
        read, write = os.pipe()
        self._printed = os.fdopen(read, encoding="utf-8")
        with os.fdopen(write, "w") as out:
            self.process = start_command(folder, "regions.csv", "--watch", *arguments, stdout=out, stderr=out)
        self.lines: list[str] = []
        self._new = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self._printed:
            with self._new:
                self.lines.append(line.rstrip())
                self._new.notify_all()

    def close(self) -> None:
        """Kill the command if it still runs."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        self._printed.close()

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until the command has printed a number of lines that contain a text."""
        with self._new:
            assert self._new.wait_for(lambda: sum(text in line for line in self.lines) >= times, 20), self.lines

    def write(self, east: int, west: int, name: str = "grid_1.tif") -> None:
        write_raster(self.folder / "data" / name, east, west)

    def write_item(self, asset: str) -> None:
        """Write a STAC item that names one raster of its folder."""
        item = {"type": "Feature", "stac_version": "1.0.0", "id": "scene", "geometry": None, "links": []}
        item["properties"] = {"datetime": "2026-03-10T06:00:00Z"}
        item["assets"] = {"snow": {"href": f"./{asset}", "type": "image/tiff", "roles": ["data"]}}
        temporary = self.folder / "data" / "writing.part"
        temporary.write_text(json.dumps(item))
        temporary.replace(self.folder / "data" / "item.json")

    def value(self, name: str) -> tuple[int, int, int]:
        """Return the color in the middle of a map."""
        from PIL import Image

        with Image.open(self.folder / "output" / f"{name}.png") as image:
            return image.convert("RGB").getpixel((75, 80))

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(20)
        alive = [p for p in psutil.process_iter() if _session(p.pid) == self.process.pid and p.pid != self.process.pid]
        assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]
        return code


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


@pytest.fixture
def watch(tmp_path, start_command):
    """Start the command on a folder. Kill it at the end of the test if it still runs."""
    started: list[Watched] = []

    def start(*arguments: str) -> Watched:
        started.append(Watched(start_command, tmp_path, *arguments))
        return started[-1]

    yield start
    for watched in started:
        watched.close()


def test_each_new_raster_redraws_only_the_changed_maps(watch):
    watched = watch()
    watched.wait_for("watching")
    watched.write(10, 60)
    watched.wait_for("2 maps drawn")
    before = watched.value("west")
    watched.write(10, 160)
    watched.wait_for("1 map drawn, 1 unchanged")
    assert watched.value("west") != before
    watched.write(110, 60, "grid_2.tif")  # a newer file that matches the pattern
    watched.wait_for("2 maps drawn", 2)
    assert watched.value("west") == before
    assert watched.end() == 143
    assert watched.lines[-1] == "regionplot: ended by SIGTERM, stopped watching"


def test_a_stac_item_that_names_a_new_asset_redraws_the_maps(watch):
    pytest.importorskip("pystac")
    watched = watch("--raster", "data/item.json")
    watched.wait_for("watching")
    watched.write(10, 60, "old.tif")
    watched.write(10, 160, "new.tif")
    watched.write_item("old.tif")
    watched.wait_for("2 maps drawn")
    before = watched.value("west")
    watched.write_item("new.tif")
    watched.wait_for("2 maps drawn", 2)  # both maps state the name of the raster
    assert watched.value("west") != before
    watched.write_item("none.tif")
    watched.wait_for("none.tif")
    watched.write_item("old.tif")
    watched.wait_for("2 maps drawn", 3)
    assert watched.value("west") == before
    assert watched.end() == 143


def test_a_changed_function_of_the_user_redraws_the_maps(watch, tmp_path):
    function = "import numpy as np\ndef draw(shared, region):\n    return np.full((200, 300, 3), {}, np.uint8)\n"
    (tmp_path / "plots.py").write_text(function.format(10))
    watched = watch()
    (tmp_path / "regionplot.toml").write_text(CONFIG.replace("[map]", '[map]\ndraw = "plots:draw"'))
    watched.wait_for("watching")
    watched.process.send_signal(signal.SIGHUP)
    watched.wait_for("settings read again")
    watched.write(10, 60)
    watched.wait_for("2 maps drawn")
    assert watched.value("west") == (10, 10, 10)
    (tmp_path / "plots.py").write_text(function.format(20))
    watched.wait_for("2 maps drawn", 2)
    assert watched.value("west") == (20, 20, 20)
    assert watched.end() == 143


def test_bad_and_incomplete_rasters_do_not_end_the_watch(watch):
    watched = watch()
    watched.write(10, 60)
    watched.wait_for("2 maps drawn")
    (watched.folder / "data" / "bad.part").write_text("no raster")
    (watched.folder / "data" / "bad.part").replace(watched.folder / "data" / "grid_1.tif")
    watched.wait_for("grid_1.tif")
    (watched.folder / "data" / "grid_1.tif").unlink()
    whole = watched.folder / "whole"
    write_raster(whole, 110, 160)
    with (watched.folder / "data" / "grid_1.tif").open("wb") as file:  # open for writing until it is complete
        for piece in np.array_split(np.frombuffer(whole.read_bytes(), np.uint8), 4):
            file.write(piece.tobytes())
            file.flush()
            time.sleep(0.1)
    watched.wait_for("2 maps drawn", 2)
    assert watched.end(signal.SIGINT) == 130


def test_sighup_reads_the_settings_again_and_keeps_the_old_ones_on_errors(watch):
    watched = watch()
    watched.write(10, 60)
    watched.wait_for("2 maps drawn")
    (watched.folder / "regionplot.toml").write_text("[rastr]\n")
    watched.process.send_signal(signal.SIGHUP)
    watched.wait_for("unknown key")
    watched.wait_for("the old settings stay in use")
    watched.write(10, 160)
    watched.wait_for("1 map drawn, 1 unchanged")
    (watched.folder / "regionplot.toml").write_text(CONFIG.replace("[300, 200]", "[400, 200]"))
    watched.process.send_signal(signal.SIGHUP)
    watched.wait_for("2 maps drawn", 2)
    assert watched.end() == 143


def test_a_signal_ends_the_current_run_and_cleans_up(watch):
    watched = watch()
    watched.wait_for("watching")
    rows = "".join(f"r{i},{-124 + i / 10},{-80 + i / 10},25,45\n" for i in range(200))
    (watched.folder / "regions.csv").write_text("name,west,east,south,north\n" + rows)
    config = CONFIG.replace("[300, 200]", "[1400, 900]") + "maps_per_worker = 100\n"
    (watched.folder / "regionplot.toml").write_text(config)
    watched.process.send_signal(signal.SIGHUP)
    watched.wait_for("read again")
    watched.write(10, 60)
    watched.wait_for("[3/200]")
    assert watched.end() == 143
    assert any("ended by SIGTERM: " in line and "not run" in line for line in watched.lines)
    assert not list((watched.folder / "output").glob(".*.tmp"))


@pytest.mark.skipif(sys.platform != "linux", reason="guards need Linux")
def test_a_crashed_run_is_reported_and_does_not_end_the_watch(watch):
    watched = watch()
    watched.wait_for("watching")
    rows = "".join(f"r{i},{-124 + i / 10},{-80 + i / 10},25,45\n" for i in range(200))
    (watched.folder / "regions.csv").write_text("name,west,east,south,north\n" + rows)
    watched.write(10, 60)
    watched.wait_for("[3/200]")
    (run,) = psutil.Process(watched.process.run_pid).children()
    run.send_signal(signal.SIGSEGV)
    watched.wait_for("regionplot: a library crashed with SIGSEGV")
    (watched.folder / "regions.csv").write_text(TABLE)
    watched.wait_for("2 maps drawn")
    assert watched.end() == 143


def _open_files(process: psutil.Process) -> int:
    """Return the fewest file descriptors that are open within 0.2 s; a check of the raster opens some for a moment."""
    counts = []
    for _ in range(20):
        counts.append(process.num_fds())
        time.sleep(0.01)
    return min(counts)


def test_memory_and_descriptors_do_not_grow(watch):
    watched = watch("-q")
    process, seen = psutil.Process(watched.process.run_pid), []
    for number in range(14):
        watched.write(number, 200 - number)
        image = watched.folder / "output" / "manifest.json"
        before = image.stat().st_mtime_ns if image.exists() else 0
        end = time.monotonic() + 20
        while not (image.exists() and image.stat().st_mtime_ns > before):
            assert time.monotonic() < end, watched.lines
            time.sleep(0.02)
        seen.append((process.memory_info().rss, _open_files(process)))
    assert seen[-1][0] - seen[3][0] < 2 * 2**20, seen
    assert seen[-1][1] <= seen[3][1], seen
    assert watched.end() == 143


def test_a_failed_run_is_repeated_when_the_table_changes(watch):
    watched = watch()
    watched.wait_for("watching")
    (watched.folder / "regions.csv").write_text("name,west\n")
    watched.write(10, 60)
    watched.wait_for("regions.csv")
    (watched.folder / "regions.csv").write_text(TABLE)
    watched.wait_for("2 maps drawn")
    assert watched.end() == 143


def test_watch_and_wait_for_exclude_each_other(run_command, tmp_path):
    (tmp_path / "regions.csv").write_text(TABLE)
    result = run_command(tmp_path, "regions.csv", "--watch", "--wait-for", "5")
    assert result.returncode == 2
    assert "--watch waits for the raster by itself" in result.stderr


def test_without_fork_a_new_process_draws_each_raster(tmp_path, monkeypatch):
    """`os.fork` is missing on Windows, so each run is a spawned process."""
    (tmp_path / "regionplot.toml").write_text(CONFIG.replace("workers = 2", 'start_method = "serial"'))
    (tmp_path / "regions.csv").write_text(TABLE)
    (tmp_path / "data").mkdir()
    write_raster(tmp_path / "data" / "grid_1.tif", 10, 60)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delattr(os, "fork")
    request = Request.from_options(**OPTIONS, regions=Path("regions.csv"), output=str(tmp_path / "maps"))
    codes = []

    def run(request, config):
        codes.append(spawned.run_in_spawned_process(request, config))
        raise KeyboardInterrupt

    monkeypatch.setattr(watch_module, "run_in_spawned_process", run)
    assert watch_module.watch(request) == 130
    assert codes == [0]
    assert sorted(path.name for path in (tmp_path / "maps").glob("*.png")) == ["east.png", "west.png"]


def test_the_program_is_identified_after_its_imports(monkeypatch):
    """Libraries set environment variables, which are a part of the identity."""
    calls: list[str] = []

    def identify(_request: object) -> None:
        calls.append("identify")
        raise KeyboardInterrupt

    monkeypatch.setattr(watch_module, "import_for_drawing", lambda: calls.append("import"))
    monkeypatch.setattr(watch_module, "known_run_name", identify)
    with pytest.raises(KeyboardInterrupt):
        watch_module.watch(object())
    assert calls == ["import", "identify"]
