"""Only one run can draw into an output folder at a time."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest

from regionplot.errors import LockedError, OutputError
from regionplot.runs.lock import NAME, describe_killed_run, locked
from regionplot.system.cgroups import ControlGroups

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


def _plant_hard_link(path: Path) -> None:
    path.with_name("victim").write_text("precious")
    path.hardlink_to(path.with_name("victim"))


def _plant_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, chdir(path.parent):  # the path can be too long for a socket
        server.bind(path.name)


PLANTED = {
    "hard link": (_plant_hard_link, "a hard link to another file"),
    "link": (lambda path: path.symlink_to("victim"), "a link"),
    "link to itself": (lambda path: path.symlink_to(path), "a link"),
    "link to a device": (lambda path: path.symlink_to("/dev/null"), "a link"),
    "pipe": (os.mkfifo, "not a plain file"),
    "socket": (_plant_socket, "not a plain file"),
    "folder": (Path.mkdir, "not a plain file"),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_lock_file_is_refused_and_stays(tmp_path: Path, kind: str) -> None:
    plant, message = PLANTED[kind]
    plant(tmp_path / NAME)
    before = (tmp_path / NAME).lstat()
    with (
        pytest.raises(OutputError, match=f"cannot be locked: this is {message}; remove it") as caught,
        locked(tmp_path),
    ):
        pass
    assert caught.value.exit_code == 2
    assert (tmp_path / NAME).lstat() == before
    assert kind != "hard link" or (tmp_path / "victim").read_text() == "precious"


NO_LOCKS = [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM]


@pytest.fixture(params=NO_LOCKS, ids=errno.errorcode.get)
def no_locks(request, monkeypatch) -> int:
    """Make the file system refuse locks."""

    def refuse(*_: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "lockf", refuse)
    return request.param


def test_a_file_system_without_locks_gives_one_warning(tmp_path: Path, no_locks: int, caplog) -> None:
    for _ in range(2):
        with locked(tmp_path):
            pass
    message = f"{tmp_path}: the file system has no locks ({os.strerror(no_locks)}); do not start a second run"
    assert [text.startswith(message) for text in caplog.messages] == [True, True]


@pytest.mark.usefixtures("no_locks")
@pytest.mark.skipif(sys.platform != "linux", reason="start times of processes are in /proc")
def test_without_locks_the_record_of_a_running_process_counts(tmp_path: Path, holder, caplog) -> None:
    with pytest.raises(LockedError, match=f"process {holder.pid} on"), locked(tmp_path):
        pass
    holder.kill()
    holder.wait()
    with locked(tmp_path):
        pass
    assert len(caplog.messages) == 2, "no locks, and a killed run"


def test_the_end_of_a_run_is_recorded_also_after_an_error(tmp_path: Path, caplog) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    assert "ended" in json.loads((tmp_path / NAME).read_text())
    with locked(tmp_path):
        pass
    assert not caplog.messages


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_next_run_reports_a_killed_run_once(tmp_path: Path, holder, caplog) -> None:
    holder.kill()
    holder.wait()
    (tmp_path / "map.png").touch()
    os.utime(tmp_path / "map.png", (4e9, 4e9))
    for _ in range(2):
        with locked(tmp_path):
            pass
    (message,) = caplog.messages
    assert f"the previous run (process {holder.pid} on {socket.gethostname()}, started at 20" in message
    assert message.endswith("was killed; the last file was written at 2096-10-02T07:06:40+00:00")


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({}, " was killed; the last"),
        ({"memory_kills": -1}, " because it exceeded the memory limit of its control group (300 MiB);"),
        ({"boot": "other"}, " was killed when the machine stopped;"),
        ({"host": "other", "boot": "other"}, " was killed; the last"),
        ({"host": "a\nb" * 99}, "on a\\nba"),
    ],
)
def test_the_cause_of_death_is_reported_if_it_is_known(changes, cause, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(ControlGroups, "memory_limit", lambda _: 300 * 2**20)
    with locked(tmp_path):
        record = {**json.loads((tmp_path / NAME).read_text()), **changes}
    message = describe_killed_run(tmp_path, json.dumps(record))
    assert cause in message
    assert "\n" not in message
    assert len(message) < 600


@pytest.mark.parametrize("text", ["", "x", "[" * 3000, "[]", '{"pid": "x"}', '{"pid": 1, "host": "h", "since": "s"}'])
def test_a_damaged_record_says_nothing_about_a_killed_run(tmp_path: Path, text: str, caplog) -> None:
    (tmp_path / NAME).write_text(text)
    with locked(tmp_path):
        pass
    assert not caplog.messages
