"""Run the command many times while its raster is replaced, and workers and runs are killed, at random moments.

::

    python tests/soak.py --runs 200

A checker process opens every map all the time. From the first complete run on, each map must exist, be complete, and
show one of the rasters. After each run, no worker and no temporary file may remain. Over all runs, neither memory nor
descriptors may grow. The script prints a line for each run, and exits with 1 if it finds an error.

With `--warm`, each run is a fork of a process that has done the imports. So more of the random moments lie in the run
itself, and the soak takes a third of the time.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import median

import numpy as np
import psutil
import rasterio
from affine import Affine
from PIL import Image
from warm_start import Command, WarmProcess

NAMES = [f"r{number}" for number in range(6)]
TABLE = "name,west,east,south,north\n" + "".join(
    f"{n},{-99 + 5 * i},{-92 + 5 * i},30,36\n" for i, n in enumerate(NAMES)
)
CONFIG = """
[raster]
path = "grid.tif"
[map]
size = [300, 200]
[colors]
levels = [0, 50, 100, 150, 200, 256]
[[features]]
path = "sample:states"
[run]
workers = 2
maps_per_worker = 2
"""
VARIANTS = 3
_MAX_ORPHAN_SECONDS = 2.5
"""The workers of a killed run must end within this time."""

_PAUSE = 0.005
"""Seconds between two looks at all maps."""

Running = Command | subprocess.Popen[bytes]
Start = Callable[..., Running]
"""Function that starts the command in a folder, with options."""


def write_raster(path: Path, variant: int) -> None:
    """Write a grid of 0.05-degree cells. Each part of it differs from all other variants."""
    values = np.random.default_rng(variant).integers(0, 256, (500, 900)).astype(np.float32)
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "height": 500, "width": 900, "compress": "deflate"}
    with rasterio.open(path, "w", **profile, crs="EPSG:4326", transform=Affine(0.05, 0, -105, 0, -0.05, 45)) as file:
        file.write(values, 1)


def shown(path: Path) -> str:
    """Return a digest of the pixels of an image."""
    with Image.open(path) as image:
        return hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()


@contextmanager
def starting(warm: bool) -> Iterator[Start]:
    """Yield the function that starts a command."""
    if not warm:
        python = [sys.executable, "-m", "regionplot"]
        yield lambda folder, *options: subprocess.Popen([*python, *options], cwd=folder)
        return
    with WarmProcess() as process, Path(os.devnull).open("w") as nothing:
        yield lambda folder, *options: process.start(folder, *options, stdout=nothing, stderr=nothing)


def run_to_end(start: Start, folder: Path, *options: str) -> int:
    """Run the command on a folder's table and return its exit code."""
    return start(folder, "-q", "regions.csv", *options).wait(100)


def prepare(start: Start, folder: Path) -> tuple[dict[str, set[str]], float]:
    """Write the inputs and draw every variant. Return the digests that each map may have, and the seconds of a run."""
    (folder / "regionplot.toml").write_text(CONFIG)
    (folder / "regions.csv").write_text(TABLE)
    allowed: dict[str, set[str]] = {name: set() for name in NAMES}
    for variant in range(VARIANTS):
        write_raster(folder / f"variant{variant}", variant)
        renew(folder, variant)
        assert run_to_end(start, folder, "-o", "expected") == 0
        for name in NAMES:
            allowed[name].add(shown(folder / "expected" / f"{name}.png"))
    began = time.monotonic()
    assert run_to_end(start, folder) == 0
    return allowed, time.monotonic() - began


def renew(folder: Path, variant: int) -> None:
    """Replace the raster by a variant, atomically."""
    temporary = folder / "grid.tif.part"
    temporary.write_bytes((folder / f"variant{variant}").read_bytes())
    temporary.replace(folder / "grid.tif")


def check(folder: Path, allowed: dict[str, set[str]], over: Event) -> Iterator[str]:
    """Yield each error of a map, until the end."""
    while not over.wait(_PAUSE):
        for name in NAMES:
            try:
                found = shown(folder / "output" / f"{name}.png")
            except (OSError, SyntaxError) as error:
                yield f"{name}: {type(error).__name__}: {error}"
                continue
            if found not in allowed[name]:
                yield f"{name}: shows no variant of the raster"


