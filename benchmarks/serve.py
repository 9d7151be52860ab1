"""Compare the map service with MapServer (FastCGI under lighttpd) and titiler: ``python benchmarks/serve.py``.

All services draw the same boxes of the same grid in EPSG:3857, one service at a time. wrk asks for random boxes, so no
cache helps. Services alternate. Needs wrk; MapServer needs mapserv and lighttpd; titiler needs the package
titiler.application in the environment of `--titiler`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib
import numpy as np
import psutil
from inputs import LAYERS, LEVELS, Inputs, make_inputs
from peer_task import prepare_lines, prepare_raster

SIZE = 5000, 3400
PORTS = {"regionplot": 18_101, "mapserver": 18_102, "titiler": 18_103}
TASKS = ("maps", "tiles", "raster")
SCRIPT = Path(__file__).parent / "service" / "boxes.lua"
MAPFILE = """MAP
  NAME "snow" SIZE 256 256 UNITS METERS MAXSIZE 4096 CONFIG "MS_ERRORFILE" "stderr" PROJECTION "init=epsg:3857" END
  EXTENT -14000000 2800000 -7000000 6500000
  WEB METADATA "ows_enable_request" "*" "ows_srs" "EPSG:3857 EPSG:4326" "ows_title" "snow" END END
  OUTPUTFORMAT NAME "png" DRIVER AGG/PNG IMAGEMODE RGBA MIMETYPE "image/png" EXTENSION "png"
    FORMATOPTION "COMPRESSION={compression}" END
  LAYER NAME "raster" TYPE RASTER STATUS ON DATA "{raster}" PROCESSING "RESAMPLE=NEAREST"
    PROCESSING "SCALE=0,49" PROCESSING "SCALE_BUCKETS=196" PROCESSING "CLOSE_CONNECTION=DEFER"
    PROJECTION {projection} END {classes} END
  {layers}
END"""
LINES = """LAYER NAME "{name}" TYPE LINE STATUS ON DATA "{path}" PROCESSING "CLOSE_CONNECTION=DEFER"
    PROJECTION {projection} END CLASS STYLE COLOR 0 0 0 WIDTH {width:.3f} END END END"""
LIGHTTPD = """server.modules = ("mod_fastcgi")
server.document-root = "{folder}"
server.port = {port}
server.bind = "127.0.0.1"
fastcgi.server = ("/wms" => (("socket" => "{folder}/mapserver.socket", "bin-path" => "{mapserv}",
  "bin-environment" => ("MAPSERVER_CONFIG_FILE" => "{folder}/mapserver.conf"),
  "check-local" => "disable", "max-procs" => {workers}, "min-procs" => {workers})))
"""
DPI, POINTS_PER_INCH = 96, 72
PROJECTION = '"proj=lcc" "lat_0=39" "lon_0=-96" "lat_1=33" "lat_2=45" "datum=WGS84" "units=m" "no_defs"'


@dataclass(frozen=True)
class Result:
    """One measurement."""

    rate: float
    """Answers per second."""
    median: float
    """Median latency in milliseconds."""
    errors: int
    answers: int
    cpu: float = 0.0
    """CPU time of the service per answer, in milliseconds."""


def mapfile(inputs: Inputs) -> str:
    """Return the mapfile of MapServer, with the same colors and lines."""
    limits = [-1.0, *LEVELS[1:-1], 1e9]
    rows = matplotlib.colormaps["turbo"](np.linspace(0, 1, len(limits) - 1), bytes=True)[:, :3]
    classes = "\n".join(
        f"CLASS EXPRESSION ([pixel] >= {low} AND [pixel] < {high}) STYLE COLOR {' '.join(map(str, color))} END END"
        for low, high, color in zip(limits, limits[1:], rows.tolist(), strict=False)
    )
    layers = "\n".join(
        LINES.format(name=path.stem, path=line_file(path, inputs), width=width(path), projection=PROJECTION)
        for path in inputs.layers
    )
    raster = prepare_raster(inputs.raster(SIZE), inputs.folder)  # not compressed, with overviews
    return MAPFILE.format(raster=raster, classes=classes, layers=layers, projection=PROJECTION, compression=2)


def line_file(layer: Path, inputs: Inputs) -> Path:
    """Return a file with the borders of a layer as lines, each border once, and with a spatial index."""
    path = Path(prepare_lines(layer, inputs.folder)["path"])
    subprocess.run(["shptree", path], check=True, stdout=subprocess.DEVNULL)
    return path


def width(layer: Path) -> float:
    """Return the width of the lines of a layer in pixels."""
    return LAYERS[layer.stem] * DPI / POINTS_PER_INCH


@contextmanager
def _running(command: Sequence[str], folder: Path, probe: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        for _ in range(600):
            with suppress(OSError), urllib.request.urlopen(probe, timeout=5) as found:
                if found.status == 200:
                    break
            time.sleep(0.1)
        else:
            raise SystemExit(f"{command[0]} does not answer; see {folder}")
        yield process
    finally:
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        process.wait()
        _, alive = psutil.wait_procs(children, timeout=5)
        for child in alive:  # lighttpd leaves its FastCGI processes behind
            child.kill()


@contextmanager
def regionplot(inputs: Inputs, workers: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the map service."""
    settings = inputs.folder / "serve.toml"
    text = inputs.config("same").read_text(encoding="utf-8")
    settings.write_text(f"{text}\n[serve]\ncache = 0\nworkers = {workers}\n", encoding="utf-8")
    port = PORTS["regionplot"]
    command = [Path(sys.executable).parent / "regionplot", "serve", "-c", settings, "--bind", f"127.0.0.1:{port}"]
    with _running([*map(str, command)], inputs.folder, f"http://127.0.0.1:{port}/ready") as process:
        yield process


