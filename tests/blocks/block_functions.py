"""Functions over blocks for tests. They are in a module so that spawned processes can import them."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import rasterio

from regionplot.blocks import BlockObserver


def combine(arrays, _block, factor):
    """Return the weighted sum of all inputs."""
    return sum((number * factor * array for number, array in enumerate(arrays, 1)), np.zeros_like(arrays[0]))


def stacked_maximum(stack, _block, _arguments):
    return stack.max(axis=0)


def neighbors(arrays, _block, _arguments):
    """Return a weighted sum of each cell and its eight neighbors, with a halo of 1. Edge cells are repeated."""
    around = np.pad(arrays[0], ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows, columns = arrays[0].shape[1:]
    total = np.zeros_like(arrays[0])
    for down in range(3):
        for across in range(3):
            total += around[:, down : down + rows, across : across + columns] * np.float32(down * 3 + across + 1)
    return total


class Neighbors:
    """The function `neighbors` as an object with a halo and a profile."""

    halo = 1

    def profile(self, profile):
        return {**profile, "dtype": "float64", "nodata": -1.0}

    def __call__(self, arrays, block, arguments):
        return neighbors(arrays, block, arguments).astype(np.float64)


def core_only(arrays, block, _arguments):
    rows, columns = block.trim
    return arrays[0][:, rows, columns] * 2


def read_by_hand(datasets, block, _arguments):
    core = block.core
    window = ((core.row_off, core.row_off + core.height), (core.col_off, core.col_off + core.width))
    return np.concatenate([dataset.read(window=window) for dataset in datasets]).sum(axis=0)


def fail_at(arrays, block, place):
    if (block.core.row_off, block.core.col_off) == place:
        raise ZeroDivisionError("no such luck")
    return arrays[0]


class OddError(BaseException):
    """An error that is no Exception, like the errors of cancelled coroutines."""


def raise_odd(_arrays, _block, kind):
    raise {"odd": OddError, "interrupt": KeyboardInterrupt}[kind]("no such luck")


def covariance(arrays, _block, _arguments):
    return np.cov(arrays[0].reshape(len(arrays[0]), -1))


def exit_in_files(_source, _target):
    sys.exit(3)


def exit_at(arrays, block, bad):
    if (block.core.row_off, block.core.col_off) == bad:
        sys.exit(3)
    return arrays[0]


def die_at(arrays, block, place):
    if (block.core.row_off, block.core.col_off) == place:
        os.kill(os.getpid(), signal.SIGKILL)
    return arrays[0]


def announce_and_hang(arrays, _block, folder):
    """Create a file named by the process id, and never finish."""
    Path(folder, str(os.getpid())).touch()
    time.sleep(600)
    return arrays[0]


def add_one(source, target):
    """Write the cells of a tile file plus one, and a file beside the result."""
    with rasterio.open(source) as file:
        profile, values = file.profile, file.read()
    with rasterio.open(target, "w", **profile) as file:
        file.write(values + 1)
    target.with_name(target.name + ".txt").write_text(str(source.index))


def large_cells_masked(data, _block, _arguments):
    return np.ma.masked_greater(data if isinstance(data, np.ndarray) else data[0], 0.5)


def add_one_or_fail(source, target):
    """Write results and files beside them. Fail for the last tile."""
    if source.index == (1, 1):
        time.sleep(0.05)  # until other workers have written results
        fail_in_files(source, target)
    add_one(source, target)


def write_nothing(_source, target):
    """Leave an incomplete file with another name."""
    target.with_suffix(".part").write_bytes(b"x")


def fail_in_files(_source, target):
    target.write_bytes(b"x")
    raise ZeroDivisionError("no such luck")


def announce_files_and_hang(_source, target):
    """Write an incomplete result, and never finish."""
    target.write_bytes(b"x")
    time.sleep(600)


class AwkwardError(Exception):
    """An error that pickles but cannot be unpickled, because its constructor takes two values."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def raise_awkward(_arrays, _block, _arguments):
    raise AwkwardError(1, 2)


def announce_and_die(_arrays, _block, folder):
    Path(folder, str(os.getpid())).touch()
    os.kill(os.getpid(), signal.SIGKILL)


def sum_as(arrays, _block, kind):
    """Return the sum of a block in different kinds of objects."""
    total = arrays[0].sum(dtype=np.float64)
    return {"dict": {"sum": float(total)}, "tuple": (float(total), arrays[0].size), "number": float(total),
            "numpy number": total, "list": [float(total)]}[kind]  # fmt: skip


def first(arrays, _block, _arguments):
    return arrays[0]


def mask_negative(arrays, _block, _arguments):
    return np.ma.masked_less(arrays[0], 0)


def smallest_nearby(arrays, _block, _arguments):
    """Return the minimum of each cell and its left neighbor. A cell is masked if either cell is masked."""
    padded = arrays[0]
    return np.ma.concatenate(
        [padded[..., :1], np.ma.where(padded[..., 1:] < padded[..., :-1], padded[..., 1:], padded[..., :-1])], -1
    )


def place_of(_arrays, block, _arguments):
    return block.index, tuple(block.transform), block.bounds, block.crs.to_epsg()


def is_negative(arrays, _block, _arguments):
    return arrays[0] < 0


class RecordShapes:
    """Return the first input, and keep the rows and columns of each block. It declares a halo."""

    def __init__(self, halo):
        self.halo, self.shapes = halo, []

    def __call__(self, arrays, _block, _arguments):
        self.shapes.append(arrays[0].shape[1:])
        return arrays[0]


def recorder(windows):
    """Return an observer that appends (row, column, height, width) of each finished block to a list."""

    class Recorder(BlockObserver):
        def finished(self, outcome):
            core = outcome.job.core
            windows.append((core.row_off, core.col_off, core.height, core.width))

    return Recorder()
