"""Measure what many maps cost: a map, a worker, a batch on a dask cluster, an outcome, a remote raster, an object.

The costs are then used to simulate clusters (`scaling_model.py`).

    python benchmarks/scaling.py
    python benchmarks/scaling.py --small      # tiny inputs; a test runs this

Times of maps, batches and outcomes are CPU times. They also hold on a machine that does other work. The package moto
(`pip install 'moto[server]'`) is the object storage for images. A small web server serves the remote raster, because
moto copies an object for each request.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest.mock import patch

import psutil
import rasterio.shutil
from inputs import LAYERS, make_inputs, parse_size, write_raster
from range_files import served
from scaling_cluster import Measured, SleepingTask, fitted, jobs, light_cluster, measure_run, measure_wait
from scaling_model import Costs, Work, simulate

from regionplot.executors.base import Outcome, load_task, start_task_worker
from regionplot.regions.table import read_regions
from regionplot.runs.facts import RunFacts
from regionplot.runs.jobs import Job, MapResult
from regionplot.runs.record import RunRecord
from regionplot.runs.task import RenderTask
from regionplot.settings.loading import read_config
from regionplot.shared.load import check_inputs
from regionplot.system.files import new_run
from regionplot.system.stopwatch import Stopwatch

ATLAS = '[map]\nstyle = "atlas"\nprojection = "auto"\nsize = [1400, 900]\n\n[raster]\npath = "sample:relief"\n'


@dataclass(frozen=True)
class MapCosts:
    """Means of the maps of one process, without its first map."""

    load: float
    """CPU seconds until the first map is begun, with imports."""
    first: float
    map: float
    """CPU seconds of a map."""
    size: float
    """Bytes of an image."""
    memory: float
    """Private memory of the process in bytes."""
    requests: float = 0.0
    received: float = 0.0
    """Bytes read from the object storage for a map."""


def main() -> None:
    """Measure and simulate, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="tiny inputs, few maps")
    parser.add_argument("--raster", type=parse_size, default=(5000, 3400), help="cells of the local raster")
    parser.add_argument("--cog", type=parse_size, default=(20000, 13600), help="cells of the remote raster")
    parser.add_argument("--regions", type=int, default=60)
    parser.add_argument("--no-maps", action="store_true", help="do not measure local maps")
    parser.add_argument("--costs", type=Path, help="simulate with the costs in this file, and measure nothing")
    options = parser.parse_args()
    if options.small:
        options = argparse.Namespace(
            small=True, raster=(400, 272), cog=(1200, 800), regions=3, costs=options.costs, no_maps=options.no_maps
        )
    if options.costs is not None:
        found = json.loads(options.costs.read_text())
        print_projection(Costs(**found["costs"]), found["map"], found["load"], small=options.small)
        return
    with tempfile.TemporaryDirectory() as text:
        plain = MapCosts(2.0, 0.0, 0.016, 0.0, 0.0) if options.no_maps else print_maps(Path(text), options)
        print_remote(Path(text), options)
        outcome = print_outcomes(Path(text), 50 if options.small else 5000)
    costs = print_cluster(outcome, small=options.small)
    print("costs: " + json.dumps({"costs": asdict(costs), "map": plain.map, "load": plain.load}))
    print_projection(costs, plain.map, plain.load, small=options.small)


def print_maps(folder: Path, options: argparse.Namespace) -> MapCosts:
    """Print the costs of local maps, and return those of plain maps of new regions."""
    names = ["states"] if options.small else list(LAYERS)
    size = (400, 300) if options.small else (1400, 900)
    inputs = make_inputs(folder, [options.raster], [options.regions], names, size)
    inputs.table(options.regions).rename(folder / "regions.csv")
    plain, atlas = inputs.config("same").read_text(encoding="utf-8"), ATLAS.replace("[1400, 900]", str(list(size)))
    print("kind               load s  first ms  map ms     kB  private MB")
    found = {}
    for kind, text in (("plain", plain), ("atlas", atlas)):
        for state in ("new", "known"):
            found[kind, state] = costs = in_process(folder, text, f"{kind}-{state}", kind)
            print_row(f"{kind}, {state} regions", costs)
    return found["plain", "new"]


def print_row(name: str, costs: MapCosts) -> None:
    """Print one kind of map."""
    print(
        f"{name:18} {costs.load:6.2f} {costs.first * 1e3:9.1f} {costs.map * 1e3:7.1f} {costs.size / 1e3:6.0f} "
        f"{costs.memory / 2**20:11.0f}",
        flush=True,
    )


