"""A path with times and wildcards finds a file, and `Arrivals` returns a raster only when it is complete."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from regionplot.errors import ConfigError, InputError
from regionplot.inputs import arrival
from regionplot.inputs.arrival import Arrivals, wait_for
from regionplot.settings.loading import read_config, read_config_before_arrival
from regionplot.settings.patterns import Pattern
from regionplot.text import TemplateError

NOON = datetime(2026, 2, 3, 12, 30, tzinfo=UTC)
FOREVER = 3600.0


def touch(path: Path, age: float = 0.0, content: bytes = b"raster") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def pattern(path: Path, cycle: int = 1) -> Pattern:
    return Pattern(str(path), cycle, lambda: NOON)


def unknown(_path: Path) -> bool:
    """Return False, as on a file system without leases."""
    return False


@pytest.fixture
def _leases(tmp_path: Path) -> None:
    if not arrival.has_no_writer(touch(tmp_path / "probe", content=b"x")):
        pytest.skip("no leases on this file system")


@pytest.mark.parametrize("name", ["snow[1].tif", "snow*.tif", "{run}.tif", "{", "a?.tif"])
def test_an_existing_file_is_taken_literally(name: str, tmp_path: Path) -> None:
    touch(tmp_path / "snow1.tif")
    assert pattern(touch(tmp_path / name, age=100)).find() == tmp_path / name


def test_an_existing_folder_is_taken_literally(tmp_path: Path) -> None:
    wanted = touch(tmp_path / "[old] {maps}" / "a1.tif")
    assert pattern(tmp_path / "[old] {maps}" / "a[12].tif").find() == wanted


@pytest.mark.parametrize(("cycle", "hour"), [(1, "12"), (3, "12"), (5, "10"), (6, "12"), (12, "12"), (24, "00")])
def test_the_time_in_a_name_is_the_last_model_run(cycle: int, hour: str, tmp_path: Path) -> None:
    wanted = touch(tmp_path / "20260203" / f"gfs{hour}00.tif")
    touch(tmp_path / "20260203" / "gfs1300.tif")
    assert pattern(tmp_path / "{run:%Y%m%d}" / "gfs{run:%H%M}.tif", cycle).find() == wanted


def test_the_format_of_a_time_can_contain_folders(tmp_path: Path) -> None:
    wanted = touch(tmp_path / "2026" / "034" / "snow.tif")
    assert pattern(tmp_path / "{run:%Y/%j}" / "snow.tif").find() == wanted


def test_the_newest_match_is_found_and_the_last_name_wins_a_tie(tmp_path: Path) -> None:
    for name, age in (("a9", 50), ("a1", 10), ("a2", 10), ("b1", 0)):
        touch(tmp_path / f"{name}.tif", age)
    then = time.time_ns()
    for name in ("a1", "a2"):
        os.utime(tmp_path / f"{name}.tif", ns=(then, then))
    assert pattern(tmp_path / "a[!x]*.t?f").find() == tmp_path / "a2.tif"
    assert pattern(tmp_path / "*" / "none.tif").find() is None


def test_the_newest_match_in_several_folders_is_found(tmp_path: Path) -> None:
    touch(tmp_path / "f000" / "snow.tif", age=10)
    wanted = touch(tmp_path / "f003" / "snow.tif", age=5)
    (tmp_path / "f006").mkdir()
    assert pattern(tmp_path / "f???" / "snow.tif").find() == wanted


@pytest.mark.parametrize("name", [".a.tif.x7Q", "a.tif.tmp", "a.tif.part", "a.tif.PARTIAL", "a\n.tif", "a\x1b[2J.tif"])
def test_names_of_unfinished_files_never_match(name: str, tmp_path: Path) -> None:
    touch(tmp_path / name)
    assert pattern(tmp_path / "*").find() is None
    wanted = touch(tmp_path / "a.tif", age=50)
    assert pattern(tmp_path / "*").find() == wanted


def test_folders_and_dangling_links_do_not_match_a_wildcard(tmp_path: Path) -> None:
    (tmp_path / "a.tif").mkdir()
    (tmp_path / "b.tif").symlink_to(tmp_path / "gone.tif")
    assert pattern(tmp_path / "*.tif").find() is None


@pytest.mark.parametrize(
    "text", ["{run}", "{run:d}", "{time:%Y}", "{run.__class__}", "{run:%Y", "{run:>999999999}", "{}", "{run:%s}"]
)  # fmt: skip
def test_no_other_field_is_filled_in(text: str, tmp_path: Path) -> None:
    with pytest.raises(TemplateError):
        pattern(tmp_path / f"{text}.tif").find()
    with pytest.raises(ConfigError, match=r"\[raster\] path: "):
        read_config({"raster": {"path": tmp_path / f"{text}.tif"}})


def test_the_error_names_the_pattern_with_its_time_filled_in(tmp_path: Path) -> None:
    year = datetime.now(UTC).year
    with pytest.raises(InputError, match=rf"\[raster\] path: nothing matches {tmp_path}/{year}_\*\.tif") as caught:
        read_config({"raster": {"path": tmp_path / "{run:%Y}_*.tif", "cycle": 24}})
    assert caught.value.exit_code == 3
    with pytest.raises(InputError, match=rf"there is no file {tmp_path}/{year}\.tif"):
        read_config({"raster": {"path": tmp_path / "{run:%Y}.tif"}})


def test_settings_hold_the_file_or_the_pattern_if_the_file_may_arrive_later(tmp_path: Path) -> None:
    tables = {"raster": {"path": tmp_path / "a*.tif"}}
    waiting = read_config_before_arrival(tables)
    assert waiting.raster.pattern.find() is None
    wanted = touch(tmp_path / "a1.tif")
    assert waiting.raster.pattern.find() == wanted
    assert read_config(tables).raster.path == wanted


def test_a_cycle_is_one_to_twenty_four_hours() -> None:
    with pytest.raises(ConfigError, match=r"\[raster\] cycle: .*24"):
        read_config({"raster": {"path": "sample:relief", "cycle": 25}})


def test_each_update_is_returned_once(tmp_path: Path) -> None:
    path, arrivals = tmp_path / "a.tif", Arrivals(str(tmp_path / "a.tif"), 0.5)
    assert arrivals.next(0) is None
    touch(path, age=10)
    assert arrivals.next(0) == path
    assert arrivals.next(0) is None
    touch(tmp_path / "new", age=10).replace(path)  # the same size and time, but another file
    assert arrivals.next(0) == path
    touch(path, age=10, content=b"longer raster")
    assert arrivals.next(0) == path
    path.unlink()
    assert (arrivals.next(0), arrivals.status) == (None, "the file does not exist")


def test_a_raster_that_is_growing_is_not_returned(tmp_path: Path) -> None:
    arrivals = Arrivals(str(tmp_path / "a.tif"), FOREVER, unknown)
    with (tmp_path / "a.tif").open("wb") as file:
        for _ in range(3):
            file.write(b"x" * 1000)
            file.flush()
            assert arrivals.next(0) is None
    assert arrivals.status == f"{tmp_path}/a.tif is still growing (3,000 bytes)"
    touch(tmp_path / "a.tif", age=FOREVER + 1)
    assert arrivals.next(0) == tmp_path / "a.tif"


def test_a_raster_with_a_future_time_stamp_is_complete_after_settling(tmp_path: Path) -> None:
    """The clocks of the writer and of this process may differ."""
    touch(tmp_path / "a.tif", age=-FOREVER)
    arrivals = Arrivals(str(tmp_path / "a.tif"), 0.2, unknown)
    assert arrivals.next(0) is None
    assert arrivals.next(60) == tmp_path / "a.tif"


def test_an_empty_file_is_never_complete(tmp_path: Path) -> None:
    touch(tmp_path / "a.tif", age=100, content=b"")
    arrivals = Arrivals(str(tmp_path / "a.tif"), 0)
    assert (arrivals.next(0), arrivals.status) == (None, f"{tmp_path}/a.tif is empty")


def test_an_older_match_is_not_taken_while_the_newest_is_growing(tmp_path: Path) -> None:
    touch(tmp_path / "a1.tif", age=100)
    touch(tmp_path / "a2.tif")
    assert Arrivals(str(tmp_path / "a*.tif"), FOREVER, unknown).next(0) is None


def test_a_file_that_was_returned_is_not_opened_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    arrivals = Arrivals(str(touch(tmp_path / "a.tif", age=10)), 1)
    assert arrivals.next(0)
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened"))
    assert arrivals.next(0.3) is None


def test_folders_are_not_scanned_at_each_check(tmp_path: Path) -> None:
    scans = []

    def clock() -> datetime:
        scans.append(1)
        return NOON

    assert Arrivals(Pattern(str(tmp_path / "*.tif"), 1, clock), 1).next(0.8) is None
    assert 1 <= len(scans) <= 2


@pytest.mark.usefixtures("_leases")
def test_a_raster_that_no_process_writes_is_returned_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    arrivals = Arrivals(str(path), FOREVER)
    with path.open("wb") as file:
        file.write(b"half")
        file.flush()
        assert arrivals.next(0) is None
    assert arrivals.next(0) == path


_BREAK_THE_LEASE = """
import fcntl, os, pathlib, sys
from regionplot.inputs import arrival

