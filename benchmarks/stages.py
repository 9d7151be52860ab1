"""Measure the stages of a map in one process, and compare them with the minimum: ``python benchmarks/stages.py``.

The minimum (`floor` in the output) is the time that any program needs with Agg and zlib: strokes of the same paths, one
lookup of the panel in the palette, and encoding the same pixels. It is measured in the same process.
"""

from __future__ import annotations

import argparse
import functools
import io
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
from inputs import LAYERS, Inputs, make_inputs, parse_size
from matplotlib.artist import Artist
from matplotlib.patches import PathPatch
from matplotlib.text import Text
from PIL import Image

from regionplot.colors.base import PaletteScale
from regionplot.geo import sampling
from regionplot.geo.clip import IndexedGeometries
from regionplot.geo.region import Region
from regionplot.regions.table import read_regions
from regionplot.render import agg, renderer, sheets
from regionplot.render.agg import Canvas
from regionplot.render.bare_canvas import BareCanvas
from regionplot.render.renderer import MapRenderer
from regionplot.runs.store import write_file
from regionplot.settings.config import Config
from regionplot.settings.loading import read_config
from regionplot.shared.data import SharedData
from regionplot.sheet import marks
from regionplot.sheet.sheet import Sheet
from regionplot.sheet.view import View
from regionplot.system.files import new_run
from regionplot.writers.base import Picture
from regionplot.writers.png import PngWriter

STAGES = (
    "view",
    "sample",
    "classify",
    "clip and simplify",
    "strokes",
    "title",
    "compose",
    "encode",
    "write and verify",
)
_COMPOSE, _WRITE = STAGES[6], STAGES[8]
_PROBE = "time of the probe"


@dataclass
class Stopwatch:
    """Record seconds by stage. The time of a nested stage does not count for the outer stage."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _inner: list[float] = field(default_factory=lambda: [0.0])

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose time counts as a stage."""

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                return function(*args, **kwargs)

        return wrapped

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the `with` block as a stage."""
        self._inner.append(0.0)
        start = time.perf_counter()
        try:
            yield
        finally:
            taken = time.perf_counter() - start
            self.seconds[name] += taken - self._inner.pop()
            self._inner[-1] += taken


@dataclass
class Probe:
    """Time functions of the package as stages, and keep the data that the minimum needs."""

    watch: Stopwatch = field(default_factory=Stopwatch)
    strokes: list[tuple[Any, ...]] = field(default_factory=list)
    codes: Any = None
    picture: Any = None

    @contextmanager
    def installed(self) -> Iterator[Probe]:
        """Patch the functions of the package during the `with` block."""
        watch = self.watch
        with ExitStack() as stack:
            for owner, name, function in (
                (View, "of", watch.timed("view", View.of)),
                (sheets, "sample", watch.timed("sample", sampling.sample)),
                (sampling, "sample", watch.timed("sample", sampling.sample)),
                (PaletteScale, "codes", watch.timed("classify", PaletteScale.codes)),
                (IndexedGeometries, "clip_to_panel", watch.timed("clip and simplify", IndexedGeometries.clip_to_panel)),
                (marks.Path, "of_lines", watch.timed("strokes", marks.Path.of_lines)),
                (agg, "artist_without_figure", watch.timed("title", agg.artist_without_figure)),
                (BareCanvas, "draw_on_sheet", watch.timed("title", BareCanvas.draw_on_sheet)),
                (renderer, "make_sheet", self._keep_codes(renderer.make_sheet)),
                (Canvas, "draw", self._keep_strokes(Canvas.draw)),
                (PngWriter, "encode", watch.timed("encode", PngWriter.encode)),
            ):
                stack.enter_context(patch.object(owner, name, function))
            yield self

    @property
    def taken(self) -> dict[str, float]:
        """Seconds by stage, without the time of the probe itself."""
        return {stage: seconds for stage, seconds in self.watch.seconds.items() if stage != _PROBE}

    def _keep_codes(self, function: Callable[..., Sheet]) -> Callable[..., Sheet]:
        def wrapped(*args: Any) -> Sheet:
            sheet = function(*args)
            self.codes = sheet.codes
            return sheet

        return wrapped

    def _keep_strokes(self, function: Callable[..., None]) -> Callable[..., None]:
        def wrapped(canvas: Any, artist: Artist) -> None:
            if isinstance(artist, PathPatch):
                with self.watch.stage(_PROBE):
                    self.strokes.append(_prepared(artist))
            with self.watch.stage("title" if isinstance(artist, Text) else "strokes"):
                function(canvas, artist)

        return wrapped


@dataclass(frozen=True)
class MapTimes:
    """Seconds of one map by stage, and of its minimum."""

    stages: Mapping[str, float]
    floor: Mapping[str, float]

    @property
    def ratio(self) -> float:
        """Time of the map divided by its minimum."""
        return sum(self.stages.values()) / sum(self.floor.values())


class Lab:
    """Draw and write maps of one config in this process."""

    def __init__(self, config: Config, regions: Sequence[Region], folder: Path) -> None:
        self._compression = config.output.writer_settings.compression
        self._folder = folder
        self._shared = SharedData.load(config, regions)
        self._renderer = MapRenderer(self._shared, len(regions))

    def time(self, regions: Sequence[Region]) -> list[MapTimes]:
        """Draw and write maps one after the other, as a worker does. Then measure their minimum."""
        probes = [self._draw(region) for region in regions]
        return [MapTimes(probe.taken, self._floor(probe)) for probe in probes]

    def _draw(self, region: Region) -> Probe:
        probe = Probe()
        with probe.installed():
            with probe.watch.stage(_COMPOSE):
                probe.picture = picture = self._renderer.render(region)
            with probe.watch.stage(_WRITE):
                content = self._renderer.encode(picture)
                write_file(self._folder / f"{region.name}.png", content, new_run())
        return probe

    def _floor(self, probe: Probe) -> dict[str, float]:
        watch, picture = Stopwatch(), probe.picture
        watch.timed("strokes", self._stroke)(probe.strokes)
        table = self._renderer.style.scale.palette
        packed = table[:, 0].copy() if picture.palette is not None else table.view(np.uint32).ravel()
        watch.timed("lookup", packed.take)(probe.codes)
        watch.timed("encode", _encode)(picture, self._compression)
        return dict(watch.seconds)

    def _stroke(self, prepared: Sequence[tuple[Any, ...]]) -> None:
        """Draw paths with Agg. Their coordinates are already canvas coordinates."""
        agg = self._renderer.canvas.renderer
        for path, transform, clip, width, color in prepared:
            context = agg.new_gc()
            context.set_linewidth(agg.points_to_pixels(width))
            context.set_foreground(color, isRGBA=True)
            context.set_clip_rectangle(clip)
            context.set_joinstyle("round")
            context.set_capstyle("round")
            context.set_snap(False)
            agg.draw_path(context, path, transform, None)


def _prepared(patch: PathPatch) -> tuple[Any, ...]:
    """Return the arguments with which Agg draws a patch at the current position of the axes."""
    transform = patch.get_transform().frozen()
    return patch.get_path(), transform, patch.get_clip_box().frozen(), patch.get_linewidth(), patch.get_edgecolor()


def _encode(picture: Picture, level: int) -> None:
    image = Image.fromarray(picture.image)
    if picture.palette is not None:
        image.putpalette(picture.palette.tobytes())
    image.save(io.BytesIO(), "PNG", compress_level=level)


def _medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each stage."""
    return {
        name: median(run.get(name, 0.0) for run in runs) for name in dict.fromkeys(name for run in runs for name in run)
    }