@contextmanager
def mapserver(inputs: Inputs, workers: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run MapServer with FastCGI under lighttpd."""
    folder, port = inputs.folder, PORTS["mapserver"]
    (folder / "snow.map").write_text(mapfile(inputs), encoding="utf-8")
    (folder / "mapserver.conf").write_text(f'CONFIG ENV MS_MAPFILE "{folder}/snow.map" END END\n')
    text = LIGHTTPD.format(folder=folder, port=port, mapserv=shutil.which("mapserv"), workers=workers)
    (folder / "lighttpd.conf").write_text(text, encoding="utf-8")
    command = [shutil.which("lighttpd") or "lighttpd", "-D", "-f", str(folder / "lighttpd.conf")]
    probe = f"http://127.0.0.1:{port}/wms?{_query('tiles', 'raster')}&bbox=-11000000,4000000,-10000000,5000000"
    with _running(command, folder, probe) as process:
        yield process


@contextmanager
def titiler(inputs: Inputs, workers: int, python: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run titiler with uvicorn."""
    port = PORTS["titiler"]
    command = [
        str(python), "-m", "uvicorn", "titiler.application.main:app", "--port", str(port), "--workers", str(workers),
        "--log-level", "error",
    ]  # fmt: skip
    with _running(command, inputs.folder, f"http://127.0.0.1:{port}/healthz") as process:
        yield process


def _query(task: str, layers: str) -> str:
    width, height = (1024, 768) if task == "maps" else (256, 256)
    return (
        f"service=WMS&version=1.1.1&request=GetMap&layers={layers}&styles=&srs=EPSG:3857&format=image/png"
        f"&transparent=true&width={width}&height={height}"
    )


def address(service: str, task: str, inputs: Inputs) -> str:
    """Return the address of a task, without the box."""
    base = f"http://127.0.0.1:{PORTS[service]}"
    layers = "raster" if task == "raster" else ",".join(["raster", *LAYERS])
    if service == "titiler":
        return (
            f"{base}/cog/bbox|/256x256.png?url={inputs.raster(SIZE)}&dst_crs=epsg:3857&coord_crs=epsg:3857&rescale=0,48"
        )
    return f"{base}/wms?{_query(task, layers)}&bbox="


def measure(url: str, task: str, clients: int, seconds: float) -> Result:
    """Ask for random boxes and return the rate of answers."""
    command = [
        "wrk", "-t1", f"-c{clients}", f"-d{seconds:.0f}s", "--latency", "--timeout", "30s", "-s", str(SCRIPT),
        url.partition("/wms")[0].partition("/cog")[0], "--", url, task,
    ]  # fmt: skip
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    number, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", text).groups()
    errors = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", text)))
    errors += sum(map(int, re.findall(r"timeout (\d+)", text)))
    answers = int(re.search(r"(\d+) requests in", text)[1])
    return Result(rate, float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit], errors, answers)


