"""Tests of `regionplot.system.page_files`."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regionplot.system.page_files import PageFolder, can_share

pytestmark = pytest.mark.skipif(not can_share(), reason="this platform has no locks of open files")
NUMBERS = np.arange(12_000, dtype=np.float32).reshape(100, 120)


@pytest.fixture
def pages(tmp_path: Path) -> PageFolder:
    return PageFolder(tmp_path / "pages", patience=10)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield the folder of a separate file system of 1 MB."""
    (tmp_path / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path / "disk")]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system can be mounted by root on Linux only")
    yield tmp_path / "disk"
    subprocess.run(["umount", str(tmp_path / "disk")], check=True)


def shared(pages: PageFolder, key: str = "key", values: Any = NUMBERS) -> np.ndarray:
    """Return the array of a key. Write it if it is not complete."""
    with pages.locked(key) as file:
        found = file.array()
        if found is None:
            file.reserve(values.shape, values.dtype)[...] = values
            file.complete(values.shape, values.dtype)
            found = file.array()
    assert found is not None
    return found


def files(pages: PageFolder) -> list[Path]:
    return sorted(pages.folder.iterdir())


def test_an_array_is_written_once_and_mapped_for_reading(pages: PageFolder) -> None:
    first = shared(pages)
    second = shared(pages, values=np.zeros((1, 1)))
    np.testing.assert_array_equal(first, NUMBERS)
    np.testing.assert_array_equal(second, NUMBERS)
    assert not first.flags.writeable
    assert not second.flags.writeable


@pytest.mark.parametrize("shape", [(0, 5), (1,), (3, 4, 5)])
def test_an_array_can_have_any_shape(pages: PageFolder, shape: tuple[int, ...]) -> None:
    assert shared(pages, values=np.ones(shape, np.uint8)).shape == shape


def test_only_the_owner_can_read_the_files(pages: PageFolder) -> None:
    kept = shared(pages)
    assert stat.S_IMODE(pages.folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in files(pages)] == [0o600]
    assert kept.size


def test_a_file_is_removed_when_no_process_maps_it(pages: PageFolder) -> None:
    kept, other = shared(pages), shared(pages)
    del other
    gc.collect()
    pages.remove_unused()
    assert len(files(pages)) == 1
    del kept
    gc.collect()
    pages.remove_unused()
    assert files(pages) == []


def test_a_mapped_array_stays_valid_after_its_file_is_removed(pages: PageFolder) -> None:
    kept = shared(pages)
    files(pages)[0].unlink()
    np.testing.assert_array_equal(shared(pages, values=NUMBERS + 1), NUMBERS + 1)
    np.testing.assert_array_equal(kept, NUMBERS)


def test_no_process_maps_the_file_of_a_killed_writer(pages: PageFolder) -> None:
    def write_half() -> None:
        with pages.locked("key") as file:
            file.reserve(NUMBERS.shape, NUMBERS.dtype)[:50] = 1
            os.kill(os.getpid(), signal.SIGKILL)

    writer = multiprocessing.get_context("fork").Process(target=write_half)
    writer.start()
    writer.join(10)
    assert writer.exitcode == -signal.SIGKILL
    assert files(pages)[0].stat().st_size > NUMBERS.nbytes
    np.testing.assert_array_equal(shared(pages), NUMBERS)


def test_the_next_process_writes_the_array_after_an_error(pages: PageFolder) -> None:
    with pytest.raises(ZeroDivisionError), pages.locked("key") as file:
        file.reserve(NUMBERS.shape, NUMBERS.dtype)[...] = 1 / 0
    np.testing.assert_array_equal(shared(pages), NUMBERS)