def in_process(folder: Path, text: str, name: str, cache: str) -> MapCosts:
    """Draw all regions in a new process, and return the costs."""
    (folder / f"{name}.toml").write_text(text)
    places = {"XDG_CACHE_HOME": str(folder / f"cache-{cache}")}
    with patch.dict(os.environ, places), multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(draw_maps, (folder, name))


def draw_maps(folder: Path, name: str) -> MapCosts:
    """Draw the maps of a settings file like a worker of a cluster, and return the costs."""
    config, regions = read_config(folder / f"{name}.toml"), read_regions(folder / "regions.csv")
    plan = check_inputs(config, regions)
    task = RenderTask(config, new_run(), plan, len(regions))
    output = config.output.directory
    output.mkdir(exist_ok=True)
    start_task_worker(task)
    load_task(task)
    load, seconds, results = time.process_time(), [], []
    for region in regions:
        start = time.process_time()
        results.append(task(Job(region, str(output / f"{name}-{region.name}.png"))))
        seconds.append(time.process_time() - start)
    uses = [each.network for each in results if each.network is not None]
    return MapCosts(
        load,
        seconds[0],
        fmean(seconds[1:]),
        fmean(each.bytes for each in results),
        psutil.Process().memory_full_info().uss,
        fmean(use.requests for use in uses[1:]) if uses else 0.0,
        fmean(use.bytes for use in uses[1:]) if uses else 0.0,
    )


