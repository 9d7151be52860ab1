"""Test passing arrays between processes through shared memory."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from regionplot.blocks.transport import JOBS_AHEAD, SharedArray, SharedArrayReader, SharedBuffers, memory_can_be_shared

pytestmark = [
    pytest.mark.skipif(not memory_can_be_shared(), reason="needs memfd_create"),
    pytest.mark.timeout(60, method="signal"),
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]

ARRAYS = [
    np.arange(50_000, dtype=np.float64).reshape(2, 100, 250),
    np.arange(50_000, dtype=np.int16).reshape(250, 200),
    np.asfortranarray(np.arange(200_000, dtype=np.float64).reshape(400, 500)),
    np.arange(100_000, dtype=">f8")[::2],
]


def put_all(connection):
    buffer = SharedBuffers()
    for array in ARRAYS:
        connection.send(buffer.put(array))
        connection.recv()
    connection.send(len(list(Path("/proc/self/fd").iterdir())))


def test_arrays_arrive_unchanged():
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=put_all, args=(theirs,))
    before = len(list(Path("/proc/self/fd").iterdir()))
    process.start()
    receiver = SharedArrayReader()
    for array in ARRAYS:
        shared = ours.recv()
        assert isinstance(shared, SharedArray)
        assert len(pickle.dumps(shared)) < 300
        received = receiver.open(shared)
        np.testing.assert_array_equal(received, array)
        assert received.dtype == array.dtype
        assert not received.flags.writeable
        del received
        ours.send(None)
    ours.recv()
    process.join()
    del receiver
    process.close()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


@pytest.mark.parametrize("dtype", [object, [("x", "f4"), ("y", "i8")], [("x", "f4"), ("y", object)], "V8"])
def test_records_and_objects_are_sent_directly(dtype):
    array = np.zeros(100_000, dtype)
    assert SharedBuffers().put(array) is array


def test_small_arrays_are_sent_directly():
    small = np.zeros(10)
    assert SharedBuffers().put(small) is small
    assert SharedArrayReader().open(small) is small


def test_buffers_are_used_in_turn():
    buffers, receiver = SharedBuffers(), SharedArrayReader()
    arrays = [buffers.put(np.full(20_000 - n, n, np.float64)) for n in range(3 * JOBS_AHEAD)]
    assert len({shared.inode for shared in arrays}) == JOBS_AHEAD + 1
    for number, shared in enumerate(arrays[-JOBS_AHEAD - 1 :], 3 * JOBS_AHEAD - JOBS_AHEAD - 1):
        assert (receiver.open(shared) == number).all(), "the last arrays are kept"


def test_a_larger_array_gets_a_new_file_and_the_reader_forgets_the_old_one():
    buffers, receiver = SharedBuffers(), SharedArrayReader()
    small, large = ([buffers.put(np.full(size, 1.0)) for _ in range(JOBS_AHEAD + 1)] for size in (20_000, 90_000))
    assert not {shared.inode for shared in small} & {shared.inode for shared in large}
    for shared in large:
        assert receiver.open(shared).size == 90_000
    with pytest.raises(OSError, match=r"another file|No such file"):
        receiver.open(small[0])


def test_an_exited_worker_is_an_error():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(OSError, match=str(child)):
        SharedArrayReader().open(SharedArray(child, 3, 1, (5,), "<f8"))


def test_a_reused_descriptor_is_an_error():
    """Numbers of descriptors are reused, so another file could be read instead of the array."""
    buffer = SharedBuffers()
    shared = buffer.put(np.zeros(20_000))
    assert isinstance(shared, SharedArray)
    other = os.memfd_create("other")
    try:
        os.ftruncate(other, 160_000)
        with pytest.raises(OSError, match="is another file now"):
            SharedArrayReader().open(shared._replace(descriptor=other))
    finally:
        os.close(other)
