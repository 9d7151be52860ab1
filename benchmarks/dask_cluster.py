"""Compare a run on a real dask cluster with a forked run.

A worker is killed, a worker joins, and the scheduler is killed.

    python benchmarks/dask_cluster.py [--maps 120] [--workers 4]

The scheduler and the workers are started from the command line on the loopback interface, as a user would.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

WORKER = [sys.executable, "-m", "distributed.cli.dask_worker"]
SCHEDULER = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
SCHEDULERS: list[subprocess.Popen[bytes]] = []
PRODUCTS = """
[products.warm.colors]
colormap = "magma"
[products.cold.colors]
colormap = "viridis"
"""


def main() -> None:
    """Run all cases and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--maps", type=int, default=120)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        write_inputs(folder, options.maps)
        for name in ("plain", "products"):
            draw(folder, name, "fork", "--executor", "fork", "-j", "2")
        with cluster(folder, options.workers) as (address, workers):
            for name in ("plain", "products"):
                draw(folder, name, "dask", "--scheduler", address)
                compare(folder, name, "dask")
            killed = start(folder, "plain", "killed", "--scheduler", address)
            wait_for_maps(folder / "plain-killed", 5, killed)
            workers[0].kill()
            workers.append(worker(address, folder))
            finish(killed, "a worker SIGKILLed, a worker added")
            compare(folder, "plain", "killed")
        with cluster(folder, options.workers) as (address, workers):
            lost = start(folder, "plain", "lost", "--scheduler", address)
            wait_for_maps(folder / "plain-lost", 5, lost)
            SCHEDULERS[-1].kill()
            finish(lost, "the scheduler killed")
            compare_written(folder, "plain", "lost")
        draw(folder, "plain", "local", "--executor", "dask", "-j", "2")
        compare(folder, "plain", "local")


def write_inputs(folder: Path, maps: int) -> None:
    """Write a table of regions, and settings without and with products."""
    rows = [f"r{n},{-125 + n % 15 * 3},{-115 + n % 15 * 3},{25 + n // 15},{33 + n // 15}" for n in range(maps)]
    (folder / "regions.csv").write_text("\n".join(["name,lon_min,lon_max,lat_min,lat_max", *rows]) + "\n")
    (folder / "plain.toml").write_text('[raster]\npath = "sample:relief"\n')
    (folder / "products.toml").write_text('[raster]\npath = "sample:relief"\n' + PRODUCTS)


def worker(address: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start one worker process with one thread."""
    command = [*WORKER, address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def cluster(folder: Path, count: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Start a scheduler and workers. End them when the context exits."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    command = [*SCHEDULER, "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    SCHEDULERS.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    workers = [worker(address, folder) for _ in range(count)]
    try:
        wait_for_workers(address, count)
        yield address, workers
    finally:
        for process in [*workers, SCHEDULERS[-1]]:
            process.kill()
            process.wait()


def wait_for_workers(address: str, count: int) -> None:
    """Wait until the workers have joined."""
    code = f"import distributed; distributed.Client({address!r}, timeout=60).wait_for_workers({count}, timeout=120)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=200)


def start(folder: Path, name: str, output: str, *options: str) -> subprocess.Popen[str]:
    """Start a run that writes to the folder NAME-OUTPUT."""
    command = [sys.executable, "-m", "regionplot", str(folder / "regions.csv"), "-c", str(folder / f"{name}.toml")]
    command += ["-o", str(folder / f"{name}-{output}"), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def draw(folder: Path, name: str, output: str, *options: str) -> None:
    """Run regionplot to its end."""
    finish(start(folder, name, output, *options), f"{name}, {output}")


def finish(process: subprocess.Popen[str], what: str) -> None:
    """Wait for a run, and print its exit code, its time and its output."""
    began = time.monotonic()
    text, _ = process.communicate(timeout=300)
    print(
        f"== {what}: exit code {process.returncode}, {time.monotonic() - began:.1f} s\n{text.strip()[-1500:]}",
        flush=True,
    )


def wait_for_maps(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until a run has written some maps."""
    while len(list(folder.rglob("*.png"))) < count and process.poll() is None:
        time.sleep(0.02)


def images(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all images below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


def compare(folder: Path, name: str, output: str) -> None:
    """Compare all images of a run with those of the forked run."""
    found, expected = images(folder / f"{name}-{output}"), images(folder / f"{name}-fork")
    same = bool(expected) and found == expected
    print(
        f"   {name}, {output}: {len(found)} of {len(expected)} maps, {'byte-identical' if same else 'DIFFERENT'}",
        flush=True,
    )


def compare_written(folder: Path, name: str, output: str) -> None:
    """Compare the images that an interrupted run has written with those of the forked run."""
    expected, found = images(folder / f"{name}-fork"), images(folder / f"{name}-{output}")
    bad = [file for file, content in found.items() if expected[file] != content]
    others = [path.name for path in (folder / f"{name}-{output}").rglob("*") if path.suffix not in (".png", ".json")]
    print(f"   {len(found)} of {len(expected)} maps written, different: {bad}, other files: {others}", flush=True)


if __name__ == "__main__":
    main()
