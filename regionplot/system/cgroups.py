"""Read the limits of this process's control group and of all groups above.

systemd sets the limits of a service in the group of the service. A container may see only a part of the tree, so the
path in `/proc/self/cgroup` may lead outside the visible part. In this case, the limits of the visible groups are used.
Version 1 has one tree for each controller, version 2 has one tree for all
(https://docs.kernel.org/admin-guide/cgroup-v2.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_NO_LIMIT_V1 = 2**62
"""Memory limits of version 1 that are equal to or above this number mean "no limit"."""
_FREED_ON_DEMAND = ("total_inactive_file", "inactive_file")
"""Keys of `memory.stat` for cached files that the kernel drops when memory is needed: version 1, version 2."""


class _Mount(NamedTuple):
    """A mounted tree of control groups."""

    root: str
    """Path of the tree's visible part within the whole tree."""
    folder: Path
    controllers: frozenset[str]
    """Controllers of version 1; empty for version 2."""


@dataclass(frozen=True)
class ControlGroups:
    """The control groups of this process."""

    root: Path = Path("/sys/fs/cgroup")
    """Folder of the mounted trees."""
    membership: Path = Path("/proc/self/cgroup")
    """File that lists the groups of this process."""
    mounts: Path = Path("/proc/self/mountinfo")
    """File that lists the mounts."""

    def cpus(self) -> float:
        """Return the number of CPUs that quotas and CPU sets allow; infinity if there is no limit."""
        return min([*self._quotas(), *self._cpu_sets()], default=float("inf"))

    def available_memory(self) -> int | None:
        """Return the bytes of memory that are left below the tightest limit, or None if there is no limit."""
        return min(self._free_memory(), default=None)

    def memory_limit(self) -> int | None:
        """Return the smallest memory limit in bytes, or None if there is no limit."""
        limits = [limit for folder in self._folders("memory") for limit in _memory_limits(folder)]
        return min(limits, default=None)

    def memory_kills(self) -> int:
        """Return the number of processes that the kernel has killed because of this group's memory limit."""
        for folder in self._folders("memory"):
            for name in ("memory.events", "memory.oom_control"):
                count = read_number(folder / name, "oom_kill")
                if count is not None:
                    return count
        return 0

    def _quotas(self) -> Iterator[float]:
        for folder in self._folders("cpu"):
            words = _read(folder / "cpu.max").split()
            words = words or [_read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
            if len(words) == 2 and all(map(str.isdecimal, words)) and int(words[1]):
                yield int(words[0]) / int(words[1])

    def _cpu_sets(self) -> Iterator[int]:
        for folder in self._folders("cpuset"):
            for name in ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"):
                if count := _count_cpus(_read(folder / name)):
                    yield count

    def _free_memory(self) -> Iterator[int]:
        for folder in self._folders("memory"):
            used = _read_integer(folder / "memory.current")
            used = _read_integer(folder / "memory.usage_in_bytes") if used is None else used
            limits = list(_memory_limits(folder))
            if used is None or not limits:
                continue
            found = (read_number(folder / "memory.stat", key) for key in _FREED_ON_DEMAND)
            cached = next((number for number in found if number is not None), 0)
            yield max(0, min(limits) - used + cached)

    def _folders(self, controller: str) -> Iterator[Path]:
        """Yield the folders of this process's groups for a controller: its own group first, then the groups above."""
        seen = set()
        memberships = dict(self._memberships())
        for mount in self._mounts(controller):
            path = memberships.get(controller if mount.controllers else "", "/")
            for part in _ancestors(path, mount.root):
                if (folder := mount.folder / part) not in seen:
                    seen.add(folder)
                    yield folder

    def _memberships(self) -> Iterator[tuple[str, str]]:
        """Yield pairs of a controller and the path of this process's group. Version 2 has the controller ''."""
        for line in _read(self.membership).splitlines():
            _, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            for controller in controllers.split(","):
                yield controller, path

    def _mounts(self, controller: str) -> Iterator[_Mount]:
        """Yield the trees that have a controller.

        Also yield the usual folders, because the list may not be readable.
        """
        for line in _read(self.mounts).splitlines():
            before, _, after = line.partition(" - ")
            fields, kind = before.split(), after.split()
            if len(fields) > 4 and kind[:1] == ["cgroup2"]:
                yield _Mount(_unescape(fields[3]), Path(_unescape(fields[4])), frozenset())
            elif len(fields) > 4 and kind[:1] == ["cgroup"] and controller in kind[-1].split(","):
                yield _Mount(_unescape(fields[3]), Path(_unescape(fields[4])), frozenset({controller}))
        yield _Mount("/", self.root, frozenset())
        yield _Mount("/", self.root / controller, frozenset({controller}))


def _ancestors(path: str, root: str) -> list[PurePosixPath]:
    """Return the visible parts of a group's path: the group, then all groups above, then the top of the tree."""
    group = PurePosixPath("/", path)
    if group.is_relative_to(root):
        group = PurePosixPath("/", group.relative_to(root))
    parts = [part for part in group.parts[1:] if part != ".."]
    return [PurePosixPath(*parts[:length]) for length in range(len(parts), -1, -1)]


def _memory_limits(folder: Path) -> Iterator[int]:
    """Yield the memory limits of a group in bytes.

    `memory.high` is included, because the kernel slows down processes above it.
    """
    for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
        limit = _read_integer(folder / name)
        if limit is not None and limit < _NO_LIMIT_V1:
            yield limit
    limit = read_number(folder / "memory.stat", "hierarchical_memory_limit")
    if limit is not None and limit < _NO_LIMIT_V1:
        yield limit


def _count_cpus(text: str) -> int:
    """Return the number of CPUs in a list such as `0-3,8`; 0 if the list is empty or not readable."""
    count = 0
    for item in text.strip().split(","):
        if not (found := re.fullmatch(r"(\d+)(?:-(\d+))?", item)):
            return 0
        count += int(found[2] or found[1]) - int(found[1]) + 1
    return count


def read_number(path: Path, key: str) -> int | None:
    """Return the number after a key in a file of `/proc` or `/sys`; None if there is no such file, key or number."""
    for line in _read(path).splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == key and words[1].isdecimal():
            return int(words[1])
    return None


def _read_integer(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdecimal() else None


def _read(path: Path) -> str:
    """Return the text of a file, or no text if the file cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except (OSError, ValueError):
        return ""


def _unescape(text: str) -> str:
    """Return a path of `/proc/self/mountinfo`, in which some characters are octal numbers."""
    return re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), text)
