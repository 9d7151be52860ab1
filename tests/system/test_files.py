"""Test atomic writes, exclusive creation, and the removal of temporary files of killed runs."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from regionplot.system.files import Fingerprint, atomic_replace, new_run, open_exclusive, remove_stale_temporaries


def test_a_file_is_replaced_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    with atomic_replace(target, new_run()) as temporary:
        with open_exclusive(temporary) as file:
            file.write(b"new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_keeps_the_old_file_and_removes_the_temporary_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")

    def fail() -> None:
        with atomic_replace(target, new_run()) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_umask_decides_who_can_read_new_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        open_exclusive(tmp_path / "file").close()
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    with pytest.raises(FileExistsError):
        open_exclusive(tmp_path / "link")
    assert not (tmp_path / "victim").exists()


def test_names_of_runs_sort_by_time() -> None:
    names = [new_run() for _ in range(3)]
    assert len(set(names)) == 3
    assert [name[:15] for name in names] == sorted(name[:15] for name in names)


def test_only_temporary_files_of_one_run_or_of_ended_runs_are_removed(tmp_path: Path) -> None:
    mine, sub = new_run(), tmp_path / "sub"
    sub.mkdir()
    kept = {tmp_path / "a.png", tmp_path / ".hidden.tmp", tmp_path / ".a.png.123.tmp", sub / "b.tmp"}
    kept.add(tmp_path / f".also_mine.tif.{new_run()}.tmp")
    earlier_process = f"20260101T000000Z-{os.getpid()}-{mine[-8:-5]}{'0' * 5}"
    theirs = tmp_path / f".a.tif.{earlier_process}.tmp.ovr.tmp"
    for path in [*kept, theirs, tmp_path / f".a.png.{mine}.tmp", sub / f".b.png.{mine}.tmp"]:
        path.touch()
    remove_stale_temporaries([tmp_path, sub, tmp_path / "none"], mine)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {*kept, theirs}
    remove_stale_temporaries([tmp_path, sub])
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == kept


def test_temporary_files_of_a_running_process_are_kept(tmp_path: Path) -> None:
    worker = subprocess.Popen(["sleep", "60"])
    theirs = tmp_path / f".a.png.20260101T000000Z-{worker.pid}-{new_run()[-8:-5]}00000.tmp"
    theirs.touch()
    try:
        remove_stale_temporaries([tmp_path])
        assert theirs.exists()
    finally:
        worker.kill()
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)  # now it is a zombie
    remove_stale_temporaries([tmp_path])
    assert not theirs.exists()
    worker.wait()


def test_temporary_files_of_another_machine_are_kept_for_a_day(tmp_path: Path) -> None:
    """Folders can be shared by machines or containers. Process ids of another machine mean nothing on this machine."""
    elsewhere = "000" if new_run()[-8:-5] != "000" else "111"
    path = tmp_path / f".a.tif.20260101T000000Z-999999-{elsewhere}00000.tmp"
    path.touch()
    remove_stale_temporaries([tmp_path])
    assert path.exists()
    os.utime(path, (time.time() - 90_000,) * 2)
    remove_stale_temporaries([tmp_path])
    assert not path.exists()


def test_a_fingerprint_changes_with_each_kind_of_change(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert Fingerprint.of(path) is None
    path.write_text("old")
    before, times = Fingerprint.of(path), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    assert Fingerprint.of(path) == before
    path.write_text("new")  # same size
    os.utime(path, ns=times)  # same time of the last write, so only ctime differs
    rewritten = Fingerprint.of(path)
    assert rewritten is not None
    assert before is not None
    assert (rewritten.inode, rewritten.size, rewritten.modified) == (before.inode, before.size, before.modified)
    assert rewritten != before
    (tmp_path / "copy").write_text("new")
    (tmp_path / "copy").replace(path)
    assert Fingerprint.of(path) != rewritten
