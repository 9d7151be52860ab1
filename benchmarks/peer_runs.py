"""Run each program of `peers.py`: its preparation, its command, and its costs."""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from inputs import config_text, make_inputs
from measure import Measured, measure
from peer_check import Agreement, BrokenError, Place, compare
from peer_task import empty, write_task

_FOLDER = Path(__file__).parent
_MEGABYTE = 2**20
DEBIAN = "/usr/bin/python3"
"""Python interpreter of the Debian packages."""
_MINE = sys.executable
_PLAIN_DRAWS = 12
"""Maximum number of maps that the baseline draws. The time for further maps is estimated."""
_WORKERS = "2"
_SHIFT = 60_000.0
"""Largest shift of new regions in meters."""


@dataclass(frozen=True)
class Peer:
    """A program to compare with, and how to check that it is installed."""

    name: str
    script: str
    modules: str
    """Modules that its script imports, as written after `import`."""
    programs: tuple[str, ...] = ()
    install: str = ""
    python: str = DEBIAN
    lacks: str = ""
    """Parts of the map that are missing in its pictures."""


PEERS = (
    Peer("mapnik", "with_mapnik.py", "mapnik", ("shapeindex",), "apt-get install python3-mapnik mapnik-utils",
         lacks="title, color bar"),
    Peer("mapserver", "with_mapserver.py", "mapscript", ("shptree",), "apt-get install python3-mapscript mapserver-bin",
         lacks="color bar"),
    Peer("gmt", "with_gmt.py", "ctypes", ("gmt", "gs"), "apt-get install gmt ghostscript",
         lacks="label of the color bar"),
    Peer("qgis", "with_qgis.py", "qgis.core", (), "apt-get install python3-qgis qgis-providers", lacks="color bar"),
    Peer("satpy", "with_satpy.py", "satpy, pycoast, aggdraw", (), "pip install satpy pycoast rioxarray, in an "
         "environment of its own; then use --python satpy=PATH", _MINE, "title, color bar"),
    Peer("matplotlib", "with_matplotlib.py", "cartopy, rasterio", (), "pip install '.[test]'", _MINE,
         "label of the color bar"),
    Peer("plain", "baseline.py", "cartopy, rioxarray", (), "pip install '.[test]'", _MINE),
)  # fmt: skip


@dataclass(frozen=True)
class Costs:
    """Time and memory of all maps of one run. The costs of the baseline are partly estimated."""

    wall: float
    """Wall time in seconds."""
    cpu: float
    """CPU time of all processes in seconds."""
    pss: float = math.nan
    """Peak PSS of all processes in megabytes. NaN if memory was not sampled."""

    @classmethod
    def over_runs(cls, timed: Sequence[Costs], sampled: Costs) -> Costs:
        """Return the median times of the timed runs, and the memory of the sampled run."""
        return cls(median(run.wall for run in timed), median(run.cpu for run in timed), sampled.pss)

    def over(self, other: Costs) -> tuple[float, ...]:
        """Return the ratios of these costs to other costs: wall time, CPU time, memory."""
        return self.wall / other.wall, self.cpu / other.cpu, self.pss / other.pss


class Runner:
    """Run one program for one table of regions. This class runs regionplot; subclasses run other programs."""

    def __init__(self, bench: Bench, name: str, count: int) -> None:
        self.name, self._bench, self._count = name, bench, count
        self.folder = bench.folder / f"{name}_{count}"

    def prepare(self) -> float:
        """Do the preparation that all runs share. Return its time in seconds."""
        return 0.0

    def run(self, pause: float = math.inf) -> Costs:
        """Draw all maps into an empty folder. With an infinite `pause`, memory is not sampled."""
        return _costs(self._measured(self._command(), pause))

    def check(self, task: dict[str, object]) -> Agreement:
        """Compare the pictures of the last run with the pictures of regionplot."""
        return compare(task, self.folder, *self._bench.references(self._count))

    @property
    def _table(self) -> Path:
        """The table of regions."""
        return self._bench.inputs.table(self._count)

    def _command(self) -> list[str]:
        inputs = self._bench.inputs
        return [
            _MINE, "-m", "regionplot", "-q", "--force", str(self._table), "--workers", _WORKERS,
            "--config", str(inputs.config("same")), "--output", str(self.folder),
        ]  # fmt: skip

    def _measured(self, command: Sequence[str], pause: float) -> Measured:
        empty(self.folder)
        variables = {"XDG_CACHE_HOME": str(self._bench.folder / "cache"), "OMP_NUM_THREADS": "1"}
        measured = measure(command, variables, pause=pause)
        if measured.exit_code:
            raise BrokenError(f"exit code {measured.exit_code}")
        return measured


