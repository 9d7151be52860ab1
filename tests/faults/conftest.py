"""A folder of maps to draw again, and the command with injected faults."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from small_runs import COMMAND, CONFIG, TABLE, leftovers, living, wait_until, write_inputs
from warm_start import Command, WarmProcess

from regionplot.runs import lock, manifest

REGIONS = ["a", "b", "c", "d", "e", "f"]
OLD = b"the previous good image"
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass
class Place:
    """A folder with a table of six regions and previous images, and the result of a run there."""

    folder: Path
    warm_process: WarmProcess
    code: int = -1
    output: str = ""
    error: str = ""
    session: int = 0
    """Session of the command and its workers."""
    started: list[Command | subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rows = [f"{name},{-120 + 5 * i},{-110 + 5 * i},30,40" for i, name in enumerate(REGIONS)]
        (self.folder / "regions.csv").write_text("\n".join(["name,west,east,south,north", *rows, ""]))
        (self.folder / "output").mkdir()
        for name in REGIONS:
            self.image(name).write_bytes(OLD)

    def start(self, faults: list[str], *arguments: object, limit: str = "", times: int = 0, **run: Any) -> Any:
        """Start the command with settings for the section `run` and an option of `ulimit`."""
        settings = "".join(f"{key} = {value}\n" for key, value in {"workers": 2, "retries": 0, **run}.items())
        text = f'[raster]\npath = "sample:relief"\n[map]\nstyle = "plain"\nsize = [300, 200]\n[run]\n{settings}'
        (self.folder / "regionplot.toml").write_text(text)
        injected = [word for fault in faults for word in ("--fault", fault)] + (
            ["--times", str(times)] if times else []
        )
        words = [*injected, "--log", "strikes", "--", "regions.csv", *arguments]
        if limit:
            self.started.append(self._start_python(limit, words))
        else:
            self.started.append(self.warm_process.start(self.folder, *words, script=COMMAND))
        self.session = self.started[-1].pid
        return self.started[-1]

    def _start_python(self, limit: str, words: list[object]) -> subprocess.Popen[str]:
        """Start the command with a new interpreter, for limits that count from its start."""
        return subprocess.Popen(
            ["sh", "-c", f'ulimit {limit} && exec "$@"', "sh", sys.executable, COMMAND, *map(str, words)],
            cwd=self.folder, text=True, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, faults: list[str], *arguments: object, **options: Any) -> Place:
        """Run the command to its end."""
        process = self.start(faults, *arguments, **options)
        self.output, self.error = process.communicate(timeout=100)
        self.code = process.returncode
        return self

    def image(self, region: str) -> Path:
        return self.folder / "output" / f"{region}.png"

    def drawn(self) -> set[str]:
        """Return the regions with a new, complete image."""
        found = {name for name in REGIONS if self.image(name).read_bytes()[:8] == PNG}
        assert all(self.image(name).read_bytes().endswith(b"IEND\xaeB`\x82") for name in found)
        return found

    def untouched(self) -> set[str]:
        """Return the regions with their previous image."""
        return {name for name in REGIONS if self.image(name).read_bytes() == OLD}

    def messages(self) -> dict[str, str]:
        """Return the messages of failed regions by name. Each line must name the row of the table."""
        lines = [line for line in self.error.splitlines() if line.startswith("regionplot: regions.csv:")]
        found = dict(line.removeprefix("regionplot: regions.csv:").split(": ", 2)[1:] for line in lines)
        rows = {line.split(":")[2]: line.split(": ")[2] for line in lines}
        assert rows == {str(REGIONS.index(name) + 2): name for name in found}, "a row, a region, once each"
        return found

    def temporaries(self) -> list[Path]:
        hidden = (path for path in (self.folder / "output").rglob("*") if path.name.startswith("."))
        return [path for path in hidden if path.name != lock.NAME]

    def states(self) -> dict[str, str]:
        """Return the state of each region in the manifest."""
        document = json.loads((self.folder / "output" / manifest.NAME).read_text())
        assert document["run"]["exit_code"] == self.code
        return {entry["name"]: entry["state"] for entry in document["regions"]}

    def strikes(self) -> list[str]:
        """Return the injected faults, in order."""
        log = self.folder / "strikes"
        return [line.split()[1] for line in log.read_text().splitlines()] if log.exists() else []

    def alive(self) -> list[int]:
        """Return the running processes of the run."""
        return living(self.session)

    def assert_only_failed(self, *regions: str) -> None:
        """Check that only these regions failed, that their images stay, and that nothing else is left."""
        failed = set(regions)
        assert self.code == (1 if failed else 0), self.error
        assert set(self.messages()) == failed
        assert self.untouched() == failed
        assert self.drawn() == set(REGIONS) - failed
        self.assert_tidy()

    def assert_tidy(self) -> None:
        assert not self.temporaries()
        self.wait_for_end(2)  # multiprocessing's resource tracker ends just after the command
        assert "Traceback" not in self.error

    def wait_for_strikes(self, number: int) -> None:
        wait_until(lambda: len(self.strikes()) == number)

    def wait_for_end(self, seconds: float) -> None:
        """Wait until all processes of the run have ended."""
        wait_until(lambda: not self.alive(), seconds)


@pytest.fixture
def place(tmp_path: Path, warm_process: WarmProcess) -> Any:
    """Return a place for one test."""
    made = Place(tmp_path, warm_process)
    yield made
    for process in made.started:
        with process:
            process.kill()


@pytest.fixture(scope="module")
def new_place(tmp_path_factory: pytest.TempPathFactory, warm_process: WarmProcess) -> Callable[[], Place]:
    """Return a function that makes a place for all tests of a module."""
    return lambda: Place(tmp_path_factory.mktemp("place"), warm_process)


@pytest.fixture
def run(run_command: Callable[..., Any]) -> Callable[..., Any]:
    """Run the command in this process, on a table and settings; see `small_runs.run_process`."""

    def run(folder: Path, *arguments: object, table: str | bytes = TABLE, config: str = CONFIG) -> Any:
        write_inputs(folder, table, config)
        result = run_command(folder, "regions.csv", *arguments)
        assert "Traceback" not in result.stderr, result.stderr
        assert not leftovers(folder)
        return result

    return run
