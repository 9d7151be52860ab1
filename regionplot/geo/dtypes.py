"""Choose a floating-point type for cell values, and check whether a data type can hold a nodata value."""

from __future__ import annotations

from typing import Any

import numpy as np


def float_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return float32 if it holds all values of a data type exactly, otherwise float64.

    Examples
    --------
    >>> float_dtype(np.dtype("int16")), float_dtype(np.dtype("int32"))
    (dtype('float32'), dtype('float64'))
    """
    is_single = dtype.itemsize <= 2 or dtype == np.float32
    return np.dtype(np.float32 if is_single else np.float64)


def cell_dtype(name: str) -> np.dtype[Any]:
    """Return the data type in which rasterio reads cells, from rasterio's name of their stored data type.

    Examples
    --------
    >>> cell_dtype("uint8"), cell_dtype("complex_int16")
    (dtype('uint8'), dtype('complex64'))
    """
    return np.dtype("complex64" if name == "complex_int16" else name)


def fits_dtype(dtype: np.dtype[Any], value: float) -> bool:
    """Return True if a data type can hold a value. The nodata value of a file may not fit its data type.

    Examples
    --------
    >>> fits_dtype(np.dtype("uint8"), -9999.0)
    False
    """
    if dtype.kind == "b":
        return value in (0, 1)
    if dtype.kind not in "iu":  # other types are treated as able to hold every value
        return True
    limits = np.iinfo(dtype)
    return float(value).is_integer() and limits.min <= value <= limits.max
