"""The benchmarks run; what they find is not judged here."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux")


def run(script, *options):
    command = [sys.executable, str(FOLDER / script), "--small", *options]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_table_of_ratios_has_its_rows():
    table = run("run.py")
    rows = re.findall(r"^ +400x272 +2 +2 +(same|other) \| (.*) \| all$", table, re.MULTILINE)
    assert [crs for crs, _ in rows] == ["same", "other"]
    for _, ratios in rows:
        found = [float(ratio) for ratio in ratios.split()]
        assert len(found) == 4
        assert all(math.isfinite(ratio) and ratio > 0 for ratio in found)


def test_blocks_are_compared_and_weighed():
    table = run("blocks.py", "--repeat", "1")
    ratios = re.findall(r"^(?:holds|releases|512|2048).* ([\d.]+) +[\d.]+$", table, re.MULTILINE)
    assert len(ratios) >= 4
    assert all(0 < float(ratio) < math.inf for ratio in ratios)
    memory = dict(re.findall(r"^memory, (\w+) +(\d+) MB$", table, re.MULTILINE))
    assert {"serial", "threads", "fork", "spawn"} <= memory.keys()
    assert all(10 < int(megabytes) < 1000 for megabytes in memory.values())


def test_the_stages_add_up_to_a_map():
    table = run("stages.py")
    stages = dict(re.findall(r"^(\w[\w ]*?) +([\d.]+) +\d+%", table, re.MULTILINE))
    assert {"sample", "classify", "strokes", "compose", "encode", "write and verify"} <= stages.keys()
    assert all(float(milliseconds) > 0 for milliseconds in stages.values())
    ratio = re.search(r"^map / floor.*: ([\d.]+)$", table, re.MULTILINE)
    assert ratio
    assert 0 < float(ratio[1]) < math.inf
