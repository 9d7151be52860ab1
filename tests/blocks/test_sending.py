"""Test that arguments that cannot be sent to worker processes are named before anything starts."""

from __future__ import annotations

import threading

import block_functions as functions
import numpy as np
import pytest

from regionplot.blocks import Mean, compute_mask, process_blocks, process_tiles
from regionplot.blocks.sending import check_sendable
from regionplot.errors import ExecutorError, UnpicklableError

LOCK = threading.Lock()


class LockedMean(Mean):
    def __init__(self):
        self.lock = LOCK


UNSENDABLE = {
    "function": ({"function": lambda arrays, *_: arrays[0]}, "function cannot be sent .* top of a module"),
    "arguments": ({"arguments": {"lock": LOCK}}, "^arguments .* cannot be sent .* objects that pickle"),
    "kwargs": ({"kwargs": {"where": LOCK}}, "^kwargs .* cannot be sent"),
    "reducer": ({"output": LockedMean()}, "^output .* cannot be sent"),
}


@pytest.mark.parametrize("executor", ["spawn", "forkserver", "dask"])
@pytest.mark.parametrize("name", UNSENDABLE)
def test_an_argument_that_does_not_pickle_is_named_before_anything_starts(grid_file, name, executor):
    given, message = UNSENDABLE[name]
    call = {"function": functions.first, "output": grid_file.with_name("out.tif"), **given}
    if executor == "dask":
        pytest.importorskip("distributed")
        if name == "function":  # dask sends lambdas, but no locks
            call["function"] = LockedMean().lock.acquire
    with pytest.raises(UnpicklableError, match=message) as caught:
        process_blocks(call.pop("function"), grid_file, call.pop("output"), **call, executor=executor, workers=2)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ExecutorError)
    assert executor in str(caught.value)
    assert [path.name for path in grid_file.parent.iterdir()] == ["grid.tif"]


def test_the_logic_of_a_mask_and_functions_of_tiles_are_named(grid_file, tmp_path):
    with pytest.raises(TypeError, match="logic of the function cannot be sent to processes started by spawn"):
        compute_mask(grid_file, logic=lambda missing: missing[0], executor="spawn", workers=2)
    with pytest.raises(TypeError, match=r"^arguments .* cannot be sent"):
        process_tiles(functions.first, [grid_file], tmp_path / "new", arguments=LOCK, executor="spawn", workers=2)


def test_executors_that_share_memory_take_any_argument():
    check_sendable("fork", function=lambda: None, arguments=LOCK)
    check_sendable("threads", kwargs={"lock": LOCK})
    check_sendable("spawn", arguments=np.zeros((2**11, 2**11)), function=functions.first)
