"""Test that the limits of nested control groups count, in version 1, version 2 and containers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from regionplot.system.cgroups import ControlGroups

MEBIBYTE = 2**20


def make_groups(folder: Path, membership: str, files: dict[str, str], mounts: str = "") -> ControlGroups:
    """Write the files of a tree of control groups. `{sys}` in `mounts` is the folder of the tree."""
    for name, text in files.items():
        path = folder / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "cgroup").write_text(membership)
    (folder / "mountinfo").write_text(mounts.format(sys=folder / "sys"))
    return ControlGroups(folder / "sys", folder / "cgroup", folder / "mountinfo")


def cpus(number: float | str) -> str:
    """Return the content of `cpu.max`."""
    return f"{number if isinstance(number, str) else round(number * 100_000)} 100000\n"


def cpus_v1(folder: str, quota: int) -> dict[str, str]:
    """Return the files of a quota of version 1 in microseconds per 0.1 s."""
    return {f"{folder}cpu.cfs_quota_us": f"{quota}\n", f"{folder}cpu.cfs_period_us": "100000\n"}


V2 = "30 23 0:26 {root} {{sys}}{folder} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "33 31 0:30 {root} {{sys}}/{name} rw,relatime - cgroup cgroup rw,{name}\n"


@pytest.mark.parametrize(
    ("membership", "files", "mounts", "expected"),
    [
        ("0::/\n", {"cpu.max": cpus(1)}, "", 1),
        ("0::/system.slice/maps.service\n", {"system.slice/maps.service/cpu.max": cpus(1.5)}, "", 1.5),
        (
            "0::/system.slice/maps.service\n",
            {"system.slice/cpu.max": cpus(3), "system.slice/maps.service/cpu.max": cpus("max")},
            "",
            3,
        ),
        ("0::/a/b/c\n", {"a/cpu.max": cpus(2), "a/b/c/cpu.max": cpus(4)}, "", 2),
        ("0::/a/b\n", {"other/cpu.max": cpus(1), "a/b/c/cpu.max": cpus(1)}, "", math.inf),
        # the container sees its own group as the top of the tree, or paths outside the visible part
        ("0::/docker/1f/job\n", {"job/cpu.max": cpus(1)}, V2.format(root="/docker/1f", folder=""), 1),
        ("0::/../../other.slice\n", {"cpu.max": cpus(1)}, "", 1),
        ("0::/docker/1f\n", {"cpu.max": cpus(1)}, "", 1),
        # version 1, also beside version 2
        ("2:cpu,cpuacct:/a/b\n0::/\n", cpus_v1("cpu/a/", 50000), "", 0.5),
        ("2:cpu,cpuacct:/a\n", cpus_v1("cpu/a/", -1), "", math.inf),
        (
            "2:cpuacct,cpu:/docker/1f\n",
            cpus_v1("cpu,cpuacct/", 200000),
            V1.format(root="/docker/1f", name="cpu,cpuacct"),
            2,
        ),
        ("0::/a\n", {"unified/a/cpu.max": cpus(1)}, V2.format(root="/", folder="/unified"), 1),
        # CPU sets
        ("0::/a\n", {"a/cpuset.cpus.effective": "0-2,8\n", "cpuset.cpus.effective": "0-15\n"}, "", 4),
        ("3:cpuset:/a\n", {"cpuset/a/cpuset.cpus": "5\n"}, "", 1),
        # nothing that can be read
        ("0::/a\n", {"a/cpu.max": "garbage\n", "a/cpuset.cpus.effective": "\n"}, "", math.inf),
        ("0::/a\n", {"a/cpu.max": "100000 0\n"}, "", math.inf),
        ("garbage", {"x": ""}, "garbage\n - \n", math.inf),
    ],
)
def test_the_tightest_cpu_limit_of_all_groups_counts(membership, files, mounts, expected, tmp_path):
    assert make_groups(tmp_path, membership, files, mounts).cpus() == expected


def memory(folder: str, limit: object, used: int, cached: int = 0, name: str = "memory.max") -> dict[str, str]:
    """Return the files of one group of version 2, with numbers in MiB."""
    limit = f"{limit * MEBIBYTE}" if isinstance(limit, int) else limit
    return {
        f"{folder}{name}": f"{limit}\n",
        f"{folder}memory.current": f"{used * MEBIBYTE}\n",
        f"{folder}memory.stat": f"anon 1\ninactive_file {cached * MEBIBYTE}\n",
    }


def memory_v1(folder: str, limit: int, used: int, cached: int = 0, hierarchical: int = 2**63 - 4096) -> dict[str, str]:
    """Return the files of one group of version 1, with numbers in bytes, and usage in MiB."""
    return {
        f"{folder}memory.limit_in_bytes": f"{limit}\n",
        f"{folder}memory.usage_in_bytes": f"{used * MEBIBYTE}\n",
        f"{folder}memory.stat": f"inactive_file 1\nhierarchical_memory_limit {hierarchical}\n"
        f"total_inactive_file {cached * MEBIBYTE}\n",
    }


@pytest.mark.parametrize(
    ("membership", "files", "expected", "limit"),
    [
        ("0::/\n", memory("", "max", 50), None, None),
        ("0::/a/b\n", memory("a/b/", 500, 100) | memory("a/", 300, 200, 50), 150, 300),
        ("0::/a/b\n", memory("a/b/", 200, 100) | memory("a/", "max", 200), 100, 200),
        ("0::/a\n", memory("a/", 300, 100, name="memory.high"), 200, 300),
        ("0::/a\n", memory("a/", 500, 100) | memory("a/", 300, 100, name="memory.high"), 200, 300),
        ("0::/a\n", memory("a/", 100, 200), 0, 100),
        ("0::/gone\n", memory("", 100, 20), 80, 100),
        ("4:memory:/a\n0::/\n", memory_v1("memory/a/", 300 * MEBIBYTE, 100, 20), 220, 300),
        ("4:memory:/a\n", memory_v1("memory/a/", 2**63 - 4096, 100), None, None),
        ("4:memory:/x/y\n", memory_v1("memory/", 2**63 - 4096, 100, hierarchical=150 * MEBIBYTE), 50, 150),
    ],
)
def test_the_tightest_memory_limit_of_all_groups_counts(membership, files, expected, limit, tmp_path):
    groups = make_groups(tmp_path, membership, files)
    assert groups.available_memory() == (None if expected is None else expected * MEBIBYTE)
    assert groups.memory_limit() == (None if limit is None else limit * MEBIBYTE)


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/a\n", {"a/memory.events": "low 0\noom 2\noom_kill 2\n"}, 2),
        ("4:memory:/a\n", {"memory/a/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"}, 3),
        ("0::/a\n", {"a/memory.max": "max\n"}, 0),
    ],
)
def test_processes_that_the_kernel_killed_are_counted(membership, files, expected, tmp_path):
    assert make_groups(tmp_path, membership, files).memory_kills() == expected


def test_a_folder_with_spaces_is_found(tmp_path):
    files = {"control groups/cpu.max": cpus(1)}
    mounts = V2.format(root="/", folder="/control\\040groups")
    assert make_groups(tmp_path, "0::/\n", files, mounts).cpus() == 1
