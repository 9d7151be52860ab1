"""Compare time and memory of regionplot with the baseline: ``python benchmarks/run.py``; `--help` lists the options.

For each case, runs of `regionplot` and of `baseline.py` alternate, so that both run under the same conditions. Medians
are compared. The baseline is slow, so it draws only a few maps of a case. The costs of all maps are estimated.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from inputs import TABLES, Inputs, make_inputs, parse_size
from measure import Measured, measure

_FOLDER = Path(__file__).parent
_MEGABYTE = 2**20
_LARGE = 20_000, 13_600
_SMALL = {"sizes": [(400, 272)], "regions": [2], "workers": [2], "layers": ["states"], "sheet": (320, 220), "repeat": 0}
_USUAL = {
    "sizes": [(2000, 1360), (5000, 3400)], "regions": list(TABLES), "workers": [1, 2],
    "layers": ["counties", "states", "countries"], "sheet": (1400, 900), "repeat": 3,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One case: size of the raster, number of maps, number of workers, and CRS."""

    size: tuple[int, int]
    maps: int
    workers: int
    crs: str

    def __str__(self) -> str:
        grid = f"{self.size[0]}x{self.size[1]}"
        return f"{grid:>11} {self.maps:>4} {self.workers:>7} {self.crs:>5}"


@dataclass(frozen=True)
class Costs:
    """Time and memory of all maps of a case. For the baseline, partly estimated."""

    wall: float
    """Wall time in seconds."""
    cpu: float
    """CPU time per map in seconds, with the startup."""
    pss: float
    """Peak PSS of all processes in megabytes."""
    worker: float
    """Peak private memory of one worker in megabytes."""

    @classmethod
    def of(cls, measured: Measured, wall: float, cpu: float, maps: int) -> Costs:
        """Return the costs of a run, from the wall time and the CPU time of all maps."""
        return cls(wall, cpu / maps, measured.pss / _MEGABYTE, measured.worker / _MEGABYTE)

    @classmethod
    def median(cls, timed: Sequence[Costs], sampled: Sequence[Costs]) -> Costs:
        """Return the median times of the timed runs, and the peak memory of the sampled runs."""
        return cls(
            median(run.wall for run in timed),
            median(run.cpu for run in timed),
            max(run.pss for run in sampled),
            max(run.worker for run in sampled),
        )

    def over(self, other: Costs) -> tuple[float, ...]:
        """Return the ratios of these costs to other costs. A ratio is NaN if the other cost is 0."""
        pairs = (self.wall, other.wall), (self.cpu, other.cpu), (self.pss, other.pss), (self.worker, other.worker)
        return tuple(mine / its if its else math.nan for mine, its in pairs)


class Bench:
    """Run the two commands that are compared."""

    def __init__(self, inputs: Inputs, folder: Path, options: argparse.Namespace) -> None:
        self._inputs = inputs
        self._folder = folder
        self._sheet = options.sheet
        self._few = options.baseline_maps
        self.is_small = options.small
        self._pause = 4 if options.small else 10
        self.short_pause = 4 if options.small else 0
        """Pause between two samples of the memory in runs that are not timed, as a multiple of the time of a sample."""

    def product(self, case: Case, pause: float = math.inf) -> Costs:
        """Run `regionplot`. With an infinite `pause`, memory is not sampled, because sampling takes CPU time."""
        inputs = self._inputs
        table, config, raster = inputs.table(case.maps), inputs.config(case.crs), inputs.raster(case.size)
        command = [sys.executable, "-m", "regionplot", "-q", "--force", str(table), "--config", str(config)]
        command += ["--raster", str(raster), "--output", str(self._folder / "maps"), "--workers", str(case.workers)]
        measured = self._run(command, pause)
        return Costs.of(measured, measured.wall, measured.cpu, case.maps)

    def drawn_by_baseline(self, case: Case) -> int:
        """Return the number of maps that the baseline draws for a case."""
        return min(case.maps, max(self._few, case.workers))

    def baseline(self, case: Case) -> Costs:
        """Run `baseline.py`, and estimate the costs of all maps if it draws only a few."""
        inputs, drawn = self._inputs, self.drawn_by_baseline(case)
        files = [inputs.table(case.maps), inputs.raster(case.size), self._folder / "baseline", *inputs.layers]
        command = [sys.executable, str(_FOLDER / "baseline.py"), *map(str, files), "--crs", case.crs]
        command += ["--workers", str(case.workers), "--count", str(drawn), "--sheet", *map(str, self._sheet)]
        measured = self._run(command, self._pause)
        times = json.loads(measured.output)
        left = case.maps - drawn
        wall = measured.wall + mean(times["map_wall"]) * left / case.workers
        return Costs.of(measured, wall, measured.cpu + mean(times["map_cpu"]) * left, case.maps)

    def _run(self, command: Sequence[str], pause: float) -> Measured:
        """Run a command with a separate cache folder. Exit if the command fails."""
        variables = {"XDG_CACHE_HOME": str(self._folder / "cache"), "OMP_NUM_THREADS": "1"}
        measured = measure(command, variables, pause=pause)
        if measured.exit_code:
            sys.exit(f"exit code {measured.exit_code}: {' '.join(command)}")
        return measured


