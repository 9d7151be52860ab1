"""Only one run can draw into an output folder at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from regionplot.errors import LockedError, OutputError
from regionplot.runs.lock import NAME, locked

_HOLD = """
import sys, pathlib
from regionplot.runs.lock import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Start another process that locks the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_error_names_the_process_that_locked_the_folder(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with (
        pytest.raises(LockedError, match=rf"process {holder.pid} on .* \(started \d+ s ago\)") as caught,
        locked(tmp_path),
    ):
        pass
    assert caught.value.exit_code == 4


def test_another_thread_is_refused_and_the_lock_stays(tmp_path: Path) -> None:
    again = (
        f"import pathlib; from regionplot.runs.lock import locked; locked(pathlib.Path({str(tmp_path)!r})).__enter__()"
    )
    other_process = [sys.executable, "-c", again]
    with locked(tmp_path):
        with pytest.raises(LockedError, match="another thread of this program"), locked(tmp_path / "."):
            pass
        assert f"process {os.getpid()}" in subprocess.run(other_process, capture_output=True, text=True).stderr
    assert subprocess.run(other_process).returncode == 0


def test_the_lock_of_a_killed_run_is_free(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    with locked(tmp_path):
        assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()


def test_a_folder_can_be_locked_again(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path):
            pass


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / NAME).symlink_to(victim)
    with pytest.raises(OutputError, match="cannot be locked"), locked(tmp_path):
        pass
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("text", ["", "x", "[]", '{"pid": "x"}', '{"pid": 1, "host": "h", "since": "yesterday"}'])
@pytest.mark.usefixtures("holder")
def test_a_lock_file_without_a_record_still_locks(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(LockedError, match="another process is drawing"), locked(tmp_path):
        pass
