"""Read what the attributes of a NetCDF variable say about its stored cells: type, missing values and valid range.

GDAL applies only some of these attributes. The conventions are those of CF
(https://cfconventions.org/cf-conventions/cf-conventions.html#missing-data) and of the NetCDF library
(https://docs.unidata.ucar.edu/netcdf-c/current/attribute_conventions.html).
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.inputs.packing import EVERYTHING, Packing

logger = logging.getLogger(__name__)

_SCALING_ERROR = 1e-6
"""Rounding error of a scaled limit, in steps of the stored values."""
_PRINT_ERROR = 1e-7
"""Relative error of a float32 that is printed as text."""
_NUMBER = re.compile(
    r"(?P<number>[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf(?:inity)?))(?:f|d|u?(?:b|s|l|ll))?", re.IGNORECASE
)
"""A number in a text. Its last letters can state its type, as in CDL: `10.0f`, `255ub`."""


@dataclass(frozen=True, slots=True)
class _Range:
    """A possible valid range."""

    limits: tuple[float, float]
    """Smallest and largest stored value."""
    meaning: str
    """Name of the values to which the limits apply, for messages."""


@dataclass(frozen=True)
class Attributes:
    """The attributes of a NetCDF variable."""

    path: Path
    """The file, for warnings."""
    values: Mapping[str, Any]
    """Texts, numbers and arrays, by name."""

    def stored_type(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Return the type of the stored cells. `_Unsigned` can change the sign of an integer type.

        Parameters
        ----------
        dtype : dtype
            The type that GDAL gives.
        """
        flag = str(self.values.get("_Unsigned", "")).lower()
        if not flag and dtype == np.int8 and self._has_range_of_unsigned_bytes():
            return np.dtype(np.uint8)
        if dtype.kind not in "iu" or flag not in ("true", "false"):
            return dtype
        kind = "u" if flag == "true" else "i"
        if kind == "u" and self._has_signed_range():
            logger.warning(
                '%s: _Unsigned = "true" contradicts the valid range, which contains numbers below zero; the cells are '
                "read as signed numbers",
                self.path,
            )
            kind = "i"
        return np.dtype(f"{kind}{dtype.itemsize}")

    def further_missing(self, nodata: float | None, dtype: np.dtype[Any]) -> tuple[float, ...]:
        """Return the missing values besides the nodata value that GDAL knows.

        Parameters
        ----------
        nodata : float, optional
            Nodata value of the band.
        dtype : dtype
            Type of the stored cells.
        """
        found = [_in_cell_type(n, dtype) for key in ("_FillValue", "missing_value") for n in self._numbers(key)]
        others = [n for n in found if nodata is None or not math.isclose(n, nodata, rel_tol=_PRINT_ERROR)]
        return tuple(dict.fromkeys(n for n in others if not math.isnan(n)))

    def scaling(self, scale: float, offset: float) -> tuple[float, float]:
        """Return the scale and the offset. Some files state them as texts, such as "0.1", which GDAL does not read.

        Parameters
        ----------
        scale, offset : float
            The numbers that GDAL gives.
        """
        texts = {
            key: self._numbers(key) for key in ("scale_factor", "add_offset") if isinstance(self.values.get(key), str)
        }
        return (texts.get("scale_factor") or [scale])[0], (texts.get("add_offset") or [offset])[0]

    def valid_range(self, packing: Packing, samples: Iterable[NDArray[Any]]) -> tuple[float, float]:
        """Return the smallest and the largest stored value that is valid.

        The range applies to stored values. If the range is in floating point and the cells are packed in integers, it
        applies to the unpacked values. Some files confuse stored and unpacked values. If the range hides all cells, a
        warning names the range, and the range is applied to unpacked instead of stored values, or the reverse. If it
        still hides all cells, the range is ignored.

        Parameters
        ----------
        packing : Packing
            Missing values, scale and offset.
        samples : iterable of ndarray
            Samples of stored cells, from small to large.
        """
        stated = self._stated_range()
        if stated is None:
            return EVERYTHING
        ranges: Sequence[_Range] = ()
        for stored in samples:
            ranges = self._possible_ranges(stated, packing, stored.dtype)
            if _shows_cells(packing, ranges[0].limits, stored):
                return ranges[0].limits
        if not _shows_cells(packing, EVERYTHING, stored):  # no cell contradicts the range
            return ranges[0].limits
        for other in ranges[1:]:
            if _shows_cells(packing, other.limits, stored):
                self._warn(f"hides all cells; it is applied to {other.meaning}")
                return other.limits
        self._warn("hides all cells; it is ignored")
        return EVERYTHING

    def _warn(self, problem: str) -> None:
        keys = [key for key in ("valid_range", "valid_min", "valid_max") if key in self.values]
        named = " and ".join(f"{key} = {', '.join(f'{n:g}' for n in self._numbers(key))}" for key in keys)
        logger.warning("%s: %s %s", self.path, named, problem)

    def _stated_range(self) -> tuple[float, float] | None:
        """Return the range in the attributes, or None if they state no range."""
        limits = self._numbers("valid_range")
        if len(limits) == 2:
            return limits[0], limits[1]
        low, high = (self._numbers(key) for key in ("valid_min", "valid_max"))
        if not (low or high):
            return None
        return (low[0] if low else -math.inf), (high[0] if high else math.inf)

    def _has_signed_range(self) -> bool:
        """Return True if the range spans zero, so that it cannot be a range of unsigned numbers."""
        stated = self._stated_range()
        return stated is not None and stated[0] < 0 <= stated[1]

    def _has_range_of_unsigned_bytes(self) -> bool:
        """Return True for a range such as 0 to 255, which marked unsigned bytes before there was `_Unsigned`."""
        stated = self._stated_range()
        return stated is not None and stated[0] >= 0 and np.iinfo(np.int8).max < stated[1] <= np.iinfo(np.uint8).max

    def _possible_ranges(self, stated: tuple[float, float], packing: Packing, dtype: np.dtype[Any]) -> Sequence[_Range]:
        """Return the ranges of stored values that the attributes can mean. The most probable range is the first."""
        as_stored = (_in_cell_type(stated[0], dtype), _in_cell_type(stated[1], dtype))
        found = [_Range(_widened(as_stored, dtype), "the stored values")]
        if packing.is_scaled:
            found.append(_Range(_packed_range(stated, packing, dtype), "the values after scaling"))
        is_unpacked = dtype.kind in "iu" and self._has_range_in_floating_point()
        return found[::-1] if is_unpacked else found

    def _has_range_in_floating_point(self) -> bool:
        keys = ("valid_range", "valid_min", "valid_max")
        return any(np.asarray(self.values[key]).dtype.kind == "f" for key in keys if key in self.values)

    def _numbers(self, key: str) -> Sequence[float]:
        """Return the numbers of an attribute. The result is empty if the attribute has no numbers."""
        value = self.values.get(key, ())
        if isinstance(value, str):
            found = [_NUMBER.fullmatch(part) for part in value.replace(",", " ").strip("[]{}() ").split()]
            return [float(part["number"]) for part in found if part] if all(found) else []
        try:
            return [float(part) for part in np.atleast_1d(value).ravel()]
        except (TypeError, ValueError):
            return []


