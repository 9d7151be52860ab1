"""Measure the startup of a run by stage, in fresh processes. `stages.py --startup` prints the result."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

STAGES = (
    "interpreter",
    "imports",
    "matplotlib",
    "config",
    "inspect",
    "raster",
    "layers, uncached",
    "layers, cached",
    "frame",
)
"""Stages in order. A run loads the layers in one of the two ways only."""


def print_startup(config: Path, raster: Path, table: Path, repeat: int) -> None:
    """Print the time of each stage."""
    command = [sys.executable, __file__, *map(str, (config, raster, table))]
    runs = [_run(command) for _ in range(repeat)]
    print(f"{'stage':<18} {'ms':>8}")
    for name in STAGES:
        print(f"{name:<18} {1000 * median(run[name] for run in runs):8.1f}")


def _run(command: list[str]) -> dict[str, float]:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    interpreter = time.perf_counter() - start
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {"interpreter": interpreter, **json.loads(found)}


class _Steps:
    """Run steps and record the time of each step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, step: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = step()
        self.seconds[name] = time.perf_counter() - start
        return result


def main() -> None:
    """Do the startup of a run step by step, and print the seconds as JSON."""
    config_file, raster_file, table = map(Path, sys.argv[1:])
    step = _Steps()
    modules = ("runs.run", "system.cache", "inputs.vector_layers", "inputs.describe", "regions.table", "shared.data")
    step("imports", lambda: [importlib.import_module(f"regionplot.{name}") for name in modules])
    step("matplotlib", lambda: importlib.import_module("regionplot.render.renderer"))
    _start(step, config_file, raster_file, table)
    print(json.dumps(step.seconds))


def _start(step: _Steps, config_file: Path, raster_file: Path, table: Path) -> None:
    """Do all steps before the first map."""
    from regionplot.geo.cartopy import parse_projection  # noqa: PLC0415 (the imports are timed)
    from regionplot.inputs.describe import open_source  # noqa: PLC0415
    from regionplot.inputs.source import read_window  # noqa: PLC0415
    from regionplot.inputs.vector_layers import load_layer  # noqa: PLC0415
    from regionplot.regions.table import read_regions  # noqa: PLC0415
    from regionplot.render.renderer import MapRenderer  # noqa: PLC0415
    from regionplot.runs.checks import check_config  # noqa: PLC0415
    from regionplot.settings.loading import read_config  # noqa: PLC0415
    from regionplot.shared.data import SharedData  # noqa: PLC0415
    from regionplot.shared.plan import plan_load  # noqa: PLC0415
    from regionplot.system.cache import ArrayCache  # noqa: PLC0415

    def read() -> tuple[Any, Any]:
        config = read_config(config_file, {"raster": {"path": raster_file}, "run": {"cache": False}})
        regions = read_regions(table)
        check_config(config, regions)
        return config, regions

    config, regions = step("config", read)
    source = step("inspect", lambda: open_source(config.raster))
    info = source.describe()
    plan = plan_load(config, info, regions)
    step("raster", lambda: read_window(source, plan.window))
    crs = parse_projection(config.map.projection) or info.geometry.crs
    with tempfile.TemporaryDirectory() as folder:
        kept = ArrayCache(Path(folder))
        step("layers, uncached", lambda: [load_layer(layer, crs) for layer in config.layers["features"]])
        for layer in config.layers["features"]:
            load_layer(layer, crs, kept)
        step("layers, cached", lambda: [load_layer(layer, crs, kept) for layer in config.layers["features"]])
    data = SharedData.load(config, regions, plan)
    step("frame", lambda: MapRenderer(data))


if __name__ == "__main__":
    main()
