"""Run the command on small maps, and look at the files and the processes it leaves."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from PIL import Image
from warm_start import WarmProcess

COMMAND = Path(__file__).parent / "command.py"
CONFIG = '[raster]\npath = "sample:relief"\n[map]\nstyle = "plain"\nsize = [300, 200]\n[run]\nworkers = 2\n'
HEADER = "name,west,east,south,north\n"
TABLE = f"{HEADER}east,-84.5,-75.3,33.8,36.7\nwest,-124,-114,33,42\n"


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Wait until a condition is true, and return its value. Fail if it does not become true in time."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.02)
    return result


def living(session: int) -> list[int]:
    """Return the running processes of a session. An orphan has another parent but stays in the session."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def write_inputs(folder: Path, table: str | bytes, config: str) -> None:
    """Write a table of regions and settings."""
    (folder / "regions.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    (folder / "regionplot.toml").write_text(config, encoding="utf-8")


def run_process(
    folder: Path, *arguments: object, table: str | bytes = TABLE, config: str = CONFIG, **options: Any
) -> Any:
    """Run the command in a process of its own, for limits and environments that count from its start."""
    write_inputs(folder, table, config)
    command = [sys.executable, "-m", "regionplot", "regions.csv", *map(str, arguments)]
    options = {"cwd": folder, "capture_output": True, "text": True, "encoding": "utf-8", "timeout": 100, **options}
    return checked(folder, subprocess.run(command, **options))


def run_light(
    process: WarmProcess, folder: Path, *arguments: object, environment: Mapping[str, str] | None = None
) -> Any:
    """Run the command in a fork of a process that has imported neither this package nor matplotlib."""
    write_inputs(folder, TABLE, CONFIG)
    with process.start(folder, "regions.csv", *arguments, environment=environment) as command:
        out, err = command.communicate(timeout=100)
    return checked(folder, subprocess.CompletedProcess([], command.wait(), out, err))


def checked(folder: Path, result: Any) -> Any:
    """Return the result of a command that has left neither a traceback nor a temporary file."""
    assert "Traceback" not in result.stderr, result.stderr
    assert not leftovers(folder)
    return result


def with_raster(path: Path, more: str = "", section: str = "") -> str:
    """Return settings for a raster, with more keys of its section and with other sections."""
    return CONFIG.replace('"sample:relief"', f'"{path}"\n{more}') + section


def images(folder: Path) -> list[str]:
    """Return the names of the maps in the output folder."""
    return sorted(path.stem for path in (folder / "output").rglob("*.png") if not path.name.startswith("."))


def pixels(path: Path) -> bytes:
    """Return the pixels of an image, without its metadata."""
    with Image.open(path) as image:
        return image.convert("RGB").tobytes()


def leftovers(folder: Path) -> list[Path]:
    """Return all temporary files."""
    return [Path(where) / name for where, _, names in os.walk(folder) for name in names if name.endswith(".tmp")]
