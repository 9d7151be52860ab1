"""Reduce the results of all blocks to statistics. A reducer is the output of `process_blocks`.

A worker computes a small summary of each block. Only the summaries are sent to this process, which merges them::

    block ─► function ─► Reducer.summarize (worker) ─► Reducer.merged (this process) ─► Reducer.results

A worker of a dask cluster gets several blocks at once. It merges their summaries, and sends one.

Cells are left out if they are NaN, masked, or equal to the nodata value. Sums are computed in float64. Their last
digits can depend on the order in which blocks finish.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.arguments import is_integer
from regionplot.blocks.grid import Block
from regionplot.errors import BlockError
from regionplot.geo.dtypes import fits_dtype

Cells = NDArray[Any]
"""Valid cells of one band of a block, shape (cells,)."""


class Moments(NamedTuple):
    """Count, mean and sum of squared deviations of cells."""

    cells: int
    mean: float
    squares: float
    """Sum of the squared deviations from the mean."""

    @classmethod
    def of(cls, cells: Cells) -> Moments:
        """Return the moments of cells."""
        if not cells.size:
            return cls(0, 0.0, 0.0)
        mean = float(cells.mean(dtype=np.float64))
        deviations = cells.astype(np.float64) - mean
        return cls(cells.size, mean, float(np.dot(deviations, deviations)))

    def merged(self, other: Moments) -> Moments:
        """Return the moments of two sets of cells together.

        The method is that of Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance".
        """
        count = self.cells + other.cells
        if not self.cells or not other.cells:
            return self if self.cells else other
        difference, share = other.mean - self.mean, other.cells / count
        mean = self.mean + difference * share
        if not math.isfinite(difference):
            mean = self.mean * (1 - share) + other.mean * share
        between = difference * difference * self.cells * share  # a power would raise OverflowError
        squares = self.squares + other.squares + between
        return Moments(count, mean, squares)


class Reducer(ABC):
    """Base class of reducers. A subclass defines `summary`, `merged` and `value` for the cells of one band."""

    _results: list[Any] | None = None

    @property
    def results(self) -> list[Any]:
        """One result per band.

        Raises
        ------
        ValueError
            If no run with this reducer is complete.
        """
        if self._results is None:
            raise ValueError("there are no results: pass the reducer to process_blocks as the output first")
        return self._results

    @abstractmethod
    def summary(self, cells: Cells) -> Any:
        """Return an object that pickles and describes the valid cells of one band of a block. There may be no cells."""

    @abstractmethod
    def merged(self, one: Any, other: Any) -> Any:
        """Return the summary of the cells of two summaries."""

    def value(self, summary: Any) -> Any:
        """Return the result for the summary of all cells of one band."""
        return summary

    def open(self, first: Path) -> None:  # noqa: B027 (most reducers need no check)
        """Check this reducer before a run. Raise an error if it does not fit the first input."""

    def close(self) -> None:  # noqa: B027
        """Close files that this process has opened."""

    def summarize(self, values: NDArray[Any], nodata: float | None, block: Block) -> list[Any]:  # noqa: ARG002
        """Return the summary of each band of the result of a block.

        Parameters
        ----------
        values : ndarray or masked array, shape (bands, rows, columns) or (rows, columns)
            Result for the core of the block.
        nodata : float or None
            Value of missing cells.
        block : Block
            The block.
        """
        bands = values if values.ndim == 3 else values[None]
        return [self.summary(stored_cells(band)[valid_cells(band, nodata)]) for band in bands]


@dataclass
class Count(Reducer):
    """Number of valid cells."""

    def summary(self, cells: Cells) -> int:
        """Return the number of cells."""
        return cells.size

    def merged(self, one: int, other: int) -> int:
        """Return the number of cells of both summaries."""
        return one + other


@dataclass
class Sum(Reducer):
    """Sum of the valid cells. It is 0.0 if there are no valid cells."""

    def summary(self, cells: Cells) -> float:
        """Return the sum of cells."""
        return float(cells.sum(dtype=np.float64))

    def merged(self, one: float, other: float) -> float:
        """Return the sum of both summaries."""
        return one + other


@dataclass
class _Extreme(Reducer):
    """Base class of minimum and maximum."""

    def merged(self, one: Any, other: Any) -> Any:
        """Return the extreme value of both summaries."""
        found = [value for value in (one, other) if value is not None]
        return self.summary(np.array(found)) if found else None

    def value(self, summary: Any) -> Any:
        """Return the extreme value, or NaN if there are no valid cells."""
        return np.nan if summary is None else summary


@dataclass
class Minimum(_Extreme):
    """Smallest valid cell, or NaN if there are no valid cells."""

    def summary(self, cells: Cells) -> Any:
        """Return the smallest cell, or None."""
        return cells.min() if cells.size else None


@dataclass
class Maximum(_Extreme):
    """Largest valid cell, or NaN if there are no valid cells."""

    def summary(self, cells: Cells) -> Any:
        """Return the largest cell, or None."""
        return cells.max() if cells.size else None


@dataclass
class Mean(Reducer):
    """Mean of the valid cells, or NaN if there are no valid cells."""

    def summary(self, cells: Cells) -> Moments:
        """Return the moments of cells."""
        return Moments.of(cells)

    def merged(self, one: Moments, other: Moments) -> Moments:
        """Return the moments of both summaries."""
        return one.merged(other)

    def value(self, summary: Moments) -> float:
        """Return the mean."""
        return summary.mean if summary.cells else np.nan


@dataclass
class Variance(Mean):
    """Variance of the valid cells, or NaN if there are not more than `ddof` valid cells."""

    ddof: int = 0
    """Delta degrees of freedom, as in `numpy.var`."""

    def __post_init__(self) -> None:
        if not is_integer(self.ddof) or self.ddof < 0:
            raise ValueError(f"ddof must be an integer of at least 0, not {self.ddof!r}")

    def value(self, summary: Moments) -> float:
        """Return the variance."""
        return summary.squares / (summary.cells - self.ddof) if summary.cells > self.ddof else np.nan


@dataclass
class Histogram(Reducer):
    """Number of valid cells in each bin, as by `numpy.histogram`. Cells outside of all bins are not counted.

    Raises
    ------
    ValueError
        If there are fewer than two edges, or they do not increase.
    """

    edges: Sequence[float]
    """Edges of the bins. The last bin contains its upper edge."""

    def __post_init__(self) -> None:
        edges = _as_numbers("edges", self.edges)
        if edges.ndim != 1 or edges.size < 2 or not (np.diff(edges) > 0).all():
            raise ValueError(f"edges must be at least two increasing numbers, not {self.edges!r}")

    def summary(self, cells: Cells) -> NDArray[np.int64]:
        """Return the number of cells in each bin."""
        return np.histogram(cells, np.asarray(self.edges, dtype=np.float64))[0]

    def merged(self, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the numbers of both summaries."""
        return one + other