def compare(bench: Bench, case: Case, repeat: int) -> tuple[Costs, Costs]:
    """Return the costs of regionplot and of the baseline, from alternating runs."""
    memory = product_memory(bench, case)
    runs = [(bench.product(case), bench.baseline(case)) for _ in range(repeat)] or [(*memory, bench.baseline(case))]
    products, baselines = zip(*runs, strict=True)
    return Costs.median(products, memory), Costs.median(baselines, baselines)


def product_memory(bench: Bench, case: Case) -> list[Costs]:
    """Fill the caches, unless the inputs are tiny. Then run regionplot once and sample its memory often."""
    if not bench.is_small:
        bench.product(case)
    return [bench.product(case, pause=bench.short_pause)]


def product_alone(bench: Bench, case: Case, repeat: int) -> Costs:
    """Return the costs of regionplot with filled caches."""
    memory = product_memory(bench, case)
    return Costs.median([bench.product(case) for _ in range(repeat)] or memory, memory)


_NAMES = f"{'raster':>11} {'maps':>4} {'workers':>7} {'crs':>5}"


def print_ratios(bench: Bench, cases: Sequence[Case], repeat: int, *, absolute: bool) -> None:
    """Print the costs of the baseline divided by the costs of regionplot, one line for each case."""
    print("baseline / regionplot: above 1, regionplot is better")
    print(f"{_NAMES} | {'wall':>7} {'cpu/map':>7} {'pss':>7} {'private':>7} | baseline drew")
    for case in cases:
        product, baseline = compare(bench, case, repeat)
        ratios = " ".join(f"{ratio:7.2f}" for ratio in baseline.over(product))
        drawn = bench.drawn_by_baseline(case)
        note = "all" if drawn == case.maps else f"{drawn}, the rest is estimated"
        print(f"{case} | {ratios} | {note}", flush=True)
        if absolute:
            print(f"{'regionplot':>30} | {_costs(product)}\n{'baseline':>30} | {_costs(baseline)}", flush=True)


def print_costs(bench: Bench, cases: Sequence[Case], repeat: int) -> None:
    """Print the costs of regionplot, one line for each case."""
    print("regionplot alone, on this machine")
    print(f"{_NAMES} | wall s, CPU ms per map, peak PSS MB, private MB of a worker")
    for case in cases:
        print(f"{case} | {_costs(product_alone(bench, case, repeat))}", flush=True)


def _costs(costs: Costs) -> str:
    return f"{costs.wall:7.2f} {1000 * costs.cpu:7.0f} {costs.pss:7.0f} {costs.worker:7.0f}"


def cases_of(options: argparse.Namespace) -> Iterator[Case]:
    """Yield all combinations of the options."""
    for size in options.sizes:
        for crs in options.crs:
            for maps in options.regions:
                for workers in options.workers:
                    yield Case(size, maps, workers, crs)


def parse_options() -> argparse.Namespace:
    """Parse the command line. Missing options get their default, or a small value with `--small`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=parse_size, metavar="WxH", help="sizes of the rasters in cells")
    parser.add_argument("--regions", nargs="+", type=int, metavar="N", help="maps in the table, at most 120")
    parser.add_argument("--workers", nargs="+", type=int, metavar="N")
    parser.add_argument("--crs", nargs="+", choices=["same", "other"], default=["same", "other"])
    parser.add_argument(
        "--repeat",
        type=int,
        help="number of pairs of timed runs for each case; 0 times the run whose memory is sampled",
    )
    parser.add_argument(
        "--baseline-maps", type=int, default=3, metavar="N", help="maximum number of maps that the baseline draws"
    )
    parser.add_argument("--skip-baseline", action="store_true", help="print the costs of regionplot, without ratios")
    parser.add_argument("--absolute", action="store_true", help="also print the costs, below the ratios")
    parser.add_argument("--small", action="store_true", help="use tiny inputs, to check that the program works")
    parser.add_argument("--large", action="store_true", help="add a raster of 20000x13600")
    parser.add_argument("--inputs", type=Path, metavar="DIR", help="keep the inputs in this folder for the next run")
    options = parser.parse_args()
    for name, value in (_SMALL if options.small else _USUAL).items():
        if getattr(options, name, None) is None:
            setattr(options, name, value)
    options.sizes = [*options.sizes, *([_LARGE] if options.large else [])]
    return options


def main() -> None:
    """Measure all cases and print the table."""
    options = parse_options()
    with tempfile.TemporaryDirectory(prefix="regionplot-bench-") as folder:
        place = options.inputs or Path(folder, "inputs")
        inputs = make_inputs(place, options.sizes, options.regions, options.layers, options.sheet)
        bench = Bench(inputs, Path(folder), options)
        cases = list(cases_of(options))
        if options.skip_baseline:
            print_costs(bench, cases, options.repeat)
        else:
            print_ratios(bench, cases, options.repeat, absolute=options.absolute)


if __name__ == "__main__":
    main()
