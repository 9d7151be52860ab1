"""Compare functions over blocks in parallel with one process, and with rio-mucho: ``python benchmarks/blocks.py``.

`--help` lists the options. Each run is a separate process. The two runs of a comparison alternate. Memory is sampled in
runs that are not timed. Compare only ratios of the same session.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from measure import Measured, measure

_MEGABYTE = 2**20
_ITERATIONS = 700_000


def hold(values: np.ndarray, rounds: int) -> np.ndarray:
    """Do work that holds the GIL."""
    total = 0
    for number in range(rounds * _ITERATIONS * values.size // 2**18):
        total += number & 7
    return values + np.float32(total & 1)


def release(values: np.ndarray, rounds: int) -> np.ndarray:
    """Do work that releases the GIL: elementary functions of NumPy."""
    for _ in range(rounds * 8):
        values = np.cos(np.sin(values))
    return values


def copy(values: np.ndarray, rounds: int) -> np.ndarray:
    """Do almost no work, so that only reading, sending and writing the cells takes time."""
    return values * np.float32(1 + rounds)


WORK: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {"hold": hold, "release": release, "copy": copy}


def over_block(arrays: list[np.ndarray], _block: Any, arguments: tuple[str, int]) -> np.ndarray:
    """Work on a block. regionplot calls this function."""
    return WORK[arguments[0]](arrays[0], arguments[1])


def over_window(arrays: list[np.ndarray], _window: Any, _ij: Any, arguments: dict[str, Any]) -> np.ndarray:
    """Work on a window. rio-mucho calls this function."""
    return WORK[arguments["work"]](arrays[0], arguments["rounds"])


@dataclass(frozen=True)
class Case:
    """Settings of one run: executor, work, number of workers, block size."""

    who: str
    """An executor of regionplot, `pipe` (fork without shared memory), or `rio-mucho`."""
    work: str
    workers: int = 2
    block: int = 512

    def __str__(self) -> str:
        return f"{self.work}, {self.who} x {self.workers}, blocks of {self.block}"


def run_case(case: Case, folder: Path, rounds: int) -> None:
    """Process the raster in `folder` with the settings of a case."""
    source, target = folder / "in.tif", folder / f"{case.who}.tif"
    with rasterio.open(source) as dataset:
        profile, shape = dataset.profile, dataset.shape
    if case.who == "rio-mucho":
        _run_riomucho(case, source, target, profile, rounds)
        return
    from regionplot.blocks import runner  # noqa: PLC0415
    from regionplot.blocks.grid import BlockGrid  # noqa: PLC0415
    from regionplot.blocks.process import process_blocks  # noqa: PLC0415 (its import is part of the run)

    if case.who == "pipe":
        runner.memory_can_be_shared = lambda: False
    executor = "fork" if case.who == "pipe" else case.who
    grid = BlockGrid(*shape, case.block, case.block)
    arguments = case.work, rounds
    print(process_blocks(over_block, source, target, grid=grid, arguments=arguments, executor=executor, workers=2))


def _run_riomucho(case: Case, source: Path, target: Path, profile: dict[str, Any], rounds: int) -> None:
    import riomucho  # noqa: PLC0415 (optional)
    from rasterio.windows import Window  # noqa: PLC0415

    side, height, width = case.block, profile["height"], profile["width"]
    windows = [
        (Window(column, row, min(side, width - column), min(side, height - row)), (row // side, column // side))
        for row in range(0, height, side)
        for column in range(0, width, side)
    ]
    arguments = {"work": case.work, "rounds": rounds}
    with riomucho.RioMucho(
        [str(source)], str(target), over_window, windows=windows, global_args=arguments, options=profile,
        mode="simple_read",
    ) as run:  # fmt: skip
        run.run(case.workers)


def make_raster(path: Path, side: int) -> None:
    """Write a raster of float32 noise, tiled and not compressed."""
    profile = {
        "driver": "GTiff", "dtype": "float32", "count": 1, "height": side, "width": side, "crs": "EPSG:5070",
        "transform": Affine(100, 0, 5, 0, -100, 5), "tiled": True, "blockxsize": 512, "blockysize": 512,
    }  # fmt: skip
    random = np.random.default_rng(1)
    with rasterio.open(path, "w", **profile) as dataset:
        for _, window in dataset.block_windows(1):
            dataset.write(random.random((1, window.height, window.width), np.float32), window=window)


class Bench:
    """Run cases on one raster and print the results."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self._folder, self._options = folder, options

    def run(self, case: Case, pause: float = math.inf) -> Measured:
        """Run one case and measure it. Exit if the run fails."""
        fields = [case.who, case.work, str(case.workers), str(case.block)]
        command = [sys.executable, __file__, "--rounds", str(self._options.rounds)]
        measured = measure([*command, "--case", str(self._folder), *fields], {"OMP_NUM_THREADS": "1"}, pause=pause)
        if measured.exit_code:
            sys.exit(f"exit code {measured.exit_code}: {case}")
        (self._folder / f"{case.who}.tif").unlink()
        return measured

    def print_ratio(self, what: str, case: Case, other: Case) -> None:
        """Print the time of `other` divided by the time of `case`.

        The runs alternate, and the fastest run of each counts, because other programs may use the machine.
        """
        pairs = [(self.run(case), self.run(other)) for _ in range(self._options.repeat)]
        wall = min(its.wall for _, its in pairs) / min(mine.wall for mine, _ in pairs)
        cpu = min(its.cpu for _, its in pairs) / min(mine.cpu for mine, _ in pairs)
        walls = " ".join(f"{mine.wall:.1f}/{its.wall:.1f}" for mine, its in pairs) if self._options.absolute else ""
        print(f"{what:<52} {wall:5.2f} {cpu:5.2f}  {walls}".rstrip(), flush=True)

    def print_memory(self, what: str, case: Case) -> None:
        """Print the peak memory of all processes of a case, sampled without pauses."""
        print(f"{what:<52} {self.run(case, pause=0).pss / _MEGABYTE:5.0f} MB", flush=True)