def measure_cpu(process: subprocess.Popen[bytes], url: str, task: str, clients: int, seconds: float) -> Result:
    """Measure as `measure`, and the CPU time of all processes of the service."""
    before = cpu_seconds(process)
    found = measure(url, task, clients, seconds)
    return replace(found, cpu=1000 * (cpu_seconds(process) - before) / max(1, found.answers))


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """Return the CPU time of a process and its children, also of those that have ended and were waited for."""
    parent, total = psutil.Process(process.pid), 0.0
    for each in (parent, *parent.children(recursive=True)):
        with suppress(psutil.Error):
            times = each.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def memory(process: subprocess.Popen[bytes]) -> float:
    """Return the memory of a process and its children in MB. Shared pages count once."""
    parent = psutil.Process(process.pid)
    total = 0
    for each in (parent, *parent.children(recursive=True)):
        with suppress(psutil.Error):
            total += each.memory_full_info().pss
    return total / 2**20


def main() -> None:
    """Print a table of ratios."""
    parser = argparse.ArgumentParser(description="Compare the map service with MapServer and titiler.")
    parser.add_argument("--inputs", type=Path, help="folder for the inputs, which is kept")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--titiler", type=Path, help="Python of an environment with titiler.application")
    parser.add_argument("--only", choices=("regionplot", "mapserver", "titiler"), action="append")
    parser.add_argument("--tasks", choices=TASKS, action="append")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        inputs = make_inputs((options.inputs or Path(temporary)).absolute(), [SIZE])
        services = {"regionplot": lambda: regionplot(inputs, options.workers)}
        if shutil.which("mapserv") and shutil.which("lighttpd"):
            services["mapserver"] = lambda: mapserver(inputs, options.workers)
        if options.titiler:
            services["titiler"] = lambda: titiler(inputs, options.workers, options.titiler)
        services = {name: run for name, run in services.items() if not options.only or name in options.only}
        _print(compare(services, inputs, options))


Found = dict[tuple[str, str], list[Result]]


def compare(services: dict, inputs: Inputs, options: argparse.Namespace) -> tuple[Found, Found, dict[str, float]]:
    """Measure all services in turn: with several clients, with two clients, and their memory."""
    rates: Found = {}
    latencies: Found = {}
    sizes: dict[str, float] = {}
    for _ in range(options.rounds):
        for name, run in services.items():
            with run() as process:
                for task in options.tasks or TASKS:
                    if name == "titiler" and task != "raster":
                        continue
                    url = address(name, task, inputs)
                    measure(url, task, options.clients, options.seconds / 2)  # fills the caches of GDAL
                    rates.setdefault((name, task), []).append(
                        measure_cpu(process, url, task, options.clients, options.seconds)
                    )
                    latencies.setdefault((name, task), []).append(measure(url, task, 2, options.seconds / 2))
                sizes[name] = max(sizes.get(name, 0), memory(process))
    return rates, latencies, sizes


def _print(found: tuple[Found, Found, dict[str, float]]) -> None:
    rates, latencies, sizes = found
    own = {task: results for (name, task), results in rates.items() if name == "regionplot"}
    print("ratio: answers of regionplot per answer of the service; cpu ratio: CPU time of the service by ours")
    print(
        f"{'service':12} {'task':8} {'per s':>8} {'ratio':>7} {'median ms':>10} {'cpu ms':>8} {'cpu ratio':>9} errors"
    )
    for (name, task), results in rates.items():
        rate, cpu = (statistics.median(getattr(result, key) for result in results) for key in ("rate", "cpu"))
        ours, our_cpu = (statistics.median(getattr(r, key) for r in own.get(task, results)) for key in ("rate", "cpu"))
        median = statistics.median(result.median for result in latencies[name, task])
        errors = sum(result.errors for result in (*results, *latencies[name, task]))
        row = f"{rate:8.1f} {ours / rate:7.2f} {median:10.1f} {cpu:8.2f} {cpu / our_cpu:9.2f} {errors}"
        print(f"{name:12} {task:8} {row}")
    for name, size in sizes.items():
        print(f"{name:12} memory {size:8.0f} MB")


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C"
    main()
