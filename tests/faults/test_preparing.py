"""Inject faults while a raster is prepared. The error is clear, the old raster and maps stay, and no file is left over.

Both commands are tested: `regionplot prepare`, and a run of maps with steps in its settings.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from small_runs import COMMAND, living, wait_until
from warm_start import Command, WarmProcess

STEPS = '[[prepare]]\nstep = "focal"\nsize = 3\n'
SETTINGS = '[map]\nsize = [300, 200]\n[run]\nworkers = 2\nstart_method = "fork"\n'
COMMANDS = {
    "prepare": ["prepare", "dem.tif", "-o", "out/derived.tif", "--focal", "mean:3", "--executor", "fork", "-j", "2"],
    "maps": ["regions.csv"],
}
BLOCK = "block of rows 512 to 699, columns 0 to 511"


class Stand:
    """A folder with a raster, an older derived raster, and older maps. The raster has changed since then."""

    def __init__(self, warm_process: WarmProcess, folder: Path, command: str) -> None:
        self.warm_process = warm_process
        self.folder, self.command, self.output = folder, command, folder / "out"
        self.output.mkdir(exist_ok=True)
        self._renew(1)
        (folder / "regions.csv").write_text("name,west,east,south,north\na,-119,-113,43,47\nb,-113,-107,43,47\n")
        raster = '[raster]\npath = "dem.tif"\nprepared = "out/derived.tif"\n'
        (folder / "regionplot.toml").write_text(raster + STEPS + SETTINGS)
        assert self.run() == 0, self.error
        self._renew(2)
        self.before = self.files()

    def _renew(self, number: int) -> None:
        profile = {"driver": "GTiff", "width": 700, "height": 700, "count": 1, "dtype": "float32", "crs": "EPSG:4326",
            "transform": Affine(0.02, 0, -120, 0, -0.01, 48), "tiled": True}  # fmt: skip
        with rasterio.open(self.folder / "dem.tif", "w", **profile) as dataset:
            dataset.write(np.random.default_rng(number).random((1, 700, 700), dtype="float32"))

    def start(self, *faults: str, times: int = 0) -> Command:
        words = [word for fault in faults for word in ("--fault", fault)]
        words += ["--times", str(times)] if times else []
        (self.folder / "strikes").unlink(missing_ok=True)
        arguments = [*words, "--log", "strikes", "--", *COMMANDS[self.command]]
        return self.warm_process.start(self.folder, *arguments, script=COMMAND)

    def run(self, *faults: str, times: int = 0) -> int:
        process = self.start(*faults, times=times)
        _, self.error = process.communicate(timeout=100)
        assert bool(faults) == (self.folder / "strikes").exists(), "each fault has struck"
        wait_until(lambda: not living(process.pid), 2)
        return process.returncode

    def files(self) -> dict[str, bytes]:
        """Return the contents of all outputs and temporary files by name, without manifests and locks."""
        made = [path for path in (*self.output.rglob("*"), *self.folder.glob("*.tif")) if path.is_file()]
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in [*made, *(self.folder / "output").rglob("*.png")]
        }

    def assert_as_it_was(self) -> None:
        assert self.files() == self.before
        if self.command == "maps":
            document = json.loads((self.folder / "output" / "manifest.json").read_text())
            assert [entry["state"] for entry in document["regions"]] == ["not run", "not run"]

    def assert_renewed(self) -> None:
        now = self.files()
        assert now.keys() == self.before.keys()
        assert {name for name in now if now[name] == self.before[name]} == {"dem.tif"}


@pytest.fixture(scope="module", params=COMMANDS)
def stand(request: Any, warm_process: WarmProcess, tmp_path_factory: pytest.TempPathFactory) -> Stand:
    return Stand(warm_process, tmp_path_factory.mktemp(request.param), request.param)


@pytest.mark.parametrize(
    ("action", "code", "message"),
    [
        ("kill", 1, rf"{BLOCK}: the worker was killed by SIGKILL \(out of memory\?\); it failed twice"),
        ("exit0", 1, rf"{BLOCK}: the worker ended with exit code 0"),
        ("raise", 1, rf"{BLOCK}: ValueError: injected\n +\| Traceback"),
        ("unreadable", 3, r"grid.tif: cannot be read"),
        ("interrupt", 130, r"SIGINT"),
        ("term", 143, r"SIGTERM"),
        ("hup", 129, r"SIGHUP"),
    ],
)
def test_a_failed_block_is_reported_and_all_old_files_stay(stand: Stand, action: str, code: int, message: str) -> None:
    assert stand.run(f"block:512,0:{action}") == code, stand.error
    assert re.search(message, stand.error), stand.error
    stand.assert_as_it_was()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_block_is_retried_when_its_worker_is_killed(warm_process: WarmProcess, command: str, tmp_path: Path) -> None:
    stand = Stand(warm_process, tmp_path, command)
    assert stand.run("block:512,0:kill", times=1) == 0, stand.error
    assert "the job is retried alone after all other jobs" in stand.error
    stand.assert_renewed()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_next_run_removes_what_a_killed_command_left(
    warm_process: WarmProcess, command: str, tmp_path: Path
) -> None:
    stand = Stand(warm_process, tmp_path, command)
    process = stand.start("block:512,0:hang")
    wait_until(lambda: (tmp_path / "strikes").exists())
    process.kill()
    process.communicate()
    wait_until(lambda: not living(process.pid), 2)
    assert [name for name in stand.files() if name.endswith(".tmp")]
    assert stand.run() == 0
    stand.assert_renewed()


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path], None]]:
    """Yield a function that mounts a file system of 1 MB on a folder."""
    mounted = []

    def mount(folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
        if os.name != "posix" or os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("a file system can be mounted by root on Linux only")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_reported_and_all_old_files_stay(
    warm_process: WarmProcess, command: str, tmp_path: Path, small_disk: Callable[[Path], None]
) -> None:
    stand = Stand(warm_process, tmp_path, command)
    old = (stand.output / "derived.tif").read_bytes()[:1000]
    small_disk(stand.output)
    (stand.output / "derived.tif").write_bytes(old)
    stand.before = stand.files()
    assert stand.run() == 3
    assert re.search(r"derived.tif: could not be written completely: .*the disk is full", stand.error), stand.error
    stand.assert_as_it_was()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_to_the_process_group_ends_the_command_and_cleans_up(stand: Stand, number: signal.Signals) -> None:
    process = stand.start("block:*:hang")
    strikes = stand.folder / "strikes"
    wait_until(lambda: strikes.exists() and len(strikes.read_text().splitlines()) == 2)
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "Traceback" not in errors
    wait_until(lambda: not living(process.pid), 2)
    stand.assert_as_it_was()
