"""Run after run against a raster that is replaced at random moments, while workers and runs are killed.

::

    python tests/soak.py --runs 200

A checker opens every map all the time: from the first complete run on, each must be there, whole, and show one of the
rasters that there have been. After each run there must be no orphan and no temporary file, and over all runs neither
memory nor descriptors may grow. Prints a line for each run and ends with 1 if anything was wrong.
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
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import median

import numpy as np
import psutil
import rasterio
from affine import Affine
from PIL import Image

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
_GONE = 2.5
"""Seconds within which the workers of a killed run must be gone."""


def write_raster(path: Path, variant: int) -> None:
    """A grid of 0.05-degree cells whose every part differs from that of the other variants."""
    values = np.random.default_rng(variant).integers(0, 256, (500, 900)).astype(np.float32)
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "height": 500, "width": 900, "compress": "deflate"}
    with rasterio.open(path, "w", **profile, crs="EPSG:4326", transform=Affine(0.05, 0, -105, 0, -0.05, 45)) as file:
        file.write(values, 1)


def shown(path: Path) -> str:
    """A digest of what an image shows."""
    with Image.open(path) as image:
        return hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()


def command(folder: Path, *options: str) -> list[str]:
    """The command, on a folder's table."""
    return [sys.executable, "-m", "regionplot", "-q", str(folder / "regions.csv"), *options]


def prepare(folder: Path) -> dict[str, set[str]]:
    """Write the inputs, draw every variant elsewhere, and tell what each map may show."""
    (folder / "regionplot.toml").write_text(CONFIG)
    (folder / "regions.csv").write_text(TABLE)
    allowed: dict[str, set[str]] = {name: set() for name in NAMES}
    for variant in range(VARIANTS):
        write_raster(folder / f"variant{variant}", variant)
        renew(folder, variant)
        subprocess.run(command(folder, "-o", str(folder / "expected")), check=True)
        for name in NAMES:
            allowed[name].add(shown(folder / "expected" / f"{name}.png"))
    subprocess.run(command(folder), check=True)
    return allowed


def renew(folder: Path, variant: int) -> None:
    """Put a variant in the raster's place, as a careful writer does."""
    temporary = folder / "grid.tif.part"
    temporary.write_bytes((folder / f"variant{variant}").read_bytes())
    temporary.replace(folder / "grid.tif")


def check(folder: Path, allowed: dict[str, set[str]], over: Event) -> Iterator[str]:
    """What is wrong with a map at any time."""
    while not over.is_set():
        for name in NAMES:
            try:
                found = shown(folder / "output" / f"{name}.png")
            except (OSError, SyntaxError) as error:
                yield f"{name}: {type(error).__name__}: {error}"
                continue
            if found not in allowed[name]:
                yield f"{name}: shows what no raster held"


def watch(folder: Path, allowed: dict[str, set[str]], over: Event) -> None:
    """Write down what `check` finds, until it is over."""
    with (folder / "violations").open("a", buffering=1) as file:
        file.writelines(f"{problem}\n" for problem in check(folder, allowed, over))


def one_run(folder: Path, chance: random.Random) -> tuple[str, str, int]:
    """Run once, with a renewal and perhaps a killing on the way: what was done, what is wrong, and the memory."""
    deed = chance.choice(["nothing", "kill a worker", "kill the run", "kill the run"])
    moments = sorted(chance.uniform(0, 1.6) for _ in range(2))
    process = psutil.Popen(command(folder))
    start, peak, family = time.monotonic(), 0, set[psutil.Process]()
    acts = [lambda: renew(folder, chance.randrange(VARIANTS)), lambda: strike(process, deed, chance)]
    chance.shuffle(acts)
    while process.poll() is None:
        family |= set(children(process))
        peak = max(peak, memory(process))
        if moments and time.monotonic() - start > moments[0]:
            moments.pop(0)
            acts.pop()()
        time.sleep(0.01)
    return deed, "; ".join(faults(folder, process, deed, family)), peak


def strike(process: psutil.Popen, deed: str, chance: random.Random) -> None:
    """Kill what is to be killed, if it is there."""
    victims = [process] if deed == "kill the run" else children(process) if deed == "kill a worker" else []
    if victims:
        chance.choice(victims).kill()


def children(process: psutil.Process) -> list[psutil.Process]:
    """The workers that a run has now."""
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def memory(process: psutil.Process) -> int:
    """Bytes that a run has resident now."""
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def faults(folder: Path, process: psutil.Popen, deed: str, family: set[psutil.Process]) -> Iterator[str]:
    """What is wrong after a run."""
    killed = process.returncode == -signal.SIGKILL
    if process.returncode not in (0, 1) and not killed:
        yield f"exit code {process.returncode}"
    if killed and deed != "kill the run":
        yield "killed by somebody else"
    _, alive = psutil.wait_procs(family, timeout=_GONE)
    if alive:
        yield f"orphans: {alive}"
    leftovers = list((folder / "output").glob(".*.tmp"))
    if leftovers and not killed:
        yield f"temporary files: {leftovers}"


def soak(folder: Path, runs: int, seed: int) -> int:
    """All runs under the checker's eyes; returns how many things were wrong."""
    chance = random.Random(seed)
    context = multiprocessing.get_context("spawn")
    allowed, over = prepare(folder), context.Event()
    checker = context.Process(target=watch, args=(folder, allowed, over))
    checker.start()
    wrong, peaks, deeds = 0, [], Counter[str]()
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for number in range(1, runs + 1):
        deed, problem, peak = one_run(folder, chance)
        peaks += [peak] if deed != "kill the run" else []  # one that is killed early has not loaded all
        deeds[deed] += 1
        wrong += bool(problem)
        print(f"{number}/{runs} {deed}{': ' + problem if problem else ''}", flush=True)
    last = subprocess.run(command(folder), check=False)
    over.set()
    checker.join()
    violations = (folder / "violations").read_text().splitlines()
    grown = median(peaks[-10:]) > 1.2 * median(peaks[:10])
    leaked = len(os.listdir("/proc/self/fd")) > descriptors + 2  # noqa: PTH208
    print(*violations[:20], sep="\n")
    print(f"{dict(deeds)}; wrong maps seen: {len(violations)}; memory grown: {grown}; descriptors leaked: {leaked}")
    return wrong + len(violations) + grown + leaked + last.returncode + checker.exitcode


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="regionplot-soak-") as folder:
        return int(soak(Path(folder), options.runs, options.seed) > 0)


if __name__ == "__main__":
    sys.exit(main())
