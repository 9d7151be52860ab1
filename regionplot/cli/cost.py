"""Define `regionplot cost`: estimate the time, the memory and the disk space of a run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from regionplot.cli.options import OnceCommand, region_options

if TYPE_CHECKING:
    from regionplot.runs.cost import RunCost


@click.command(cls=OnceCommand, short_help="Estimate the time, the memory and the disk space of a run.")
@click.argument("regions", metavar="REGIONS", type=click.Path(path_type=Path))
@click.option("-c", "--config", "config_file", metavar="FILE", type=click.Path(path_type=Path), help="Settings (TOML).")
@click.option("--raster", metavar="PATH", help="Raster to draw, instead of the raster in the settings.")
@click.option("-o", "--output", metavar="DIR", help="Folder for the maps.")
@click.option("-j", "--workers", metavar="N", type=int, help="Number of workers.")
@click.option("--start-method", metavar="METHOD", help="How workers are started.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@region_options
def cost(
    regions: Path,
    config_file: Path | None,
    raster: str | None,
    output: str | None,
    workers: int | None,
    start_method: str | None,
    as_json: bool,
    **options: str | None,
) -> int:
    """Estimate the time, the memory and the disk space of a run. One or two maps are drawn into a temporary folder.

    Exit codes: 0 the run fits on this machine; 1 it does not fit; 2 settings or table have faults, or the cells exceed
    the memory; 3 the raster is missing or unreadable.
    """
    from regionplot.cli.read_run import read_run  # noqa: PLC0415 (so that --help is fast)
    from regionplot.runs.cost import estimate_cost  # noqa: PLC0415

    sections: dict[str, dict[str, object]] = {
        "raster": {"path": raster},
        "output": {"directory": output},
        "run": {"workers": workers},
    }
    config, found = read_run(regions, config_file, sections, {**options, "start_method": start_method})
    start = time.process_time()
    estimate = estimate_cost(config, found)
    problems = estimate.problems()
    if as_json:
        import json  # noqa: PLC0415

        click.echo(json.dumps(_facts(estimate, start, problems), indent=2))
        return 1 if problems else 0
    for line in _lines(estimate, start):
        click.echo(line)
    for problem in problems:
        click.echo(f"regionplot: {problem}", err=True)
    return 1 if problems else 0


def _facts(estimate: RunCost, start: float, problems: list[str]) -> dict[str, object]:
    """Return the estimate as values for JSON."""
    return {
        "maps": estimate.maps,
        "start_method": estimate.method,
        "workers": estimate.workers,
        "seconds": {
            "start": round(start, 3),
            "load": round(estimate.load_seconds, 3),
            "draw": round(estimate.draw_seconds, 3),
        },
        "memory": {
            "process": estimate.base,
            "cells": estimate.cells,
            "worker": estimate.private,
            "total": estimate.memory,
            "available": estimate.available,
        },
        "bytes": round(estimate.bytes),
        "disk": estimate.disk,
        "reads_per_map": any(product.reads_per_map for product in estimate.products),
        "problems": problems,
    }


def _lines(estimate: RunCost, start: float) -> Iterator[str]:
    """Yield the lines of text about an estimate."""
    from regionplot.cli.info_text import bytes_text  # noqa: PLC0415

    fields = sum(product.times for product in estimate.products)
    of_fields = f" of {fields} fields" if fields > 1 else ""
    plural = "" if estimate.workers == 1 else "s"
    maps = "1 map" if estimate.maps == 1 else f"{estimate.maps:,} maps"
    yield f"{maps}{of_fields}, {estimate.workers} worker{plural} ({estimate.method})"
    yield ""
    total = start + estimate.load_seconds + estimate.draw_seconds
    yield f"  time      {_seconds(total)}, if no map is unchanged"
    stages = {"start": start, "load": estimate.load_seconds, "draw": estimate.draw_seconds}
    yield f"            {', '.join(f'{name} {_seconds(seconds)}' for name, seconds in stages.items())}"
    for product in estimate.products:
        name = f"{product.name}: " if product.name else ""
        yield f"            {name}{1000 * product.map_seconds:.0f} ms for each map in one worker"
    yield f"  memory    {bytes_text(estimate.memory)} of {bytes_text(estimate.available)} that are available"
    yield (
        f"            program and vector layers {bytes_text(estimate.base)}, cells {bytes_text(estimate.cells)}, "
        f"each worker {bytes_text(estimate.private)}"
    )
    if any(product.reads_per_map for product in estimate.products):
        yield "            each map reads its own cells, because the raster exceeds [run] memory"
    yield f"  disk      {bytes_text(estimate.bytes)} of {bytes_text(estimate.disk)} that are free"


def _seconds(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