@dataclass(kw_only=True)
class Quantiles(Histogram):
    """Quantiles of the valid cells within the edges, as an array with one value per probability.

    Quantiles are interpolated within the bins of a histogram, because all cells may not fit into memory. So a quantile
    is within the bin that contains the exact quantile. The result is NaN if no cell is within the edges.
    """

    probabilities: Sequence[float]
    """Numbers from 0 to 1. 0.5 is the median."""

    def __post_init__(self) -> None:
        super().__post_init__()
        probabilities = _as_numbers("probabilities", self.probabilities)
        if probabilities.ndim != 1 or not ((probabilities >= 0) & (probabilities <= 1)).all():
            raise ValueError(f"probabilities must be numbers from 0 to 1, not {self.probabilities!r}")

    def value(self, summary: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the quantiles."""
        total = int(summary.sum())
        if not total:
            return np.full(len(self.probabilities), np.nan)
        edges, filled = np.asarray(self.edges, dtype=np.float64), np.flatnonzero(summary)
        ends = np.cumsum(summary)
        ranks = np.asarray(self.probabilities) * total
        bins = filled[np.minimum(np.searchsorted(ends[filled], ranks), len(filled) - 1)]
        shares = (ranks - (ends[bins] - summary[bins])) / summary[bins]
        found: NDArray[np.float64] = edges[bins] + np.clip(shares, 0, 1) * (edges[bins + 1] - edges[bins])
        return found


def _as_numbers(name: str, values: Any) -> NDArray[np.float64]:
    """Return numbers as an array. Raise TypeError for other objects."""
    try:
        return np.asarray(None if isinstance(values, str) else values, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a sequence of numbers, not {values!r}") from None


def valid_cells(band: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    """Return True for cells that are neither NaN, masked nor nodata.

    Raises
    ------
    BlockError
        If the cells are not real numbers.
    """
    if band.dtype.kind not in "biuf":
        raise BlockError(f"cells of the type {band.dtype} have no statistics; return real numbers")
    cells = stored_cells(band)
    valid = ~np.ma.getmaskarray(band)
    if cells.dtype.kind == "f":
        valid &= ~np.isnan(cells)
    if nodata is not None and fits_dtype(cells.dtype, nodata):
        with np.errstate(over="ignore"):
            valid &= cells != np.asarray(nodata).astype(cells.dtype)
    return valid


def stored_cells(band: NDArray[Any]) -> NDArray[Any]:
    """Return the cells of an array, masked or not, without the mask."""
    cells: NDArray[Any] = np.ma.getdata(band)
    return cells


class Reduction(NamedTuple):
    """A reducer, and the nodata value of the results that it summarizes."""

    reducer: Reducer
    nodata: float | None

    def summarize(self, values: NDArray[Any], block: Block) -> list[Any]:
        """Return the summary of each band of the result of a block. Infinite cells cause no warnings."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.reducer.summarize(values, self.nodata, block)

    def merged(self, summaries: Sequence[list[Any]]) -> list[Any]:
        """Return the summary of each band of several blocks. Infinite cells cause no warnings."""
        with np.errstate(over="ignore", invalid="ignore"):
            return reduce(partial(merged_bands, self.reducer), summaries)


@dataclass
class ReducerSink:
    """Merge the summaries of blocks."""

    reducer: Reducer
    summaries: list[Any] | None = None
    dtype: str | None = None
    count: int | None = None
    nodata: float | None = None
    file: Path | None = None

    def write(self, block: Block, values: Any, checksum: int | None) -> None:  # noqa: ARG002
        """Merge the summaries of the bands of one block. None: a worker has merged them into those of another block."""
        if values is not None:
            self.summaries = values if self.summaries is None else merged_bands(self.reducer, self.summaries, values)


def merged_bands(reducer: Reducer, summaries: list[Any], others: list[Any]) -> list[Any]:
    """Return the merged summaries of each band.

    Raises
    ------
    BlockError
        If the numbers of bands differ.
    """
    if len(others) != len(summaries):
        raise BlockError(f"the function returned {len(others)} band(s) for a block, and {len(summaries)} before")
    return [reducer.merged(*pair) for pair in zip(summaries, others, strict=True)]


@contextmanager
def open_reducer(reducer: Reducer, first: Path) -> Iterator[ReducerSink]:
    """Open a reducer for one run. The reducer gets its results when the run is complete. A failed run leaves none.

    Parameters
    ----------
    reducer : Reducer
        The reducer.
    first : Path
        The first input.
    """
    reducer._results = None
    reducer.open(first)
    sink = ReducerSink(reducer)
    with closing(reducer):
        yield sink
    reducer._results = [reducer.value(summary) for summary in sink.summaries or []]
