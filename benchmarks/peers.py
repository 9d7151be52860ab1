"""Compare regionplot with other programs that draw series of maps: ``python benchmarks/peers.py``.

`--help` lists the options. All programs (peers) draw the same regions of the same raster, with the same lines and
classes, in two processes. Each peer is used in its fastest way; `docs/peers.md` describes them. Runs alternate. The
pictures of a peer are compared with those of regionplot, so that a broken peer does not count as a fast one. For a peer
that is not installed, the program prints how to install it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from inputs import TABLES
from peer_check import Agreement, BrokenError
from peer_runs import PEERS, Bench, Costs, NewRegions, Peer, Plain, Runner, Script

_SMALL = {"size": (400, 272), "regions": [2], "layers": ["states"], "sheet": (320, 220), "repeat": 0}
_USUAL = {
    "size": (5000, 3400), "regions": list(TABLES), "layers": ["counties", "states", "countries"],
    "sheet": (1400, 900), "repeat": 3,
}  # fmt: skip
_OURS, _NEW = "regionplot", "new"
"""Name of regionplot, and of regionplot with regions that no earlier run has drawn."""


@dataclass(frozen=True)
class Row:
    """Costs of one program for a table, and the agreement of its pictures with those of regionplot."""

    name: str
    costs: Costs
    agreement: Agreement
    prepared: float
    """Seconds of preparation. They are not included in the costs."""


class Table:
    """One table of regions, and the programs that draw it."""

    def __init__(self, bench: Bench, runners: Sequence[Runner], count: int) -> None:
        self._runners = [Runner(bench, _OURS, count), *runners]
        self._count, self._is_small = count, bench.is_small
        self._task = json.loads(bench.tasks[count].read_text(encoding="utf-8"))
        self._sampled: dict[str, Costs] = {}
        self._prepared: dict[str, float] = {}
        self.broken: dict[str, str] = {}
        """Problem of each broken program, by name."""
        bench.draw_bare(count)

    def measure(self, repeat: int) -> list[Row]:
        """Run all programs in turn. The memory of a first run of each program is sampled. This run is not timed."""
        runs: dict[str, list[Costs]] = {runner.name: [] for runner in self._runners}
        self._each(self._warm_up)
        for _ in range(repeat):
            self._each(lambda runner: runs[runner.name].append(runner.run()))
        found: dict[str, Agreement] = {}
        self._each(lambda runner: found.update({runner.name: runner.check(self._task)}))
        return [
            Row(
                name,
                Costs.over_runs(runs[name] or [self._sampled[name]], self._sampled[name]),
                agreement,
                self._prepared[name],
            )
            for name, agreement in found.items()
        ]

    def _warm_up(self, runner: Runner) -> None:
        self._prepared[runner.name] = runner.prepare()
        if runner.name in (_OURS, _NEW) and not self._is_small:
            runner.run()  # fill the cache of vectors
        self._sampled[runner.name] = runner.run(pause=4 if self._is_small else 0)

    def _each(self, step: Callable[[Runner], object]) -> None:
        """Do a step for all programs that are not broken."""
        for runner in self._runners:
            if runner.name not in self.broken:
                try:
                    step(runner)
                except BrokenError as error:
                    self.broken[runner.name] = str(error)


def print_rows(rows: Sequence[Row], count: int, *, absolute: bool) -> None:
    """Print the costs of each peer, divided by the costs of regionplot."""
    ours = next(row for row in rows if row.name == _OURS).costs
    for row in rows:
        ratios = " ".join(f"{ratio:7.2f}" for ratio in row.costs.over(ours))
        seen = f"{row.agreement.classes:7.1%} {row.agreement.lines:7.1%} {row.agreement.kilobytes:6.0f}"
        print(f"{row.name:<11} {count:>4} | {ratios} | {seen}{_absolute(row, count) if absolute else ''}", flush=True)


def _absolute(row: Row, count: int) -> str:
    costs = row.costs
    return f" | {costs.wall:6.2f} {1000 * costs.cpu / count:7.0f} {costs.pss:6.0f} {row.prepared:7.1f}"


def print_head(*, absolute: bool) -> None:
    """Print the head of the table."""
    print("peer / regionplot: above 1, regionplot is better; below 1, the peer is better")
    print(f"{_NEW}: regionplot with new regions in each run; divide the ratio of a peer by its ratio")
    seconds = " | wall s  ms/map     MB  prep s" if absolute else ""
    print(f"{'':<11} maps | {'wall':>7} {'cpu':>7} {'pss':>7} | classes   lines     kB{seconds}")


def missing_from(peer: Peer, python: str) -> bool:
    """Return True if a peer is not installed: if a module cannot be imported, or a program is missing."""
    if any(shutil.which(program) is None for program in peer.programs) or shutil.which(python) is None:
        return True
    probe = [python, "-c", f"import {peer.modules}"]
    return subprocess.run(probe, check=False, capture_output=True).returncode != 0


def found_peers(names: Iterable[str] | None, pythons: dict[str, str]) -> Iterator[tuple[Peer, str]]:
    """Yield the installed peers, with their Python. Print how to install the other peers."""
    for peer in PEERS:
        python = pythons.get(peer.name, peer.python)
        if names and peer.name not in names:
            continue
        if missing_from(peer, python):
            print(f"{peer.name} is left out, because it is not installed; {peer.install}")
        else:
            print(f"{peer.name}: missing in its pictures: {peer.lacks or 'nothing'}")
            yield peer, python


def runner_of(bench: Bench, peer: Peer, python: str, count: int) -> Runner:
    """Return the runner of a peer."""
    return Plain(bench, peer.name, count) if peer.name == "plain" else Script(bench, peer, python, count)


def parse_python(text: str) -> tuple[str, str]:
    """Parse the peer and the path from text such as `satpy=venv/bin/python`."""
    name, separator, path = text.partition("=")
    if not separator or name not in {peer.name for peer in PEERS}:
        raise argparse.ArgumentTypeError(f"{text!r} is not PEER=PATH with a known peer")
    return name, path


def parse_options() -> argparse.Namespace:
    """Parse the command line. Missing options get their default, or a small value with `--small`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only",
        action="append",
        choices=[peer.name for peer in PEERS],
        metavar="NAME",
        help="run this peer; repeatable",
    )
    parser.add_argument("--regions", nargs="+", type=int, metavar="N", help="maps in each table, such as 12 120 1200")
    parser.add_argument(
        "--repeat", type=int, help="timed runs of each program; 0 times the run in which memory is sampled"
    )
    parser.add_argument("--absolute", action="store_true", help="also print seconds and megabytes")
    parser.add_argument("--small", action="store_true", help="use tiny inputs, to check that the program works")
    parser.add_argument("--inputs", type=Path, metavar="DIR", help="keep the inputs in this folder for the next run")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the pictures in this folder")
    parser.add_argument("--python", action="append", type=parse_python, default=[], metavar="PEER=PATH")
    options = parser.parse_args()
    for name, value in (_SMALL if options.small else _USUAL).items():
        if getattr(options, name, None) is None:
            setattr(options, name, value)
    return options


def run_tables(bench: Bench, peers: Sequence[tuple[Peer, str]], options: argparse.Namespace) -> bool:
    """Print the rows of all tables. Return True if no peer is broken."""
    whole = True
    print_head(absolute=options.absolute)
    for count in options.regions:
        runners = [NewRegions(bench, _NEW, count), *(runner_of(bench, peer, python, count) for peer, python in peers)]
        table = Table(bench, runners, count)
        print_rows(table.measure(options.repeat), count, absolute=options.absolute)
        for name, problem in table.broken.items():
            print(f"{name:<11} {count:>4} | BROKEN: {problem}", flush=True)
        whole = whole and not table.broken
    return whole


def main() -> None:
    """Measure all peers and print the table."""
    options = parse_options()
    peers = list(found_peers(options.only, dict(options.python)))
    with tempfile.TemporaryDirectory(prefix="regionplot-peers-") as folder:
        place = options.keep or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        if not run_tables(Bench(options, place.resolve()), peers, options):
            sys.exit(1)


if __name__ == "__main__":
    main()
