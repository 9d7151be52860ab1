"""What of the machine may be used, by affinity and by the limits of the control group."""

from __future__ import annotations

import os

import pytest

from regionplot import machine
from regionplot.machine import available_memory, usable_cpus


@pytest.mark.parametrize(
    ("affinity", "limit", "expected"),
    [
        (8, None, 8),
        (8, "max 100000\n", 8),
        (8, "250000 100000\n", 3),
        (8, "50000 100000\n", 1),
        (2, "400000 100000\n", 2),
        (4, "garbage", 4),
    ],
)
def test_usable_cpus(affinity, limit, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(affinity)), raising=False)
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    if limit is not None:
        (tmp_path / "cpu.max").write_text(limit)
    assert usable_cpus() == expected


@pytest.mark.parametrize(
    ("limit", "used", "expected"), [("1000000", "400000", 600000), ("1000", "4000", 0), ("max", "5", None)]
)
def test_available_memory_is_bounded_by_the_control_group(limit, used, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text(used)
    assert available_memory() == expected if expected is not None else available_memory() > 0
