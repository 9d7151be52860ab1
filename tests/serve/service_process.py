"""The real service in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
PATIENCE = 60.0


@dataclass
class Answer:
    """An answer of the service."""

    status: int
    headers: dict[str, str]
    content: bytes


@dataclass
class ServiceProcess:
    """A running service."""

    process: subprocess.Popen[str]
    port: int
    errors: Path

    def get(self, address: str) -> Answer:
        """Return the answer to one request."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{address}", timeout=PATIENCE) as found:
                return Answer(found.status, {k.lower(): v for k, v in found.headers.items()}, found.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition is true."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(OSError):
                if condition():
                    return
            assert self.process.poll() is None, self.errors.read_text()
            time.sleep(0.05)
        raise AssertionError(f"the service did not get there: {self.errors.read_text()}")

    def wait_until_ready(self) -> None:
        """Wait until the first data are loaded."""
        self.until(lambda: self.get("/ready").status == 200)

    @property
    def run(self) -> str:
        """Id of the data in use."""
        return str(json.loads(self.get("/ready").content)["run"])

    def processes(self) -> dict[int, int]:
        """Return all processes of the service, with their parents."""
        parents: dict[int, int] = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError, ValueError, IndexError):
                fields = path.read_text().rpartition(")")[2].split()
                if fields[0] != "Z":
                    parents[int(path.parent.name)] = int(fields[1])
        found: dict[int, int] = {self.process.pid: 0}
        while True:
            more = {pid: parent for pid, parent in parents.items() if parent in found and pid not in found}
            if not more:
                return found
            found |= more

    @property
    def workers(self) -> list[int]:
        """Process ids of the workers: the children of generations, which are the deepest processes."""
        parents = self.processes()
        depth = {self.process.pid: 0}
        for pid, parent in parents.items():
            if pid != self.process.pid:
                depth[pid] = depth[parent] + 1
        deepest = max(depth.values())
        return [pid for pid, level in depth.items() if level == deepest]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_service(folder: Path, *arguments: str) -> Iterator[ServiceProcess]:
    """Run the command in a folder, and end it."""
    port, errors = free_port(), folder / "errors.txt"
    with errors.open("w") as err, (folder / "access.txt").open("w") as out:
        process = subprocess.Popen(
            [BIN / "regionplot", "serve", "--bind", f"127.0.0.1:{port}", *arguments],
            cwd=folder, stdout=out, stderr=err, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )  # fmt: skip
    service = ServiceProcess(process, port, errors)
    try:
        yield service
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