def _in_cell_type(limit: float, dtype: np.dtype[Any]) -> float:
    """Return a number of an attribute in the type of the cells. Some files write unsigned numbers as signed."""
    return limit + 2.0 ** (8 * dtype.itemsize) if dtype.kind == "u" and math.isfinite(limit) and limit < 0 else limit


def _packed_range(stated: tuple[float, float], packing: Packing, dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return the range of stored values for a range of unpacked values."""
    if packing.scale == 0:
        return EVERYTHING
    low, high = sorted((limit - packing.offset) / packing.scale for limit in stated)
    return (low - _SCALING_ERROR, high + _SCALING_ERROR) if dtype.kind in "iu" else _widened((low, high), dtype)


def _widened(limits: tuple[float, float], dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return limits widened by the rounding error of printed numbers, if the cells are in floating point."""
    if dtype.kind != "f":
        return limits
    low, high = (limit if math.isfinite(limit) else 0.0 for limit in limits)
    return limits[0] - _PRINT_ERROR * abs(low), limits[1] + _PRINT_ERROR * abs(high)


def _shows_cells(packing: Packing, limits: tuple[float, float], stored: NDArray[Any]) -> bool:
    """Return True if at least one cell is valid."""
    values = replace(packing, valid=limits).decode(stored.copy(), np.dtype(np.float64))
    return not np.isnan(values).all()
