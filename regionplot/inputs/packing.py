"""Decode stored cells to values: missing values, valid range, scale and offset.

A packed value that is a short decimal, such as 273 × 0.1, is computed without rounding errors, so that it compares
equal to the same number in the settings.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.dtypes import fits_dtype

logger = logging.getLogger(__name__)

_TABLE_BYTES = 2
"""Cells of at most this size are decoded with a table of all values."""
_STRIP_CELLS = 2**16
"""Number of cells to decode at a time, so that intermediate results stay in the CPU cache."""
_EXACT = 2**53
"""Integers up to this limit are exact in float64."""
_SINGLE_DIGITS = 7
"""Maximum number of decimal digits that float32 preserves."""
_ROUNDING = 2e-7
"""Relative error of a number that GDAL prints with eight significant digits."""
EVERYTHING = (-np.inf, np.inf)
"""Valid range of a variable without a valid range."""


@dataclass(frozen=True, slots=True)
class Packing:
    """How the values of a band are stored."""

    nodata: float | None = None
    """Stored value of missing cells."""
    scale: float = 1.0
    offset: float = 0.0
    missing: tuple[float, ...] = ()
    """Further stored values of missing cells."""
    valid: tuple[float, float] = EVERYTHING
    """Smallest and largest stored value that is not missing."""

    @property
    def is_scaled(self) -> bool:
        """True if values differ from stored values."""
        return (self.scale, self.offset) != (1.0, 0.0)

    def decode(self, stored: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return values in a floating-point type, NaN if missing. The stored cells may be overwritten."""
        if not self.is_scaled:
            missing = self._missing(stored)
            values = stored.astype(dtype, copy=False)
            if missing is not None:
                np.putmask(values, missing, np.nan)
            return values
        result = np.empty(stored.size, dtype)
        cells = stored.ravel()
        for first in range(0, cells.size, _STRIP_CELLS):
            strip = slice(first, first + _STRIP_CELLS)
            self._unpack(cells[strip], result[strip])
        return result.reshape(stored.shape)

    def _unpack(self, stored: NDArray[Any], values: NDArray[Any]) -> None:
        """Write the values of scaled cells to an array."""
        if stored.dtype.itemsize <= _TABLE_BYTES and stored.dtype.kind in "iu":
            table = _table(self, stored.dtype.str, values.dtype.str)
            table.take(stored.view(f"u{stored.dtype.itemsize}"), out=values, mode="clip")
            return
        with np.errstate(over="ignore", invalid="ignore"):  # a value can exceed the range of float32
            values[:] = _unpacked(stored, self.scale, self.offset)
        missing = self._missing(stored)
        if missing is not None:
            np.putmask(values, missing, np.nan)

    def _missing(self, stored: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Return True for missing cells, or None if no cell is missing."""
        found: NDArray[np.bool_] | None = None
        for value, equal in (
            (self.nodata, _equals_missing),
            *((value, _nearly_equals_missing) for value in self.missing),
        ):
            if value is not None and (same := equal(stored, value)) is not None:
                found = same if found is None else found | same
        low, high = self.valid
        if low > -np.inf or high < np.inf:
            outside = (stored < low) | (stored > high)
            found = outside if found is None else found | outside
        return found


def usable_scaling(path: Path, scale: float, offset: float) -> tuple[float, float]:
    """Return a scale and an offset, or 1 and 0 if they would make all values equal or not finite. Log a warning then.

    Parameters
    ----------
    path : Path
        The file, for the warning.
    scale, offset : float
        Scale and offset in the file.
    """
    if scale != 0 and math.isfinite(scale) and math.isfinite(offset):
        return scale, offset
    logger.warning(
        "%s: the scale %g and the offset %g are ignored, because they would hide the values of all cells",
        path, scale, offset,
    )  # fmt: skip
    return 1.0, 0.0


@lru_cache(maxsize=32)
def _table(packing: Packing, stored: str, dtype: str) -> NDArray[Any]:
    """Return the value of each possible cell of one or two bytes. The bytes, as an unsigned number, are the index."""
    kind = np.dtype(stored)
    cells = np.arange(2 ** (8 * kind.itemsize), dtype=f"u{kind.itemsize}").view(kind)
    with np.errstate(over="ignore", invalid="ignore"):
        values = _unpacked(cells, packing.scale, packing.offset).astype(dtype)
    missing = packing._missing(cells)
    if missing is not None:
        values[missing] = np.nan
    values.flags.writeable = False
    return values


def _equals_missing(stored: NDArray[Any], value: float) -> NDArray[np.bool_] | None:
    """Return True for cells that equal a missing value. Return None if no cell can equal it."""
    if np.isnan(value):  # NaN is missing in all types
        return None
    if stored.dtype.kind in "iu" and stored.dtype.itemsize == 8:
        return np.asarray(stored.astype(np.float64) == value)  # GDAL gives the value as float64
    if not fits_dtype(stored.dtype, value):
        return None
    with np.errstate(over="ignore"):
        return np.asarray(stored == stored.dtype.type(value))


def _nearly_equals_missing(stored: NDArray[Any], value: float) -> NDArray[np.bool_] | None:
    """Return True for cells that equal a missing value, up to the precision with which GDAL prints float32."""
    if stored.dtype != np.float32 or not np.isfinite(value) or abs(value) > np.finfo(np.float32).max:
        return _equals_missing(stored, value)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(abs(stored - np.float32(value)) <= np.float32(_ROUNDING * abs(value)))


def _unpacked(stored: NDArray[Any], scale: float, offset: float) -> NDArray[np.float64]:
    """Return `stored * scale + offset` in float64. If scale and offset are short decimals, round only once."""
    values = stored.astype(np.float64)
    if (scale, offset) == (1.0, 0.0):
        return values
    exact = exact_packing(scale, offset) if stored.dtype.kind in "iu" else None
    if exact is None or not values.size or _largest(stored.dtype) * abs(exact[0]) + abs(exact[1]) >= _EXACT:
        values *= scale
        values += offset
        return values
    numerator, shift, denominator = exact
    values *= numerator
    values += shift
    values /= denominator
    return values


def _largest(dtype: np.dtype[Any]) -> int:
    limits = np.iinfo(dtype)
    return max(-int(limits.min), int(limits.max))


def exact_packing(scale: float, offset: float) -> tuple[int, int, int] | None:
    """Return integers (s, o, d), so that a value is `(stored * s + o) / d`. Return None if the integers are too large.

    A scale or offset that is stored in float32 is replaced by the shortest decimal that rounds to the stored number.

    Examples
    --------
    >>> exact_packing(0.1, 273.15), exact_packing(0.009999999776482582, 0.0)
    ((10, 27315, 100), (1, 0, 100))
    """
    factors = [_decimal(value) for value in (scale, offset)]
    if not all(factor.is_finite() for factor in factors):
        return None
    digits = max(0, *(-int(factor.as_tuple().exponent) for factor in factors))
    if digits > 15 or any(abs(factor) >= _EXACT for factor in factors):
        return None
    numerator, shift = (int(factor.scaleb(digits)) for factor in factors)
    return numerator, shift, 10**digits


def _decimal(value: float) -> Decimal:
    """Return the shortest decimal that rounds to a number: in float32 if float32 holds it, otherwise in float64."""
    own = Decimal(repr(value)).normalize()
    with np.errstate(over="ignore"):
        single = np.float32(value)
    if float(single) == value:
        short = Decimal(str(single)).normalize()
        if len(short.as_tuple().digits) <= _SINGLE_DIGITS < len(own.as_tuple().digits):
            return short
    return own
