"""The command works without the parts of Python that Windows lacks. This is a simulation, not a test on Windows."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="a simulation of Windows")]

SIMULATION = """
import multiprocessing.popen_spawn_posix, os, platformdirs, signal, subprocess, sys, click

def remove_posix():
    for module in ("fcntl", "resource", "pwd", "grp", "termios"):
        sys.modules[module] = None
    for module, names in {
        os: "fork register_at_fork nice getuid geteuid getgid sched_getaffinity O_NOFOLLOW O_NONBLOCK O_CLOEXEC "
            "O_DIRECTORY statvfs mkfifo waitid fchmod fchdir pread sysconf getloadavg getppid_ killpg",
        signal: "SIGHUP SIGALRM SIGUSR1 SIGUSR2 SIGXCPU SIGXFSZ SIGSTOP SIGCONT SIGCHLD SIGPIPE setitimer "
            "ITIMER_REAL pthread_sigmask sigwait",
    }.items():
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    multiprocessing.get_all_start_methods = lambda: ["spawn"]

remove_posix()
if __name__ == "__main__":
    from regionplot.cli import commands
    sys.exit(commands.run(sys.argv[1:]))
"""
TABLE = "name,west,east,south,north\neast,-84.5,-75.3,33.8,36.7\nwest,-124,-114,33,42\n"


@pytest.fixture
def run(tmp_path):
    """Run the command in a new process without the parts of Python that need POSIX."""
    (tmp_path / "simulation.py").write_text(SIMULATION)
    (tmp_path / "regions.csv").write_text(TABLE)
    (tmp_path / "regionplot.toml").write_text(
        '[raster]\npath = "sample:relief"\n[map]\nsize = [300, 200]\n[[features]]\npath = "sample:states"\n'
    )

    def command(*arguments):
        program = [sys.executable, "simulation.py", *arguments]
        return subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)

    return command


@pytest.mark.parametrize("options", [("--start-method", "serial"), ("-j", "2", "--log-file", "run.log")])
def test_maps_are_drawn_without_posix(run, tmp_path, options):
    result = run("regions.csv", "--force", *options)
    assert (result.returncode, result.stderr) == (0, "")
    method = dict(zip(options[::2], options[1::2], strict=True)).get("--start-method", "spawn")
    assert sorted(path.name for path in (tmp_path / "output").glob("*.png")) == ["east.png", "west.png"]
    assert "2 maps drawn" in result.stdout
    assert method != "spawn" or " 2 x spawn" in (tmp_path / "run.log").read_text()


def test_rasters_are_prepared_without_posix(run, tmp_path):
    result = run("prepare", "sample:relief", "-o", "half.tif", "--scale", "0.5")
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "half.tif").stat().st_size > 100_000
