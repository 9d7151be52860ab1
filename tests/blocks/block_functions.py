"""Functions over blocks, for the tests: in a module that processes can import which are not forked."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np


def combine(arrays, _block, factor):
    """Bands of all inputs, weighted."""
    return sum((number * factor * array for number, array in enumerate(arrays, 1)), np.zeros_like(arrays[0]))


def stacked_maximum(stack, _block, _arguments):
    return stack.max(axis=0)


def neighbours(arrays, _block, _arguments):
    """Each cell and its eight neighbours, those beyond the edge being like the edge; needs a halo of 1."""
    around = np.pad(arrays[0], ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows, columns = arrays[0].shape[1:]
    total = np.zeros_like(arrays[0])
    for down in range(3):
        for across in range(3):
            total += around[:, down : down + rows, across : across + columns] * np.float32(down * 3 + across + 1)
    return total


class Neighbours:
    """The same as a ready operation, which knows its halo and its output."""

    halo = 1

    def profile(self, profile):
        return {**profile, "dtype": "float64", "nodata": -1.0}

    def __call__(self, arrays, block, arguments):
        return neighbours(arrays, block, arguments).astype(np.float64)


def core_only(arrays, block, _arguments):
    rows, columns = block.trim
    return arrays[0][:, rows, columns] * 2


def read_by_hand(datasets, block, _arguments):
    core = block.core
    window = ((core.row, core.row + core.height), (core.column, core.column + core.width))
    return np.concatenate([dataset.read(window=window) for dataset in datasets]).sum(axis=0)


def fail_at(arrays, block, place):
    if (block.core.row, block.core.column) == place:
        raise ZeroDivisionError("no such luck")
    return arrays[0]


def die_at(arrays, block, place):
    if (block.core.row, block.core.column) == place:
        os.kill(os.getpid(), signal.SIGKILL)
    return arrays[0]


def tell_and_wait(arrays, _block, folder):
    """Say who works, and work for ever."""
    Path(folder, str(os.getpid())).touch()
    time.sleep(600)
    return arrays[0]