def open_for_writing_during_the_lease(descriptor, command, argument):
    if argument == fcntl.F_UNLCK:
        try:
            os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)
        except BlockingIOError:
            print("the lease was held")
    return original(descriptor, command, argument)

original, fcntl.fcntl = fcntl.fcntl, open_for_writing_during_the_lease
print(arrival.has_no_writer(pathlib.Path(sys.argv[1])))
"""


@pytest.mark.usefixtures("_leases")
def test_a_writer_that_opens_the_file_during_the_lease_does_not_end_this_process(tmp_path: Path) -> None:
    """Opening the file breaks the lease, and the kernel sends a signal to the holder."""
    command = [sys.executable, "-c", _BREAK_THE_LEASE, str(touch(tmp_path / "a.tif"))]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (0, "the lease was held\nTrue\n"), result.stderr


def test_a_lease_proves_nothing_on_a_file_system_that_other_machines_write_to(tmp_path: Path) -> None:
    assert not arrival.has_no_writer(touch(tmp_path / "a.tif"), file_systems=())


def test_pipes_and_missing_files_do_not_block_the_check(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    assert not arrival.has_no_writer(tmp_path / "pipe.tif")
    assert not arrival.has_no_writer(tmp_path / "none.tif")


@pytest.mark.skipif(sys.platform != "linux", reason="reads the list of mounts of Linux")
def test_the_file_system_is_that_of_the_deepest_mount(tmp_path: Path) -> None:
    folder = tmp_path / "my data"
    folder.mkdir()
    mounted = str(folder).replace(" ", "\\040")
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:9 / {mounted} rw shared:1 - fuse.sshfs host: rw\n")
    assert arrival.file_system(tmp_path / "a.tif", mounts) == "ext4"
    assert arrival.file_system(folder / "a.tif", mounts) == "fuse.sshfs"


def test_waiting_returns_the_raster_that_arrives(tmp_path: Path) -> None:
    writer = threading.Timer(0.3, lambda: touch(tmp_path / "new.part", age=10).replace(tmp_path / "new.tif"))
    writer.start()
    assert wait_for(str(tmp_path / "*.tif"), 60, FOREVER / 1000) == tmp_path / "new.tif"
    writer.join()


def test_a_wait_that_ends_without_a_file_names_the_path_the_time_and_the_status(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{tmp_path}/a\*.tif: no complete file after 0.1 s: the file does not exist"):
        wait_for(str(tmp_path / "a*.tif"), 0.1, 1, unknown)
    touch(tmp_path / "a1.tif", content=b"1234")
    with pytest.raises(
        InputError, match=rf"no complete file after 0.1 s: {tmp_path}/a1.tif is still growing \(4 bytes\)"
    ):
        wait_for(str(tmp_path / "a*.tif"), 0.1, FOREVER, unknown)


def test_a_function_can_find_the_file(tmp_path: Path) -> None:
    path = touch(tmp_path / "a.tif", age=10)
    assert wait_for(lambda: path, 0, 1) == path
    with pytest.raises(InputError, match="the raster: no complete file after 0 s: the file does not exist"):
        wait_for(lambda: None, 0, 1)
