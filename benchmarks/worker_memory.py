"""Measure the memory of workers that are not forked: ``python benchmarks/worker_memory.py [--help]``.

For each raster and start method, the same maps are drawn by 1, 2 and 4 workers. The table shows the peak memory of all
processes, and how much of it each further worker adds. The cache is filled by an earlier run, or empty, as in a first
run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from inputs import Inputs, make_inputs, parse_size
from measure import measure

_MEGABYTE = 2**20
_SMALL_MAPS = 2
_HEADER = "     raster  colors      method  cache   workers   peak PSS  each further worker"


@dataclass(frozen=True)
class Case:
    """Maps of one raster, drawn by workers that are started by one method."""

    inputs: Inputs
    size: tuple[int, int]
    maps: int
    method: str
    colors: str
    """`levels`, or `continuous` for a color scale that needs the values of the cells."""
    cache: str
    """`filled` by an earlier run, or `empty`."""

    def settings(self) -> Path:
        """Write the settings of the case, and return their path."""
        text = self.inputs.config("same").read_text(encoding="utf-8")
        lines = [
            f'path = "{self.inputs.raster(self.size).name}"' if line.startswith('path = "snow') else line
            for line in text.splitlines()
            if not (self.colors == "continuous" and line.startswith("levels"))
        ]
        path = self.inputs.folder / f"memory_{self.colors}_{self.size[0]}.toml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def peak(self, workers: int) -> float:
        """Return the peak PSS of all processes in MB."""
        arguments = "-c", str(self.settings()), "-j", str(workers), "--executor", self.method, "--force", "-q"
        with tempfile.TemporaryDirectory() as output, tempfile.TemporaryDirectory() as empty:
            command = [sys.executable, "-m", "regionplot", "render", str(self.inputs.table(self.maps)), "-o", output]
            cache = {"XDG_CACHE_HOME": empty} if self.cache == "empty" else {}
            measured = measure([*command, *arguments], {"OPENBLAS_NUM_THREADS": "1", **cache}, pause=3)
        if measured.exit_code:
            sys.exit(measured.output)
        return measured.pss / _MEGABYTE


def print_case(case: Case, counts: Sequence[int]) -> None:
    """Measure a case with several numbers of workers, and print a line for each."""
    if case.maps > _SMALL_MAPS and case.cache == "filled":
        case.peak(counts[0])  # fills the caches of files, vectors and ink
    alone: float | None = None
    for workers in counts:
        peak = case.peak(workers)
        alone = peak if alone is None else alone
        more = f"{(peak - alone) / (workers - counts[0]):10.0f} MB" if workers > counts[0] else ""
        grid = f"{case.size[0]}x{case.size[1]}"
        names = f"{grid:>11}  {case.colors:<10} {case.method:>7}  {case.cache:<6}"
        print(f"{names} {workers:>8} {peak:>7.0f} MB {more}", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Measure the memory of workers that are not forked.")
    parser.add_argument("--inputs", type=Path, help="folder that keeps the inputs for the next run")
    parser.add_argument("--small", action="store_true", help="a tiny raster and two workers, to test this program")
    parser.add_argument("--sizes", nargs="*", type=parse_size, default=[(5000, 3400), (20_000, 13_600)], metavar="SIZE")
    parser.add_argument("--methods", nargs="*", default=["spawn"], metavar="METHOD")
    parser.add_argument("--colors", nargs="*", default=["levels", "continuous"], metavar="COLORS")
    parser.add_argument("--caches", nargs="*", default=["filled", "empty"], metavar="CACHE")
    parser.add_argument("--workers", nargs="*", type=int, default=[1, 2, 4], metavar="N")
    parser.add_argument("--maps", type=int, default=12)
    options = parser.parse_args()
    if options.small:
        options.sizes, options.colors, options.workers, options.maps = [(400, 272)], ["continuous"], [1, 2], _SMALL_MAPS
        options.caches = ["filled"]
    with tempfile.TemporaryDirectory() as temporary:
        inputs = make_inputs(options.inputs or Path(temporary), options.sizes, [options.maps])
        print(_HEADER)
        for size in options.sizes:
            for method in options.methods:
                for colors, cache in product(options.colors, options.caches):
                    print_case(Case(inputs, size, options.maps, method, colors, cache), options.workers)


if __name__ == "__main__":
    main()
