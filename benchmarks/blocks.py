"""Compare functions over blocks with rasterio, rio-mucho, dask and riogrande: ``python benchmarks/blocks.py``.

`--help` lists the options. Each run is a process of its own, see `block_programs.py`. The two runs of a comparison
alternate. Memory is sampled in runs that are not timed. Compare only ratios of the same session.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from measure import Measured, measure

_MEGABYTE = 2**20
_SCRIPT = Path(__file__).with_name("block_programs.py")


@dataclass(frozen=True)
class Row:
    """A comparison of two programs of `block_programs.py`."""

    text: str
    other: str
    ours: str
    work: str = "light"
    needs: tuple[str, ...] = ()
    """Modules without which the row is left out."""


PEERS = (
    Row("rasterio's threads, light work", "rasterio-threads", "threads"),
    Row("rasterio's threads, work without the GIL", "rasterio-threads", "threads", "release"),
    Row("rasterio's processes, light work", "rasterio-processes", "fork"),
    Row("rasterio's processes, work with the GIL", "rasterio-processes", "fork", "hold"),
    Row("rio-mucho, light work", "rio-mucho", "fork", needs=("riomucho",)),
    Row("rio-mucho, work with the GIL", "rio-mucho", "fork", "hold", ("riomucho",)),
    Row("dask and xarray.map_blocks, light work", "dask-xarray", "fork", needs=("dask", "rioxarray")),
    Row("dask and xarray.map_blocks, with the GIL", "dask-xarray", "fork", "hold", ("dask", "rioxarray")),
    Row("riogrande's compute_mask", "riogrande-mask", "compute_mask"),
    Row("riogrande's prepare_selector", "riogrande-selector", "prepare_selector"),
)
"""Rows of the table of other programs."""
OURS = (
    Row("serial, work with the GIL, by 2 processes", "serial", "fork", "hold"),
    Row("serial, work without the GIL, by 2 threads", "serial", "threads", "release"),
    Row("results through a pipe, by 2 processes", "pipe", "fork"),
)
"""Rows of the table of executors."""
MEMORY = ("serial", "threads", "fork", "spawn", "rio-mucho", "rasterio-processes")


class Bench:
    """Run programs on one raster and print the results."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self._folder, self._options = folder, options

    def run(self, program: str, work: str, pause: float = math.inf) -> Measured:
        """Run one program and measure it. Exit if the run fails."""
        command = [sys.executable, str(_SCRIPT), program, work, str(self._folder), str(self._options.block)]
        measured = measure(command, {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}, pause=pause)
        if measured.exit_code:
            sys.exit(f"exit code {measured.exit_code}: {program}, {work}")
        for output in self._folder.glob("out.*"):
            output.unlink()
        return measured

    def print_table(self, rows: Sequence[Row]) -> None:
        """Print the time of the other program divided by our time: fastest runs, median of the pairs, CPU time."""
        print(f"\n{'other / ours':<44}  wall  pairs   cpu")
        for row in rows:
            if all(map(importlib.util.find_spec, row.needs)):
                self._print_row(row)

    def _print_row(self, row: Row) -> None:
        pairs = [(self.run(row.ours, row.work), self.run(row.other, row.work)) for _ in range(self._options.repeat)]
        fastest = min(other.wall for _, other in pairs) / min(ours.wall for ours, _ in pairs)
        median = statistics.median(other.wall / ours.wall for ours, other in pairs)
        cpu = min(other.cpu for _, other in pairs) / min(ours.cpu for ours, _ in pairs)
        walls = " ".join(f"{other.wall:.2f}/{ours.wall:.2f}" for ours, other in pairs) if self._options.absolute else ""
        print(f"{row.text:<44} {fastest:5.2f}  {median:5.2f} {cpu:5.2f}  {walls}".rstrip(), flush=True)

    def print_memory(self, programs: Sequence[str]) -> None:
        """Print the peak memory of all processes of each program, sampled without pauses."""
        print("\npeak memory of all processes, light work")
        for program in programs:
            if program != "rio-mucho" or importlib.util.find_spec("riomucho"):
                print(f"{program:<44} {self.run(program, 'light', pause=0).pss / _MEGABYTE:5.0f} MB", flush=True)


def one_row_per_program(rows: Sequence[Row]) -> list[Row]:
    """Return the first row of each other program, without dask, whose import takes long."""
    first = {row.other: row for row in reversed(rows) if "dask" not in row.needs}
    return [row for row in rows if row in first.values()]


def make_raster(path: Path, height: int, width: int, block: int) -> None:
    """Write a raster of float32 noise, tiled and not compressed."""
    profile = {
        "driver": "GTiff", "dtype": "float32", "count": 1, "height": height, "width": width, "crs": "EPSG:5070",
        "transform": Affine(100, 0, 5, 0, -100, 5), "tiled": True, "blockxsize": block, "blockysize": block,
    }  # fmt: skip
    random = np.random.default_rng(1)
    with rasterio.open(path, "w", **profile) as dataset:
        for _, window in dataset.block_windows(1):
            dataset.write(random.random((1, window.height, window.width), np.float32), window=window)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="use a tiny raster, to check that the programs work")
    parser.add_argument("--size", type=int, nargs=2, default=(14_000, 7_000), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--block", type=int, default=512, help="rows and columns of a block; a multiple of 16")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each program in each row")
    parser.add_argument("--only", default="", help="print only the rows whose text contains this")
    parser.add_argument("--absolute", action="store_true", help="also print seconds")
    parser.add_argument("--folder", help="folder for the rasters; by default, the folder for temporary files")
    options = parser.parse_args()
    tables, memory = [PEERS, OURS], MEMORY
    if options.small:
        options.size, options.block, options.repeat = (200, 100), 64, 1
        tables, memory = [one_row_per_program(PEERS)], MEMORY[2:3]
    width, height = options.size
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        make_raster(Path(folder) / "in.tif", height, width, options.block)
        bench = Bench(Path(folder), options)
        for rows in tables:
            bench.print_table([row for row in rows if options.only in row.text])
        if not options.only:
            bench.print_memory(memory)


if __name__ == "__main__":
    main()