class NewRegions(Runner):
    """Run regionplot with new regions: each run shifts all limits, so that no ink of earlier runs can be used."""

    def run(self, pause: float = math.inf) -> Costs:
        """Shift the table, and draw its maps."""
        source = self._bench.inputs.table(self._count)
        with source.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        shift = {key: random.uniform(-_SHIFT, _SHIFT) for key in "xy"}
        for row in rows:
            row.update({key: repr(float(row[key]) + shift[key[0]]) for key in ("xmin", "xmax", "ymin", "ymax")})
        with self._table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return super().run(pause)

    def check(self, task: dict[str, object]) -> Agreement:
        """Draw the regions of the table, and compare their pictures with those of regionplot."""
        shutil.copy(self._bench.inputs.table(self._count), self._table)
        super().run()
        return super().check(task)

    @property
    def _table(self) -> Path:
        return self._bench.inputs.folder / "shifted.csv"


class Script(Runner):
    """Run the script of a peer."""

    def __init__(self, bench: Bench, peer: Peer, python: str, count: int) -> None:
        super().__init__(bench, peer.name, count)
        self._start = [python, str(_FOLDER / "peers" / peer.script)]

    def prepare(self) -> float:
        """Run the preparation of the script. Return its time in seconds."""
        start = time.perf_counter()
        if subprocess.run(self._arguments("prepare"), check=False, stdout=subprocess.DEVNULL).returncode:
            raise BrokenError("the preparation failed")
        return time.perf_counter() - start

    def _command(self) -> list[str]:
        return self._arguments("draw")

    def _arguments(self, verb: str) -> list[str]:
        return [*self._start, verb, str(self._bench.tasks[self._count]), str(self.folder)]


class Plain(Runner):
    """Run the baseline. It draws only some maps of a long table."""

    def __init__(self, bench: Bench, name: str, count: int) -> None:
        super().__init__(bench, name, count)
        self._places: dict[str, Place] = {}

    def run(self, pause: float = math.inf) -> Costs:
        """Draw some maps, and estimate the costs of all maps."""
        measured = self._measured(self._command(), pause)
        report = json.loads(measured.output)
        self._places = {name: Place(place[:4], place[4:]) for name, place in report["places"].items()}
        left, costs = self._count - len(self._places), _costs(measured)
        wall = costs.wall + mean(report["map_wall"]) * left / int(_WORKERS)
        return Costs(wall, costs.cpu + mean(report["map_cpu"]) * left, costs.pss)

    def check(self, task: dict[str, object]) -> Agreement:
        """Compare the pictures, with the positions of their own panels."""
        return compare(task, self.folder, *self._bench.references(self._count), self._places)

    def _command(self) -> list[str]:
        inputs, size = self._bench.inputs, map(str, self._bench.sheet)
        files = [inputs.table(self._count), self._bench.raster, self.folder, *inputs.layers]
        options = ["--workers", _WORKERS, "--count", str(_PLAIN_DRAWS), "--sheet", *size]
        return [_MINE, str(_FOLDER / "baseline.py"), *map(str, files), *options]


def _costs(measured: Measured) -> Costs:
    return Costs(measured.wall, measured.cpu, measured.pss / _MEGABYTE)


class Bench:
    """The inputs, the tasks, and the pictures that regionplot draws."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.folder, self.sheet, self.is_small = folder, options.sheet, options.small
        self.inputs = make_inputs(
            options.inputs or folder / "inputs", [options.size], options.regions, options.layers, options.sheet
        )
        self.raster = self.inputs.raster(options.size)
        config = config_text(self.raster.name, "raster", options.layers, options.sheet)
        self.inputs.config("same").write_text(config, encoding="utf-8")
        self.tasks = {count: write_task(self.inputs, self.raster, count, folder) for count in options.regions}

    def references(self, count: int) -> tuple[Path, Path]:
        """Return the folders of the pictures of regionplot, with and without lines."""
        return self.folder / f"regionplot_{count}", self.folder / f"bare_{count}"

    def draw_bare(self, count: int) -> None:
        """Draw the maps without lines, with regionplot."""
        config = self.inputs.folder / "bare.toml"
        config.write_text(config_text(self.raster.name, "raster", [], self.sheet), encoding="utf-8")
        command = [_MINE, "-m", "regionplot", "-q", str(self.inputs.table(count)), "--config", str(config)]
        subprocess.run([*command, "--output", str(self.references(count)[1])], check=True)