def watch(folder: Path, allowed: dict[str, set[str]], over: Event) -> None:
    """Write the errors that `check` finds to a file, until the end."""
    with (folder / "violations").open("a", buffering=1) as file:
        file.writelines(f"{problem}\n" for problem in check(folder, allowed, over))


def one_run(start: Start, folder: Path, chance: random.Random, seconds: float) -> tuple[str, str, int]:
    """Run once, and act at two random moments within some seconds. Return the deed, the errors, and the memory."""
    deed = chance.choice(["nothing", "kill a worker", "kill the run", "kill the run"])
    moments = sorted(chance.uniform(0, seconds) for _ in range(2))
    command = start(folder, "-q", "regions.csv")
    began, peak, family, process = time.monotonic(), 0, set[psutil.Process](), psutil.Process(command.pid)
    acts = [lambda: renew(folder, chance.randrange(VARIANTS)), lambda: strike(command, process, deed, chance)]
    chance.shuffle(acts)
    while command.poll() is None:
        family |= set(children(process))
        peak = max(peak, memory(process))
        if moments and time.monotonic() - began > moments[0]:
            moments.pop(0)
            acts.pop()()
        time.sleep(0.01)
    return deed, "; ".join(faults(folder, command.returncode, deed, family)), peak


def strike(command: Running, process: psutil.Process, deed: str, chance: random.Random) -> None:
    """Kill the run or one of its workers, if that is the deed."""
    if deed == "kill the run":
        command.kill()
    elif deed == "kill a worker" and (workers := children(process)):
        chance.choice(workers).kill()


def children(process: psutil.Process) -> list[psutil.Process]:
    """Return the present workers of a run: the children of the child of its guard."""
    try:
        return [worker for run in process.children() for worker in run.children(recursive=True)]
    except psutil.Error:
        return []


def memory(process: psutil.Process) -> int:
    """Return the resident memory of a run, the child of its guard, in bytes."""
    try:
        return max((int(run.memory_info().rss) for run in process.children()), default=0)
    except psutil.Error:
        return 0


def faults(folder: Path, exit_code: int | None, deed: str, family: set[psutil.Process]) -> Iterator[str]:
    """Yield the errors after a run."""
    killed = exit_code == -signal.SIGKILL
    if exit_code not in (0, 1) and not killed:
        yield f"exit code {exit_code}"
    if killed and deed != "kill the run":
        yield "killed by another process"
    _, alive = psutil.wait_procs(family, timeout=_MAX_ORPHAN_SECONDS)
    if alive:
        yield f"orphans: {alive}"
    leftovers = list((folder / "output").glob(".*.tmp"))
    if leftovers and not killed:
        yield f"temporary files: {leftovers}"


def soak(start: Start, folder: Path, runs: int, seed: int) -> int:
    """Do all runs beside the checker process. Return the number of errors."""
    chance = random.Random(seed)
    context = multiprocessing.get_context("fork")
    (allowed, seconds), over = prepare(start, folder), context.Event()
    checker = context.Process(target=watch, args=(folder, allowed, over))
    checker.start()
    wrong, peaks, deeds = 0, [], Counter[str]()
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for number in range(1, runs + 1):
        deed, problem, peak = one_run(start, folder, chance, seconds)
        peaks += [peak] if deed != "kill the run" else []  # a killed run may not have loaded everything
        deeds[deed] += 1
        wrong += bool(problem)
        print(f"{number}/{runs} {deed}{': ' + problem if problem else ''}", flush=True)
    last = run_to_end(start, folder)
    over.set()
    checker.join()
    violations = (folder / "violations").read_text().splitlines()
    grown = median(peaks[-10:]) > 1.2 * median(peaks[:10])
    leaked = len(os.listdir("/proc/self/fd")) > descriptors + 2  # noqa: PTH208
    print(*violations[:20], sep="\n")
    print(f"{dict(deeds)}; wrong maps seen: {len(violations)}; memory grown: {grown}; descriptors leaked: {leaked}")
    return wrong + len(violations) + grown + leaked + last + checker.exitcode


def main() -> int:
    """Parse the command line and run the soak."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--warm", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="regionplot-soak-") as folder, starting(options.warm) as start:
        return int(soak(start, Path(folder), options.runs, options.seed) > 0)


if __name__ == "__main__":
    sys.exit(main())