def test_other_threads_wait_for_the_writer(pages: PageFolder) -> None:
    found: list[np.ndarray] = []
    with pages.locked("key") as file:
        waiting = [threading.Thread(target=lambda: found.append(shared(pages, values=NUMBERS - 1))) for _ in range(3)]
        for thread in waiting:
            thread.start()
        time.sleep(0.05)
        assert found == []
        file.reserve(NUMBERS.shape, NUMBERS.dtype)[...] = NUMBERS
        file.complete(NUMBERS.shape, NUMBERS.dtype)
    for thread in waiting:
        thread.join(10)
    assert len(found) == 3
    assert all(np.array_equal(array, NUMBERS) for array in found)


def test_a_process_does_not_wait_for_ever(tmp_path: Path) -> None:
    pages = PageFolder(tmp_path / "pages", patience=0.05)
    with pages.locked("key"), pytest.raises(TimeoutError, match="too long"), pages.locked("key"):
        pass


def test_a_file_that_is_removed_before_it_is_locked_is_made_again(
    pages: PageFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    lock, calls = fcntl.flock, []

    def remove_first(descriptor: int, kind: int) -> None:
        if not calls:
            files(pages)[0].unlink()
        calls.append(kind)
        lock(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    kept = shared(pages)
    assert len(files(pages)) == 1
    np.testing.assert_array_equal(kept, NUMBERS)


def test_an_array_takes_at_most_half_of_the_free_space(pages: PageFolder) -> None:
    with pages.locked("key") as file, pytest.raises(OSError, match="No space left"):
        file.reserve((2**60,), np.dtype("u1"))
    np.testing.assert_array_equal(shared(pages), NUMBERS)


def test_a_full_disk_is_an_error_before_a_cell_is_written(small_disk: Path) -> None:
    pages = PageFolder(small_disk / "pages")
    kept = shared(pages, "small", np.ones(200_000, np.uint8))
    for count in (500_000, 2_000_000):
        with pages.locked("large") as file, pytest.raises(OSError, match="No space left"):
            file.reserve((count,), np.dtype("u1"))
    pages.remove_unused()
    assert len(files(pages)) == 1
    assert kept.sum() == 200_000


def test_a_limit_of_file_sizes_is_an_error_before_a_cell_is_written(pages: PageFolder) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pages.locked("key") as file, pytest.raises(OSError, match="File too large"):
            file.reserve(NUMBERS.shape, NUMBERS.dtype)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_space_is_also_reserved_without_a_system_call_for_it(
    pages: PageFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    values = np.ones(3_000_001, np.uint8)
    assert shared(pages, values=values).sum() == values.size
    assert files(pages)[0].stat().st_blocks * 512 >= values.nbytes


def test_a_truncated_file_is_an_error(pages: PageFolder) -> None:
    kept = shared(pages)
    os.truncate(files(pages)[0], 8192)
    with pages.locked("key") as file, pytest.raises(OSError, match="damaged"):
        file.array()
    assert kept.shape == NUMBERS.shape


@pytest.mark.parametrize("header", [b"", b"{}", b"\xff", b'[[3],"zz"]', b'[3,"<f4"]', b'[["3"],"<f4"]', b'[[3],"O"]'])
def test_a_file_with_a_damaged_header_is_an_error(pages: PageFolder, header: bytes) -> None:
    shared(pages)
    files(pages)[0].write_bytes((b"RPP1" + header).ljust(8192, b"\0"))
    with pages.locked("key") as file, pytest.raises(OSError, match="damaged"):
        file.array()


@pytest.mark.parametrize("kind", ["link", "pipe", "hard link"])
def test_a_planted_file_is_not_used(pages: PageFolder, tmp_path: Path, kind: str) -> None:
    pages.folder.mkdir()
    planted, other = pages.folder / "key.pages", tmp_path / "other"
    other.write_bytes(b"content")
    if kind == "link":
        planted.symlink_to(other)
    elif kind == "pipe":
        os.mkfifo(planted)
    else:
        planted.hardlink_to(other)
    with pytest.raises(OSError), pages.locked("key"):  # noqa: PT011 (the system's text differs)
        pass
    assert other.read_bytes() == b"content"