def print_stages(lab: Lab, regions: Sequence[Region], repeat: int) -> None:
    """Print one line for each stage, with its minimum, and the median ratio."""
    first = lab.time(regions[:1])[0]
    rounds = [lab.time(regions) for _ in range(repeat)]
    by_region = list(zip(*rounds, strict=True))
    maps = _medians([_medians([times.stages for times in runs]) for runs in by_region])
    floors = _medians([_medians([times.floor for times in runs]) for runs in by_region])
    total = sum(maps.values())
    print(f"{'stage':<18} {'map ms':>8} {'share':>6} {'floor ms':>9}")
    for name in STAGES:
        floor = floors.get({"classify": "lookup"}.get(name, name))
        shown = f"{1000 * floor:9.2f}" if floor is not None else f"{'':9}"
        print(f"{name:<18} {1000 * maps.get(name, 0.0):8.2f} {maps.get(name, 0.0) / total:6.0%} {shown}")
    print(f"{'sum of medians':<18} {1000 * total:8.2f} {'':6} {1000 * sum(floors.values()):9.2f}")
    print(f"map / floor, median of {len(regions)} regions: {median(median(t.ratio for t in r) for r in by_region):.2f}")
    again = median(sum(times.stages.values()) for times in by_region[0])
    print(f"first map / same map again: {sum(first.stages.values()) / again:.2f}")


def parse_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--size", type=parse_size, metavar="WxH", default=(5000, 3400), help="size of the raster in cells"
    )
    parser.add_argument("--regions", type=int, metavar="N", default=12, help="maps in the table, at most 120")
    parser.add_argument("--crs", choices=["same", "other"], default="same")
    parser.add_argument("--png", choices=["auto", "rgb"], default="auto")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--small", action="store_true", help="use tiny inputs, to check that the program works")
    parser.add_argument(
        "--startup", action="store_true", help="measure the stages of the startup instead, in fresh processes"
    )
    parser.add_argument("--overlays", action="store_true", help="measure what each overlay adds to a map instead")
    parser.add_argument("--inputs", type=Path, metavar="DIR", help="keep the inputs in this folder for the next run")
    return parser.parse_args()


def prepare(options: argparse.Namespace, folder: Path) -> tuple[Inputs, Path]:
    """Make the inputs. Return the inputs and the path of the raster."""
    size = (400, 272) if options.small else options.size
    layers, sheet = (["states"], (320, 220)) if options.small else (list(LAYERS), (1400, 900))
    options.regions, options.repeat = (2, 2) if options.small else (options.regions, options.repeat)
    inputs = make_inputs(options.inputs or folder / "inputs", [size], [options.regions], layers, sheet)
    return inputs, inputs.raster(size)


def main() -> None:
    """Measure the stages of a map, what overlays add to it, or the stages of the startup."""
    options = parse_options()
    if options.overlays:
        from overlays import print_overlays  # noqa: PLC0415 (only for --overlays)

        print_overlays(options.repeat, small=False)
        return
    with tempfile.TemporaryDirectory(prefix="regionplot-stages-") as folder:
        inputs, raster = prepare(options, Path(folder))
        config_file, table = inputs.config(options.crs), inputs.table(options.regions)
        if options.startup:
            from startup import print_startup  # noqa: PLC0415 (only for --startup)

            print_startup(config_file, raster, table, options.repeat)
            return
        overrides = {"raster": {"path": raster}, "output": {"png": {"mode": options.png}}, "run": {"cache": False}}
        regions = read_regions(table)
        print_stages(Lab(read_config(config_file, overrides), regions, Path(folder)), regions, options.repeat)


def single_threaded() -> None:
    """Restart this program without threads in NumPy, because the command and its workers run without them, too."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    if not threads.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **threads})


if __name__ == "__main__":
    single_threaded()
    main()
