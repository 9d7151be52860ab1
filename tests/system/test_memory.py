"""Test malloc's policy for large blocks, and the memory limit of a process."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import pytest

from regionplot.system.memory import frozen_objects, imports_uncollected

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

_RESIDENT = """
import sys
import numpy as np
import psutil
from regionplot.system import memory
getattr(memory, sys.argv[1])()
for _ in range(20):
    block = np.ones(10 * 2**20, np.uint8)
    del block
print(psutil.Process().memory_info().rss >> 20)
fresh = []
for _ in range(3):  # the system can take pages from a process at any time
    block = np.empty(10 * 2**20, np.uint8)
    before = psutil.Process().memory_info().rss
    block[:] = 1
    fresh.append((psutil.Process().memory_info().rss - before) >> 20)
    del block
print(min(fresh))
"""

_LIMITED = """
import sys
from regionplot.system.memory import can_limit_memory, limit_private_memory
assert can_limit_memory() and limit_private_memory(200)
for megabytes in (150, 250):
    try:
        print(len(bytearray(megabytes << 20)) >> 20)
    except MemoryError:
        print("refused")
"""


def run(script, *arguments):
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_kept_blocks_are_reused_and_returned_blocks_are_not():
    kept, fresh_after_keeping = map(int, run(_RESIDENT, "keep_large_blocks"))
    returned, fresh_after_returning = map(int, run(_RESIDENT, "return_large_blocks"))
    assert kept >= returned + 8
    assert fresh_after_keeping <= 2
    assert fresh_after_returning >= 8


def test_memory_limit_does_not_count_memory_that_is_already_allocated():
    assert run(_LIMITED) == ["150", "refused"]


@pytest.mark.usefixtures("thawed")
def test_a_collection_ignores_the_objects_that_existed_before():
    class Cycle:
        def __init__(self):
            self.me = self

    old, before = weakref.ref(Cycle()), gc.get_freeze_count()
    with frozen_objects():
        new = weakref.ref(Cycle())
        gc.collect()
        assert old() is not None
        assert new() is None
    gc.collect()
    assert old() is None
    assert gc.get_freeze_count() == before


@pytest.mark.usefixtures("thawed")
def test_garbage_is_collected_only_after_the_imports():
    collections: list[str] = []
    gc.callbacks.append(lambda phase, _: collections.append(phase))
    before, threshold = gc.get_freeze_count(), gc.get_threshold()
    gc.set_threshold(100)
    try:
        with imports_uncollected():
            collections.clear()  # the new threshold may have caused a collection
            kept = [[] for _ in range(1000)]
        assert not collections
        assert gc.get_freeze_count() - before >= len(kept)
        assert gc.isenabled()
    finally:
        gc.callbacks.pop()
        gc.set_threshold(*threshold)
        gc.unfreeze()
