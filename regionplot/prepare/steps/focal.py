"""Focal: compute each cell from its neighbors: mean, median, minimum, maximum.

Sums are made with explicit weights, in one order for each cell; running sums, as `scipy.ndimage.uniform_filter` makes
them, depend on where a block begins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.values import Values
from regionplot.errors import ConfigError
from regionplot.prepare.base import BlockContext, Operation

Kind = Literal["mean", "gaussian", "median", "min", "max"]


KINDS: tuple[str, ...] = get_args(Kind)


_LARGEST = 501


_MOST_SORTED = 4_000_000
"""Cells of windows that are sorted at a time."""


@dataclass(frozen=True)
class Focal(Operation):
    """Each cell from the square of cells around it, or, if Gaussian, from a bell-shaped neighbourhood.

    Missing cells, and those beyond the grid's edges, are left out: a mean is that of the cells that are there, with
    their weights (normalized convolution, Knutsson and Westin 1993, https://doi.org/10.1109/CVPR.1993.341081).

    Raises
    ------
    ConfigError
        If the size is even or too large, or the kind is none.
    """

    kind: Kind = "mean"
    size: int = 3
    """Cells along a side of the square, an odd number; of no use to a Gaussian."""
    sigma: float = 1.0
    """Standard deviation of a Gaussian, in cells."""
    truncate: float = 4.0
    """Where a Gaussian ends, in standard deviations."""
    fill: bool = False
    """Give missing cells a value, too, where there are others around them."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"focal {self.kind!r} is none of {', '.join(KINDS)}")
        if self.kind == "gaussian" and not (0 < self.sigma < math.inf and 0 < self.truncate < math.inf):
            raise ConfigError(f"focal gaussian: sigma {self.sigma:g} and truncate {self.truncate:g} must be above zero")
        if self.kind != "gaussian" and not (self.size >= 1 and self.size % 2):
            raise ConfigError(f"focal {self.kind}: size {self.size} must be an odd number: 3, 5, 7 ...")
        if 2 * self.halo + 1 > _LARGEST:
            raise ConfigError(f"focal {self.kind}: a window of {2 * self.halo + 1} cells is more than {_LARGEST}")

    @property
    def halo(self) -> int:
        """See `Operation`; of a Gaussian, where it ends, rounded up."""
        return math.ceil(self.truncate * self.sigma) if self.kind == "gaussian" else self.size // 2

    def apply(self, values: Values, site: BlockContext) -> Values:
        """See `Operation`."""
        result = np.stack([self._of_band(band) for band in values]).astype(values.dtype)
        return result if self.fill else np.where(np.isnan(values), np.nan, result).astype(values.dtype)

    def _of_band(self, band: Values) -> Values:
        if self.kind == "median":
            return _median(band, self.size)
        if self.kind in ("min", "max"):
            return _extreme(band, self.size, self.kind)
        return _weighted_mean(band, self.weights)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Of the cells in a row, and again of those in a column."""
        if self.kind != "gaussian":
            return np.ones(self.size)
        distance = np.arange(-self.halo, self.halo + 1)
        bell = np.exp(-0.5 * (distance / self.sigma) ** 2)
        return np.asarray(bell / bell.sum())


def _weighted_mean(band: Values, weights: NDArray[np.float64]) -> Values:
    valid = ~np.isnan(band)
    total = _convolved(np.where(valid, band, 0.0), weights)
    weight = _convolved(valid, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weight > 0, total / weight, np.nan)


def _convolved(values: NDArray[np.generic], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted sums, first along columns, then along rows."""
    from scipy import ndimage  # noqa: PLC0415 (only who needs it pays for its import)

    result = np.asarray(values, np.float64)
    for axis in (0, 1):
        result = ndimage.correlate1d(result, weights, axis=axis, mode="constant", cval=0.0)
    return result


def _extreme(band: Values, size: int, kind: str) -> Values:
    from scipy import ndimage  # noqa: PLC0415

    least, rank = (np.inf, ndimage.minimum_filter) if kind == "min" else (-np.inf, ndimage.maximum_filter)
    missing = np.isnan(band)
    found = rank(np.where(missing, least, band), size=size, mode="constant", cval=least)
    return np.where(_any_there(~missing, size), found, np.nan)


def _any_there(there: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Whether any cell of the square is there."""
    from scipy import ndimage  # noqa: PLC0415

    found: NDArray[np.bool_] = ndimage.maximum_filter(there, size=size, mode="constant", cval=False)
    return found


def _median(band: Values, size: int) -> Values:
    """By scipy where all cells of a square are there, by sorting where some are missing; both give the same."""
    from scipy import ndimage  # noqa: PLC0415

    there = ~np.isnan(band)
    complete = ndimage.minimum_filter(there, size=size, mode="constant", cval=False)
    result = np.full(band.shape, np.nan, band.dtype)
    if complete.any():
        whole = ndimage.median_filter(np.where(there, band, 0), size=size, mode="constant", cval=0.0)
        result[complete] = whole[complete]
    partial = np.nonzero(_any_there(there, size) & ~complete)
    if partial[0].size:
        result[partial] = _sorted_medians(band, size, *partial)
    return result


def _sorted_medians(band: Values, size: int, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Values:
    padded = np.pad(band, size // 2, constant_values=np.nan)
    squares = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    step = max(1, _MOST_SORTED // size**2)
    return np.concatenate(
        [_middle(squares[rows[i : i + step], columns[i : i + step]]) for i in range(0, rows.size, step)]
    )


def _middle(squares: Values) -> Values:
    """The median of each square's cells that are there; NaN sorts to the end."""
    ordered = np.sort(squares.reshape(len(squares), -1), axis=1)
    count = (~np.isnan(ordered)).sum(axis=1)
    index = np.arange(len(ordered))
    low, high = ordered[index, (count - 1) // 2], ordered[index, count // 2]
    middle: Values = np.where(count % 2 == 1, low, low / 2 + high / 2)
    return middle
