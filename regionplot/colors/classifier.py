"""Assign cells to classes. No colors are needed, so cells can be classified while they are read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.dtypes import float_dtype
from regionplot.geo.strips import row_strips

Codes = NDArray[np.unsignedinteger[Any]]
_MAX_BYTE = 255
_PASSED = {"lower": slice(0), "upper": slice(None), "last": slice(-1, None)}
"""The levels that a value must pass, not only reach, by the name of the closed limit."""
CLOSED = frozenset(_PASSED)
"""Names of the closed limits of classes, see `LevelClassifier.closed`."""
_ENOUGH = 1_000_000
"""Number of cells in a first sample of all cells."""


class Classifier(Protocol):
    """Find the code of each value. A code is a row of the palette of the color scale."""

    @property
    def nodata(self) -> int:
        """Code of missing values. No code is larger."""
        ...

    def rows_of(self, values: NDArray[Any]) -> Codes:
        """Return the code of each value. The codes returned for NaN are ignored."""
        ...


@dataclass(frozen=True)
class LevelClassifier:
    """Classes between levels."""

    levels: NDArray[Any]
    """Increasing boundaries of the classes."""
    closed: str = "lower"
    """Boundary that belongs to a class: `lower` or `upper`, or `last`: as `lower`, but the last class contains both."""

    @property
    def nodata(self) -> int:
        """See `Classifier`. The codes before it are: below the levels, one class between two levels, and above."""
        return len(self.levels) + 1

    def rows_of(self, values: NDArray[Any]) -> Codes:
        """Return 0 below the first level, and i if `levels[i - 1] <= value < levels[i]`.

        If `closed` is `upper`, return i if `levels[i - 1] < value <= levels[i]`.
        """
        floats = values.astype(float_dtype(values.dtype), copy=False)  # also holds fractional levels
        with np.errstate(over="ignore"):  # a level can exceed the range of float32
            levels = self.levels.astype(floats.dtype)
        passed = _PASSED[self.closed]
        levels[passed] = np.nextafter(levels[passed], floats.dtype.type(np.inf))  # a class contains these boundaries
        first, last = _count_reached_levels(levels, floats)
        index, reached = np.full(values.shape, first, np.uint8), np.empty(values.shape, np.bool_)
        for level in levels[first:last]:
            index += np.greater_equal(floats, level, out=reached).view(np.uint8)
        return index


def _count_reached_levels(levels: NDArray[Any], values: NDArray[Any]) -> tuple[int, int]:
    """Return the number of levels that all values reach, and the number of levels that at least one value reaches.

    The values of a strip are often similar, so only few levels must be compared with each of them.
    """
    lowest = values.min() if values.size else np.nan
    if np.isnan(lowest):
        return 0, len(levels)
    first, last = np.searchsorted(levels, (lowest, values.max()), side="right")
    return int(first), int(last)


@dataclass(frozen=True)
class ValueClassifier:
    """Classes of single whole numbers."""

    first: int
    """The smallest value of a class."""
    rows: NDArray[np.uint16]
    """Code of each value, from `first - 1` to the largest class value plus 1. Values without a class have code 0, which
    shows the background. Classes of the same color share a code, so that a palette image can hold more classes."""
    colors: tuple[str, ...]
    """Colors of the codes 1, 2, 3 ..."""

    @classmethod
    def of(cls, classes: Sequence[tuple[int, str]]) -> ValueClassifier:
        """Return the classifier of classes, given as (value, color) and sorted by value."""
        first, last = classes[0][0], classes[-1][0]
        codes = {color: code for code, color in enumerate(dict.fromkeys(color for _, color in classes), 1)}
        rows = np.zeros(last - first + 3, np.uint16)
        rows[[value - first + 1 for value, _ in classes]] = [codes[color] for _, color in classes]
        return cls(first, rows, tuple(codes))

    @property
    def nodata(self) -> int:
        """See `Classifier`."""
        return len(self.colors) + 1

    def rows_of(self, values: NDArray[Any]) -> Codes:
        """Look up the code of each value. Values between whole numbers have no class."""
        exact = values.astype(np.result_type(values.dtype, np.float32), copy=False)
        position = np.clip(exact - exact.dtype.type(self.first - 1), 0, len(self.rows) - 1)
        with np.errstate(invalid="ignore"):  # NaN has no integer
            index = position.astype(np.intp)
        rows: Codes = self.rows.take(index, mode="clip")  # the row for NaN is arbitrary; `classify` replaces it
        np.putmask(rows, index != position, 0)
        return rows


def code_type(nodata: int) -> type[np.uint8 | np.uint16]:
    """Return the smallest type for codes up to the code of missing values."""
    return np.uint8 if nodata <= _MAX_BYTE else np.uint16


def classify(values: NDArray[Any], classifier: Classifier, codes: Codes) -> None:
    """Write the code of each value to an array.

    Parameters
    ----------
    values : ndarray, shape (rows, columns)
        Values of the raster. NaN means nodata.
    classifier : Classifier
        The classes.
    codes : ndarray of unsigned integers, shape (rows, columns)
        The result.
    """
    for rows in row_strips(*values.shape):
        strip = values[rows]
        codes[rows] = classifier.rows_of(strip)
        if strip.dtype.kind == "f":
            np.copyto(codes[rows], classifier.nodata, where=np.isnan(strip))


def codes_of(values: NDArray[Any], classifier: Classifier) -> Codes:
    """Return the code of each value. See `classify`."""
    codes: Codes = np.empty(values.shape, code_type(classifier.nodata))
    classify(values, classifier, codes)
    return codes


def has_class(codes: Codes, levels: int) -> bool:
    """Return True if a cell is in a class between two levels.

    Parameters
    ----------
    codes : ndarray of unsigned integers, shape (rows, columns)
        Codes of a `LevelClassifier`.
    levels : int
        Number of levels.
    """
    step = max(1, math.isqrt(codes.size // _ENOUGH))
    return any(bool(((found > 0) & (found < levels)).any()) for found in (codes[::step, ::step], codes))
