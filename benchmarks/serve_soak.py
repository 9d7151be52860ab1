"""Load the map service while its raster is renewed and its workers are killed: ``python benchmarks/serve_soak.py``.

Each raster has one value everywhere, so each map has one color. Clients ask for random boxes all the time. A map is
wrong if it has two colors, or another color than the run that its header names. Some clients read slowly.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import rasterio
from PIL import Image
from rasterio.transform import from_origin

PORT = 18_111
LEVELS = 20
SETTINGS = f"""[raster]
path = "plane.tif"
[colors]
levels = {list(range(LEVELS + 1))}
colormap = "viridis"
[map]
style = "plain"
[run]
cache = false
[serve]
bind = "127.0.0.1:{PORT}"
workers = 2
cache = 1
keep = 2
max_side = 2048
"""


class Counts:
    """What the clients have seen."""

    def __init__(self) -> None:
        self.statuses: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        self.colors: dict[str, tuple[int, ...]] = {}
        self.last, self.longest_gap = time.monotonic(), 0.0

    def answered(self) -> None:
        """Note the time of an answer."""
        now = time.monotonic()
        self.longest_gap, self.last = max(self.longest_gap, now - self.last), now

    def check(self, run: str, content: bytes) -> None:
        """Compare the color of a map with the first map of its run."""
        pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGBA")).reshape(-1, 4)
        color = tuple(pixels[0].tolist())
        if not (pixels == pixels[0]).all():
            self.wrong.append(f"{run}: two colors")
        elif self.colors.setdefault(run, color) != color:
            self.wrong.append(f"{run}: {color} instead of {self.colors[run]}")


async def client(counts: Counts, stop: asyncio.Event, pause: float) -> None:
    """Ask for random boxes over one connection, which is opened again when the service closes it."""
    while not stop.is_set():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", PORT, limit=2**22)
        except OSError:
            counts.statuses["refused"] += 1
            await asyncio.sleep(0.05)
            continue
        try:
            while not stop.is_set():
                await ask(counts, reader, writer, pause)
        except (OSError, asyncio.IncompleteReadError):
            if not stop.is_set():
                counts.statuses["closed"] += 1
        finally:
            writer.close()


async def ask(counts: Counts, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pause: float) -> None:
    """Ask for one map and check it."""
    x, y, size = random.uniform(-100, -98), random.uniform(40, 42), random.uniform(0.2, 1.5)
    path = f"/map?bbox={x:.4f},{y:.4f},{x + size:.4f},{y + size:.4f}&width=256&height=256"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status = head.split(" ", 2)[1]
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    if pause:
        await asyncio.sleep(pause)
    content = await reader.readexactly(int(fields["content-length"]))
    counts.statuses[status] += 1
    counts.answered()
    if status == "200":
        counts.check(fields["data-run"], content)
    elif status == "503":
        assert "retry-after" in fields
        await asyncio.sleep(0.02)


def write_plane(folder: Path, value: float) -> None:
    """Replace the raster by a plane of one value."""
    values = np.full((1500, 1500), value + 0.5, "float32")
    profile = {"driver": "GTiff", "width": 1500, "height": 1500, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
    with rasterio.open(folder / "new.tif", "w", transform=from_origin(-101, 44, 0.004, 0.004), **profile) as target:
        target.write(values, 1)
    (folder / "new.tif").rename(folder / "plane.tif")


async def renew(folder: Path, stop: asyncio.Event, seconds: float) -> None:
    """Replace the raster again and again."""
    number = 0
    while not stop.is_set():
        await asyncio.sleep(seconds)
        number += 1
        await asyncio.to_thread(write_plane, folder, number % LEVELS)


async def kill_workers(service: psutil.Process, stop: asyncio.Event, seconds: float) -> int:
    """Kill a random worker again and again. Return how many were killed."""
    killed = 0
    while not stop.is_set():
        await asyncio.sleep(random.uniform(0.2, 2 * seconds))
        with suppress(psutil.Error, IndexError):
            workers = [each for each in service.children(recursive=True) if depth(each, service) == WORKER_DEPTH]
            random.choice(workers).kill()
            killed += 1
    return killed


WORKER_DEPTH = 3
"""Guard, parent, generation, worker."""


def depth(process: psutil.Process, top: psutil.Process) -> int:
    """Return the number of steps from a process up to the service."""
    return [top, *reversed(process.parents())].count(top) and process.parents().index(top) + 1


def state(service: psutil.Process) -> dict[str, float]:
    """Return processes, memory in MB and descriptors of the service."""
    found = [service, *service.children(recursive=True)]
    memory = descriptors = 0.0
    for each in found:
        with suppress(psutil.Error):
            memory += each.memory_full_info().uss / 2**20
            descriptors += each.num_fds()
    return {"processes": len(found), "memory": round(memory), "descriptors": descriptors}


def wait_until_ready() -> None:
    """Wait until the first data are loaded."""
    for _ in range(1200):
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{PORT}/ready", timeout=5):
            return
        time.sleep(0.1)
    raise SystemExit("the service does not answer")


async def soak(folder: Path, service: psutil.Process, options: argparse.Namespace) -> bool:
    """Load the service and print what was seen. Return True if all is well."""
    at_start = state(service)
    counts, stop = Counts(), asyncio.Event()
    clients = [
        asyncio.ensure_future(client(counts, stop, 0.3 if number < options.slow else 0.0))
        for number in range(options.clients)
    ]
    killing = asyncio.ensure_future(kill_workers(service, stop, options.kill))
    renewing = asyncio.ensure_future(renew(folder, stop, options.renew))
    await asyncio.sleep(min(15.0, options.seconds / 4))
    before = state(service)
    await asyncio.sleep(options.seconds - min(15.0, options.seconds / 4))
    stop.set()
    await asyncio.gather(*clients, renewing)
    killed = await killing
    await asyncio.sleep(6)
    after = state(service)
    print(f"answers {dict(counts.statuses)}, runs {len(counts.colors)}, killed {killed}")
    print(f"wrong {len(counts.wrong)} {counts.wrong[:3]}, longest gap {counts.longest_gap:.2f} s")
    print(f"at the start {at_start}\nunder load {before}\nafter {after}")
    return not counts.wrong and set(counts.statuses) <= {"200", "503"}


def main() -> None:
    """Run the service and load it."""
    parser = argparse.ArgumentParser(description="Load the map service while it is renewed and its workers are killed.")
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--slow", type=int, default=4)
    parser.add_argument("--renew", type=float, default=5, help="seconds between renewals")
    parser.add_argument("--kill", type=float, default=3, help="mean seconds between kills")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_plane(folder, 0)
        (folder / "regionplot.toml").write_text(SETTINGS, encoding="utf-8")
        command = [Path(sys.executable).parent / "regionplot", "serve", "--quiet"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=log)
        try:
            wait_until_ready()
            is_well = asyncio.run(soak(folder, psutil.Process(process.pid), options))
            print(f"exit code {process.send_signal(signal.SIGTERM) or process.wait(30)}")
        finally:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        lines = (folder / "log").read_text().splitlines()
        print(
            "\n".join(line for line in lines if "ended with signal 9" not in line and "generation" not in line)[:3000]
        )
    sys.exit(not is_well)


if __name__ == "__main__":
    main()
