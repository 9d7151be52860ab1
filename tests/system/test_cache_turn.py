"""One process at a time computes the missing entries of a cache. The others wait, and read them."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from regionplot.system import cache_turn
from regionplot.system.cache import ArrayCache
from regionplot.system.cache_turn import CacheTurn

pytestmark = pytest.mark.skipif(cache_turn.fcntl is None, reason="this platform has no locks of open files")
ARRAYS = {"cells": np.arange(6)}


def named() -> str:
    return "vectors"


@pytest.fixture
def cache(tmp_path: Path) -> ArrayCache:
    return ArrayCache(tmp_path / "cache")


def computed(cache: ArrayCache, count: int, compute: Callable[[], None]) -> list[int]:
    """Read an entry at the same time in several threads, and compute it where it is missing. Return the sums."""
    gate, sums = threading.Barrier(count), []

    def read() -> None:
        gate.wait(20)
        with CacheTurn(cache, named) as turn:
            arrays = turn.read("a")
            if arrays is None:
                compute()
                arrays = ARRAYS
                turn.write("a", arrays)
        sums.append(int(arrays["cells"].sum()))

    threads = [threading.Thread(target=read) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return sums


def test_a_missing_entry_is_computed_once(cache: ArrayCache) -> None:
    computations: list[float] = []

    def compute() -> None:
        time.sleep(0.1)
        computations.append(1)

    assert computed(cache, 4, compute) == [15] * 4
    assert len(computations) == 1


def test_an_entry_is_read_while_another_process_computes_others(cache: ArrayCache) -> None:
    cache.write("known", ARRAYS)
    with CacheTurn(cache, named) as other:
        assert other.read("a") is None
        with CacheTurn(cache, named, patience=60) as turn:
            assert turn.has("known")
            assert turn.read("known") is not None


def test_a_process_waits_only_for_some_time(cache: ArrayCache) -> None:
    with CacheTurn(cache, named) as other:
        assert other.read("a") is None
        with CacheTurn(cache, named, patience=0.05) as turn:
            assert turn.read("a") is None
            assert turn.read("b") is None, "it does not wait again"


def is_free(cache: ArrayCache, key: str = "a") -> bool:
    began = time.monotonic()
    with CacheTurn(cache, named, patience=0.5) as turn:
        turn.read(key)
    return time.monotonic() - began < 0.25


def test_a_turn_ends_after_an_error_and_when_it_is_freed(cache: ArrayCache) -> None:
    turn = CacheTurn(cache, named)
    turn.read("a")
    assert not is_free(cache)
    del turn
    assert is_free(cache)
    with suppress(ValueError), CacheTurn(cache, named) as turn:
        turn.read("a")
        raise ValueError("an error of a layer")
    assert is_free(cache)
    turn.end()


def test_a_child_that_inherits_the_lock_does_not_extend_the_turn(cache: ArrayCache) -> None:
    turn = CacheTurn(cache, named)
    turn.read("a")
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(20,))
    child.start()
    turn.end()
    try:
        assert is_free(cache)
    finally:
        child.kill()
        child.join()


def test_a_child_does_not_end_the_turn_of_its_parent(cache: ArrayCache) -> None:
    with CacheTurn(cache, named) as turn:
        turn.read("a")
        child = multiprocessing.get_context("fork").Process(target=turn.end)
        child.start()
        child.join(20)
        assert child.exitcode == 0
        assert not is_free(cache)


def test_a_turn_ends_also_if_the_cache_was_removed(cache: ArrayCache) -> None:
    with CacheTurn(cache, named) as turn:
        turn.read("a")
        shutil.rmtree(cache.folder)
    assert is_free(cache)


def test_the_turn_of_a_killed_process_ends(cache: ArrayCache) -> None:
    def compute() -> None:
        CacheTurn(cache, named).read("a")
        os.kill(os.getpid(), signal.SIGKILL)

    child = multiprocessing.get_context("fork").Process(target=compute)
    child.start()
    child.join(20)
    assert child.exitcode == -signal.SIGKILL
    assert is_free(cache)


def test_processes_with_other_names_do_not_wait(cache: ArrayCache) -> None:
    with CacheTurn(cache, lambda: "frame") as other:
        assert other.read("a") is None
        assert is_free(cache)


def test_a_process_waits_also_if_another_has_computed_only_some_entries(cache: ArrayCache) -> None:
    with CacheTurn(cache, named) as other:
        assert other.read("a") is None
        other.write("a", ARRAYS)
        assert not is_free(cache, "b")


def test_no_file_is_left_of_a_turn(cache: ArrayCache) -> None:
    computed(cache, 3, lambda: None)
    assert [path.name for path in cache.folder.iterdir()] == ["a.arrays"]


def test_a_folder_that_cannot_be_locked_is_used_without_a_lock(cache: ArrayCache) -> None:
    cache.folder.write_text("a file in the place of the folder")
    with CacheTurn(cache, named) as turn:
        assert turn.read("a") is None
        turn.write("a", ARRAYS)
