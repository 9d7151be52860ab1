"""Choose data types: which hold a value, which hold decoded cells."""

from __future__ import annotations

from typing import Any

import numpy as np


def holds_value(dtype: str, nodata: float | None) -> bool:
    """Whether a nodata value can be one of a type's values."""
    kind = np.dtype(dtype)
    if nodata is None or kind.kind not in "iu":
        return True
    limits = np.iinfo(kind)
    return float(nodata).is_integer() and limits.min <= nodata <= limits.max


def floating(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type of values that are computed from some type: single precision where that holds it."""
    return np.dtype(np.float32 if dtype.itemsize <= 2 or dtype == np.float32 else np.float64)


def fits_dtype(dtype: np.dtype[Any], value: float) -> bool:
    """Whether a value can occur among values of a type; some files name a nodata value that cannot."""
    if dtype.kind not in "iu":
        return not np.isnan(value)
    limits = np.iinfo(dtype)
    return value.is_integer() and limits.min <= value <= limits.max


def decoded_type(stored: np.dtype[Any]) -> np.dtype[Any]:
    """The floating type that holds the stored values and NaN."""
    exact_in_single = stored.itemsize <= 2 or stored == np.float32
    return np.dtype(np.float32 if exact_in_single else np.float64)


def float_dtype_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The smallest floating type that holds these values and that GDAL knows, too."""
    return np.result_type(dtype, np.float32) if dtype.itemsize < 8 else np.dtype(np.float64)
