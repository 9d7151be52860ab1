"""Run each benchmark once with small inputs. The results are not judged."""

from __future__ import annotations

import importlib
import math
import os
import re
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import rasterio
from PIL import Image

FOLDER = Path(__file__).parents[1] / "benchmarks"
THREADS = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux")


@pytest.fixture
def run(start_command, tmp_path):
    """Return a function that runs a benchmark with small inputs, and returns what it prints.

    The benchmark and its Python programs are forks of a process that has imported the libraries.
    """

    def run_small(script, *options):
        program = Path(__file__).with_name("forked_python.py")
        environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
        command = start_command(tmp_path, FOLDER / script, "--small", *options, script=program, environment=environment)
        out, err = command.communicate(timeout=100)
        assert command.returncode == 0, err
        return out

    return run_small


def test_the_table_of_ratios_has_one_row_for_each_case(run):
    table = run("run.py")
    rows = re.findall(r"^ +400x272 +2 +2 +(same|other) \| (.*) \| all$", table, re.MULTILINE)
    assert [crs for crs, _ in rows] == ["same", "other"]
    for _, ratios in rows:
        found = [float(ratio) for ratio in ratios.split()]
        assert len(found) == 4
        assert all(math.isfinite(ratio) and ratio > 0 for ratio in found)


@pytest.mark.slow
def test_the_benchmark_of_the_memory_of_workers_has_one_row_for_each_case(run):
    rows = re.findall(r"^ +400x272 +continuous +spawn +filled +([12]) +(\d+) MB", run("worker_memory.py"), re.MULTILINE)
    assert [workers for workers, _ in rows] == ["1", "2"]
    assert all(50 < int(peak) < 2000 for _, peak in rows)


def test_the_block_benchmark_compares_other_programs_and_measures_memory(run):
    table = run("blocks.py")
    rows = re.findall(r"^(rasterio's|rio-mucho|riogrande's).*?" + 3 * r" +([\d.]+)" + "$", table, re.MULTILINE)
    assert {program for program, *_ in rows} >= {"rasterio's", "riogrande's"}
    assert len(rows) in (4, 5), "rio-mucho is optional"
    assert all(0 < float(ratio) < math.inf for _, *ratios in rows for ratio in ratios)
    assert 10 < int(re.search(r"^fork +(\d+) MB$", table, re.MULTILINE)[1]) < 1000


@pytest.mark.parametrize("work", ["light", "release", "hold"])
def test_the_programs_of_the_block_benchmark_write_the_same_cells(monkeypatch, tmp_path, write_raster, work):
    monkeypatch.syspath_prepend(str(FOLDER))
    programs = importlib.import_module("block_programs")
    path = write_raster(
        np.random.default_rng(0).random((1, 100, 200), np.float32),
        name="in.tif",
        tiled=True,
        blockxsize=64,
        blockysize=64,
    )
    with rasterio.open(path) as file:
        expected = programs.WORK[work](file.read())
    for name in ("serial", "threads", "rasterio-threads"):
        programs.PROGRAMS[name](work, tmp_path, 64)
        with rasterio.open(tmp_path / "out.tif") as file:
            np.testing.assert_array_equal(file.read(), expected)
        (tmp_path / "out.tif").unlink()


def test_the_overlay_benchmark_prints_a_time_for_each_overlay(run):
    times = dict(re.findall(r"^(\w+) +([+-]?[\d.]+)$", run("overlays.py"), re.MULTILINE))
    assert float(times.pop("none")) > 0
    lines = {"contours", "filled", "barbs", "arrows", "streamlines"}
    others = {"points", "names", "values", "areas", "statistics", "classes", "lines", "locator", "casings", "focus"}
    page = {"graticule", "margin", "shading", "missing", "credit", "logo", "atlas"}
    assert lines | others | page == times.keys()


def test_the_drawing_benchmark_compares_a_script_with_its_port(run):
    rows = dict(re.findall(r"^ +(script|ported|unchanged) .* ([\d.]+)%$", run("drawing.py"), re.MULTILINE))
    assert rows.keys() == {"script", "ported", "unchanged"}
    assert float(rows["unchanged"]) == 0.0
    assert float(rows["ported"]) < 1


def test_the_sampling_benchmark_compares_two_methods_in_two_crss(run):
    ratios = re.findall(
        r"^(?:same|other) CRS +(?:bilinear|cubic) +[\d.]+ +[\d.]+ +([\d.]+)$", run("sampling.py"), re.MULTILINE
    )
    assert len(ratios) == 4
    assert all(0 < float(ratio) < math.inf for ratio in ratios)


