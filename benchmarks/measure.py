"""Measure a command with all processes that it starts: ``python benchmarks/measure.py COMMAND [ARGUMENT ...]``.

Linux only: processes and memory are read from `/proc`. Orphaned processes are adopted, so that their CPU time counts.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

_SET_CHILD_SUBREAPER = 36
_PAUSE = 10
"""Pause between two samples of the memory, as a multiple of the time that a sample takes. The pause leaves the CPU to
the command."""

_SHORTEST = 0.005
"""Shortest pause between two samples, in seconds."""


@dataclass(frozen=True)
class Measured:
    """Time and memory of one run of a command."""

    wall: float
    """Wall time in seconds."""
    cpu: float
    """Seconds of user and system time of all processes."""
    pss: int
    """Peak memory of all processes together in bytes. A page that n processes share counts 1/n in each process."""
    worker: int
    """Peak private memory of one child process in bytes. 0 if there was no child process."""
    exit_code: int
    output: str


def measure(
    command: Sequence[str], environment: Mapping[str, str] | None = None, *, pause: float = _PAUSE, quiet: bool = True
) -> Measured:
    """Run a command and measure it.

    If `quiet` is set, the output is captured, not printed. With an infinite `pause`, memory is not sampled.
    """
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = _cpu_of_children()
    start = time.perf_counter()
    process = subprocess.Popen(
        command, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE if quiet else None, text=True
    )
    pss = worker = 0
    while pause < math.inf and process.poll() is None:
        began = time.perf_counter()
        total, largest = _memory(process.pid)
        pss, worker = max(pss, total), max(worker, largest)
        _wait(process, max(_SHORTEST, pause * (time.perf_counter() - began)))
    output = process.communicate()[0] or ""
    wall = time.perf_counter() - start
    _reap_orphans()
    return Measured(wall, _cpu_of_children() - before, pss, worker, process.returncode, output)


def _wait(process: subprocess.Popen[str], seconds: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def _memory(root: int) -> tuple[int, int]:
    """Return the PSS of a tree of processes, and the largest private memory of one worker, in bytes.

    A worker is a process that has a parent in the tree and no children.
    """
    total = largest = 0
    for number in _tree(root):
        with suppress(psutil.Error):
            memory = psutil.Process(number).memory_full_info()
            total += memory.pss
            is_worker = number != root and len(list(_tree(number))) == 1
            largest = max(largest, memory.uss if is_worker else 0)
    return total, largest


def _tree(root: int) -> Iterator[int]:
    """Yield a process and all its descendants.

    The kernel has a list of children for each thread. psutil would read all processes of the machine.
    """
    yield root
    for child in _children(root):
        yield from _tree(child)


def _children(process: int) -> list[int]:
    """Return the children of a process. A process or thread that ends meanwhile has none."""
    found: list[int] = []
    with suppress(OSError):
        for path in Path(f"/proc/{process}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, path.read_text().split())
    return found


def _reap_orphans() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, 0)[0]:
            pass


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure the command that the arguments give, and print the result as JSON to stderr."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    measured = measure(sys.argv[1:], quiet=False)
    print(json.dumps({key: value for key, value in asdict(measured).items() if key != "output"}), file=sys.stderr)
    sys.exit(measured.exit_code)


if __name__ == "__main__":
    main()
