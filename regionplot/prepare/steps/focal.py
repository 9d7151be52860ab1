"""Focal: compute each cell from its neighborhood.

Sums use explicit weights, in the same order for each cell. The running sums of `scipy.ndimage.uniform_filter` would
depend on where a block begins.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from regionplot.blocks.values import Values
from regionplot.prepare.base import STEP_CONFIG, BlockContext, Operation, StepSettings
from regionplot.prepare.options import Option, number_or_text

_LARGEST = 501
"""Maximum width of a neighborhood, in cells."""
_MAX_SORTED = 4_000_000
"""Maximum number of cells to sort at a time."""
Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, config=STEP_CONFIG)
class Focal(StepSettings, Operation):
    """Replace each cell with a statistic of the square around it, or with a Gaussian mean.

    Missing cells and cells beyond the edges of the grid are left out. A mean is divided by the sum of the weights of
    the valid cells (normalized convolution, Knutsson and Westin 1993, https://doi.org/10.1109/CVPR.1993.341081).

    Raises
    ------
    ValueError
        If the size is even, or the neighborhood is too large.
    """

    step: ClassVar[str] = "focal"
    requires: ClassVar[tuple[str, ...]] = ("scipy",)
    option: ClassVar[Option] = Option(
        "KIND[:SIZE]", "Statistic of a square of SIZE cells per side: mean, median, min or max. Or gaussian:SIGMA."
    )

    kind: Literal["mean", "gaussian", "median", "min", "max"] = "mean"
    """Statistic of the square, or a Gaussian mean."""
    size: Annotated[int, Field(ge=1)] = 3
    """Width of the square in cells, an odd number. It is not used for a Gaussian."""
    sigma: Positive = 1.0
    """Standard deviation of a Gaussian, in cells."""
    truncate: Positive = 4.0
    """Radius of a Gaussian, in standard deviations."""
    fill: bool = False
    """Also compute missing cells that have valid cells around them."""

    def __post_init__(self) -> None:
        if self.kind != "gaussian" and self.size % 2 == 0:
            raise ValueError(f"focal {self.kind}: size {self.size} must be an odd number: 3, 5, 7 ...")
        if 2 * self.halo + 1 > _LARGEST:
            raise ValueError(
                f"focal {self.kind}: a neighborhood of {2 * self.halo + 1} cells is too large; "
                f"the largest has {_LARGEST} cells"
            )

    @classmethod
    def parse(cls, text: str) -> dict[str, Any]:
        """Return settings from `KIND:SIZE` or `gaussian:SIGMA`."""
        kind, _, size = text.partition(":")
        if not size:
            return {"kind": kind}
        if kind == "gaussian":
            return {"kind": kind, "sigma": number_or_text(size)}
        return {"kind": kind, "size": int(size) if size.isdecimal() else size}

    @property
    def halo(self) -> int:
        """Return the radius of the neighborhood in cells, rounded up."""
        return math.ceil(self.truncate * self.sigma) if self.kind == "gaussian" else self.size // 2

    def apply(self, values: Values, context: BlockContext) -> Values:
        """Return the statistic for each cell."""
        result = np.stack([self._apply_to_band(band) for band in values]).astype(values.dtype)
        return result if self.fill else np.where(np.isnan(values), np.nan, result).astype(values.dtype)

    def _apply_to_band(self, band: Values) -> Values:
        if self.kind == "median":
            return _median(band, self.size)
        if self.kind in ("min", "max"):
            return _extreme(band, self.size, self.kind)
        return _weighted_mean(band, self.weights)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weights along a row. Columns have the same weights."""
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
    """Return weighted sums, first along columns, then along rows."""
    from scipy import ndimage  # noqa: PLC0415 (a large optional dependency)

    result = np.asarray(values, np.float64)
    for axis in (0, 1):
        result = ndimage.correlate1d(result, weights, axis=axis, mode="constant", cval=0.0)
    return result


def _extreme(band: Values, size: int, kind: str) -> Values:
    from scipy import ndimage  # noqa: PLC0415

    least, rank = (np.inf, ndimage.minimum_filter) if kind == "min" else (-np.inf, ndimage.maximum_filter)
    missing = np.isnan(band)
    found = rank(np.where(missing, least, band), size=size, mode="constant", cval=least)
    return np.where(_any_valid(~missing, size), found, np.nan)


def _any_valid(valid: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Return True where any cell of the square is valid."""
    from scipy import ndimage  # noqa: PLC0415

    found: NDArray[np.bool_] = ndimage.maximum_filter(valid, size=size, mode="constant", cval=False)
    return found


def _median(band: Values, size: int) -> Values:
    """Return medians. scipy computes them for squares without missing cells. For other squares, cells are sorted."""
    from scipy import ndimage  # noqa: PLC0415

    valid = ~np.isnan(band)
    complete = ndimage.minimum_filter(valid, size=size, mode="constant", cval=False)
    result = np.full(band.shape, np.nan, band.dtype)
    if complete.any():
        medians = ndimage.median_filter(np.where(valid, band, 0), size=size, mode="constant", cval=0.0)
        result[complete] = medians[complete]
    partial = np.nonzero(_any_valid(valid, size) & ~complete)
    if partial[0].size:
        result[partial] = _sorted_medians(band, size, *partial)
    return result


def _sorted_medians(band: Values, size: int, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Values:
    padded = np.pad(band, size // 2, constant_values=np.nan)
    squares = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    step = max(1, _MAX_SORTED // size**2)
    return np.concatenate(
        [_middle(squares[rows[i : i + step], columns[i : i + step]]) for i in range(0, rows.size, step)]
    )


def _middle(squares: Values) -> Values:
    """Return the median of the valid cells of each square. NaN sorts to the end."""
    ordered = np.sort(squares.reshape(len(squares), -1), axis=1)
    count = (~np.isnan(ordered)).sum(axis=1)
    index = np.arange(len(ordered))
    low, high = ordered[index, (count - 1) // 2], ordered[index, count // 2]
    middle: Values = np.where(count % 2 == 1, low, low / 2 + high / 2)
    return middle