@contextmanager
def object_storage() -> Iterator[str]:
    """Yield the address of a running S3 server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def print_remote(folder: Path, options: argparse.Namespace) -> None:
    """Print the costs of maps from a COG in object storage, and of objects that are written."""
    cog = folder / "snow-cog.tif"
    write_raster(folder / "snow-plain.tif", options.cog)
    rasterio.shutil.copy(folder / "snow-plain.tif", cog, driver="COG", compress="DEFLATE", bigtiff="IF_SAFER")
    (folder / "snow-plain.tif").unlink()
    size = [400, 300] if options.small else [1400, 900]
    with served(folder) as address:
        text = f'[raster]\npath = "{address}/{cog.name}"\nallow_remote = true\n[map]\nstyle = "plain"\nsize = {size}\n'
        text += "[colors]\nlevels = [1, 5, 10, 20, 30]\n[run]\nmemory = 1\n"
        write_boxes(folder / "regions.csv", options.regions)
        costs = in_process(folder, text, "remote", "remote")
    print_row("remote COG", costs)
    total = cog.stat().st_size
    print(
        f"remote COG of {total / 1e6:.0f} MB: {costs.requests:.1f} requests and {costs.received / 1e3:.0f} kB per map, "
        f"{costs.received / total:.2%} of the object"
    )
    with object_storage() as endpoint:
        print_objects(endpoint, 5 if options.small else 300)


def write_boxes(path: Path, number: int) -> None:
    """Write a table of regions with the size of Colorado. They lie side by side."""
    rows = (
        f"box{n},{-120 + n % 6 * 7},{-112.5 + n % 6 * 7},{27 + n // 6 % 5 * 4},{31.4 + n // 6 % 5 * 4}"
        for n in range(number)
    )
    path.write_text("\n".join(["name,west,east,south,north", *rows]) + "\n")


def print_objects(endpoint: str, number: int) -> None:
    """Print the CPU time of the client for each object that it writes."""
    import boto3  # noqa: PLC0415 (only object storage needs it)

    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="a"
    )
    client.create_bucket(Bucket="maps")
    content = os.urandom(160_000)
    client.put_object(Bucket="maps", Key="warm", Body=content)
    start = time.process_time()
    for n in range(number):
        client.put_object(Bucket="maps", Key=f"out/{n}.png", Body=content)
    print(
        f"objects: {(time.process_time() - start) / number * 1e3:.2f} ms of CPU time of the client per PUT", flush=True
    )


def print_outcomes(folder: Path, number: int) -> float:
    """Print what the client needs for each outcome, and return the CPU seconds."""
    config = read_config({"raster": {"path": "sample:relief"}, "output": {"directory": str(folder / "out")}})
    (folder / "out").mkdir()
    memory, given = psutil.Process().memory_info().rss, jobs(number)
    maps = [(each.region, each.target.name) for each in given]
    with RunRecord(RunFacts.of(config), maps, Stopwatch(), "dask") as record:
        start = time.process_time()
        for n, job in enumerate(record.jobs):
            target = job.target
            result = MapResult(target, 160_000, stages={"draw": 0.01}, digest=f"{n:064}", sha256=f"{n:064}")
            record.add(Outcome(replace(job), result, seconds=0.02, pid=1))
        taken, start = time.process_time() - start, time.process_time()
        memory = psutil.Process().memory_info().rss - memory
    manifest = (folder / "out" / "manifest.json").stat().st_size
    print(
        f"outcomes: {taken / number * 1e6:.0f} us to record, {(time.process_time() - start) / number * 1e6:.0f} us and "
        f"{manifest / number:.0f} bytes in the manifest, {memory / number / 1e3:.1f} kB of memory of the client, each",
        flush=True,
    )
    return taken / number


def print_cluster(outcome: float, *, small: bool) -> Costs:
    """Measure a real scheduler with light workers, and compare further runs with the simulation."""
    import distributed  # noqa: PLC0415 (an optional dependency)

    scale, found = (20 if small else 1), list[Measured]()
    with (
        light_cluster(4) as (address, scheduler),
        distributed.Client(address, set_as_default=False, timeout=120) as client,
    ):
        client.wait_for_workers(4, timeout=120)
        measure_run(client, scheduler, SleepingTask(0.0), 20, 4)
        for workers, size, count in ((4, 1, 800), (1000, 1, 2400), (4, 25, 10_000), (250, 25, 20_000)):
            found.append(measure_run(client, scheduler, SleepingTask(0.0), count // scale, workers, size))
        waiting = measure_wait(client, 100 if small else 1000)
        (batch, each), (scheduler_batch, scheduler_map) = fitted(found, waiting)
        costs = Costs(batch, each + outcome, waiting, scheduler_batch, scheduler_map)
        print(
            f"client: {batch * 1e3:.2f} ms per batch, {(each + outcome) * 1e6:.0f} us per map, "
            f"{waiting * 1e6:.1f} us per waiting batch; "
            f"scheduler: {scheduler_batch * 1e3:.2f} ms per batch, {scheduler_map * 1e6:.0f} us per map",
            flush=True,
        )
        print("workers  real s  simulated s  difference")
        for workers in (4, 2, 1):
            client.retire_workers(list(client.scheduler_info(n_workers=-1)["workers"])[workers:])
            count = 400 * workers // scale
            real = measure_run(client, scheduler, SleepingTask(0.025), count, workers)
            seconds = simulate(Work(count, 0.025, workers), costs).seconds
            print(f"{workers:7} {real.seconds:7.2f} {seconds:12.2f} {seconds / real.seconds - 1:+11.0%}", flush=True)
    return costs


def print_projection(costs: Costs, map_seconds: float, load: float, *, small: bool) -> None:
    """Print simulated clusters."""
    print("workers  batch s   maps/s  workers busy  client busy  scheduler busy")
    each = 20 if small else 1000
    for workers in (1, 10) if small else (1, 10, 30, 100, 300, 1000):
        for batch in (0.25, 1.0, 4.0):
            work = Work(workers * each, map_seconds, workers, batch, spread=0.3)
            print_simulated(f"{workers:7} {batch:8}", simulate(work, costs), work)
    print("100 workers, with      maps/s  workers busy  client busy  scheduler busy")
    usual = Work(100 * each, map_seconds, 100, spread=0.3)
    for name, work in (
        ("loading", replace(usual, load_seconds=load)),
        ("5 % slow workers", replace(usual, slow=0.05)),
        ("10 killed workers", replace(usual, killed=10)),
    ):
        print_simulated(f"{name:19}", simulate(work, costs), work)


def print_simulated(name: str, found: Any, work: Work) -> None:
    """Print one simulated run."""
    busy = (found.workers / work.workers, found.client, found.scheduler)
    shares = [f"{seconds / found.seconds:.0%}" for seconds in busy]
    again = f"  {found.drawn_twice} maps drawn twice" if found.drawn_twice else ""
    print(f"{name} {found.rate:8.0f} {shares[0]:>13} {shares[1]:>12} {shares[2]:>15}{again}", flush=True)


if __name__ == "__main__":
    main()