def test_the_stages_add_up_to_a_map(run):
    table = run("stages.py")
    stages = dict(re.findall(r"^(\w[\w ]*?) +([\d.]+) +\d+%", table, re.MULTILINE))
    assert {"sample", "classify", "strokes", "compose", "encode", "write and verify"} <= stages.keys()
    assert all(float(milliseconds) > 0 for stage, milliseconds in stages.items() if stage != "classify")
    assert float(stages["classify"]) == 0, "the cells are classified while they are read"
    ratio = re.search(r"^map / floor.*: ([\d.]+)$", table, re.MULTILINE)
    assert ratio
    assert 0 < float(ratio[1]) < math.inf


def rows_of_peers(table):
    """Return, by name, the ratios of wall time, CPU and memory, and the shares of equal classes and lines."""
    rows = re.findall(r"^(\w+) +2 \|((?: +[\d.]+){3}) \| +([\d.]+)% +([\d.]+)% ", table, re.MULTILINE)
    return {
        name: ([float(ratio) for ratio in ratios.split()], float(found), float(lines))
        for name, ratios, found, lines in rows
    }


def assert_compared(table, names):
    rows = rows_of_peers(table)
    assert set(rows) == {"regionplot", "new", *names}
    for ratios, classes, lines in rows.values():
        assert all(0 < ratio < math.inf for ratio in ratios)
        assert classes >= 80
        assert lines >= 50


def test_each_peer_draws_the_same_maps_and_is_compared_or_is_reported_as_left_out(run, tmp_path):
    """Peers of this environment are always compared. A peer with a missing Python is left out."""
    peers = ["plain", "matplotlib", "mapnik", "mapserver", "gmt", "qgis", "satpy"]
    options = [option for peer in peers for option in ("--only", peer)]
    table = run("peers.py", *options, "--python", f"satpy={tmp_path / 'python'}")
    left_out = re.findall(
        r"^(\w+) is left out, because it is not installed; (?:apt-get|pip) install", table, re.MULTILINE
    )
    assert "satpy" in left_out
    assert not {"plain", "matplotlib"} & set(left_out)
    assert_compared(table, set(peers) - set(left_out))


class TestBrokenPeers:
    """A peer that does not draw the same maps is not compared."""

    TASK: ClassVar = {"sheet": [64, 48], "panel": [4, 4, 56, 40], "maps": [{"name": "a", "panel": [0, 0, 56, 40]}]}

    @pytest.fixture
    def check(self, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(FOLDER)
        import peer_check

        bare = np.full((48, 64, 3), (255, 200, 0), np.uint8)
        bare[:, 32:] = 90, 200, 255
        drawn = bare.copy()
        drawn[20:22] = 0
        for folder, picture in (("bare", bare), ("ours", drawn)):
            self.write(tmp_path / folder, picture)

        def compare(picture):
            self.write(tmp_path / "theirs", picture)
            return peer_check.compare(self.TASK, *(tmp_path / folder for folder in ("theirs", "ours", "bare")))

        return compare, drawn, peer_check.BrokenError

    @staticmethod
    def write(folder, picture):
        folder.mkdir(exist_ok=True)
        if picture is not None:
            Image.fromarray(picture).save(folder / "a.png")

    def test_a_peer_with_the_same_picture_is_accepted(self, check):
        compare, drawn, _ = check
        agreement = compare(drawn)
        assert (agreement.classes, agreement.lines) == (1, 1)

    @pytest.mark.parametrize(
        ("spoil", "problem"),
        [
            (lambda _: None, "1 of 1 maps are missing, such as a"),
            (lambda drawn: drawn[:40], "a has 64 x 40 pixels"),
            (lambda drawn: np.full_like(drawn, 255), "a is blank"),
            (lambda drawn: drawn[:, ::-1].copy(), "shows another map: 0% of the classes"),
            (
                lambda drawn: np.repeat(drawn[:1], 48, axis=0),
                "shows another map: 100% of the classes and 0% of the lines agree",
            ),
        ],
    )
    def test_peers_with_other_pictures_are_rejected(self, check, spoil, problem):
        compare, drawn, broken = check
        with pytest.raises(broken, match=problem):
            compare(spoil(drawn))


@pytest.mark.slow
def test_the_scaling_benchmark_measures_a_cluster_and_simulates_larger_ones(run):
    for module in ("distributed", "moto", "boto3"):
        pytest.importorskip(module)
    printed = run("scaling.py")
    kinds = re.findall(r"^(\w+(?:, \w+ regions| COG)) +" + r"([\d.]+) +" * 4 + r"([\d.]+)$", printed, re.MULTILINE)
    assert [kind for kind, *_ in kinds] == [
        "plain, new regions",
        "plain, known regions",
        "atlas, new regions",
        "atlas, known regions",
        "remote COG",
    ]
    assert all(float(number) > 0 for _, *numbers in kinds for number in numbers)
    compared = re.findall(r"^ +([124]) +([\d.]+) +([\d.]+) +[+-]\d+%$", printed, re.MULTILINE)
    assert [workers for workers, *_ in compared] == ["4", "2", "1"]
    assert "maps drawn twice" in printed
