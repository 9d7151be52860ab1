"""What a command takes, with all processes that it starts: ``python benchmarks/measure.py COMMAND [ARGUMENT ...]``.

Linux only: processes and memory are read from `/proc`, and orphans are adopted so that their CPU time counts, too.
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
"""Between samples of the memory pass so many times as long as a sample takes, to leave the CPU to what is measured."""

_SHORTEST = 0.005
"""Seconds between samples, at least."""


@dataclass(frozen=True)
class Measured:
    """What a run of a command took."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds of user and system time of all processes."""
    pss: int
    """Peak of the bytes of all processes together; a page that n of them share counts 1/n in each."""
    worker: int
    """Peak of the bytes that one process below the first has for itself; 0 if there was none."""
    exit_code: int
    output: str


def measure(
    command: Sequence[str], environment: Mapping[str, str] | None = None, *, pause: float = _PAUSE, quiet: bool = True
) -> Measured:
    """Run a command to its end; if quietly, keep what it prints. With an infinite pause, memory is not sampled."""
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
    """PSS of a tree of processes, and the largest private memory of one below its root."""
    total = largest = 0
    for number in _tree(root):
        with suppress(psutil.Error):
            memory = psutil.Process(number).memory_full_info()
            total += memory.pss
            largest = max(largest, memory.uss if number != root else 0)
    return total, largest


def _tree(root: int) -> Iterator[int]:
    """A process and all below it, by the kernel's lists of children; psutil would read those of all processes."""
    yield root
    for task in Path(f"/proc/{root}/task").glob("*/children"):
        with suppress(OSError):
            for child in task.read_text().split():
                yield from _tree(int(child))


def _reap_orphans() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, 0)[0]:
            pass


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure the command in the arguments."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    measured = measure(sys.argv[1:], quiet=False)
    print(json.dumps({key: value for key, value in asdict(measured).items() if key != "output"}), file=sys.stderr)
    sys.exit(measured.exit_code)


if __name__ == "__main__":
    main()