def print_table(bench: Bench) -> None:
    """Run and print all comparisons."""
    held, released, light = (Case("serial", work, 1) for work in WORK)
    print("time of the second / time of the first; above 1, the first is better:")
    print(f"{'':<52}  wall   cpu")
    bench.print_ratio("holds the lock: 2 processes / serial", replace(held, who="fork", workers=2), held)
    bench.print_ratio("releases it: 2 threads / serial", replace(released, who="threads", workers=2), released)
    large = Case("fork", "copy", block=2048)
    bench.print_ratio("512 x 512 results: memory / pipe", Case("fork", "copy"), Case("pipe", "copy"))
    bench.print_ratio("2048 x 2048 results: memory / pipe", large, replace(large, who="pipe"))
    if importlib.util.find_spec("riomucho"):
        for what, case in (("holds the lock", Case("fork", "hold")), ("releases it", Case("fork", "release")),
                           ("512 x 512 results", Case("fork", "copy")), ("2048 x 2048 results", large)):  # fmt: skip
            bench.print_ratio(f"{what}: regionplot / rio-mucho", case, replace(case, who="rio-mucho"))
        bench.print_ratio(
            "releases it: 2 threads / rio-mucho", Case("threads", "release"), Case("rio-mucho", "release")
        )
        bench.print_memory("memory, rio-mucho", Case("rio-mucho", "copy"))
    for who in ("serial", "threads", "fork", "spawn"):
        bench.print_memory(f"memory, {who}", replace(light, who=who, workers=2))


def main() -> None:
    """Print the table, or run the single case of `--case`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="use a tiny raster, to check that the program works")
    parser.add_argument("--side", type=int, default=10_000, help="rows and columns of the raster")
    parser.add_argument("--rounds", type=int, default=1, help="amount of work per block")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each case")
    parser.add_argument("--absolute", action="store_true", help="also print seconds")
    parser.add_argument(
        "--case", nargs=5, metavar=("FOLDER", "WHO", "WORK", "WORKERS", "BLOCK"), help="for internal use"
    )
    options = parser.parse_args()
    if options.case:
        folder, who, work, workers, block = options.case
        run_case(Case(who, work, int(workers), int(block)), Path(folder), options.rounds)
        return
    if options.small:
        options.side, options.repeat = 600, 1
    with tempfile.TemporaryDirectory() as folder:
        make_raster(Path(folder) / "in.tif", options.side)
        print_table(Bench(Path(folder), options))


if __name__ == "__main__":
    main()
