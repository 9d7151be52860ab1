"""Choose data types for cells: floating types for values, and types that can hold a nodata value."""

from __future__ import annotations

from typing import Any

import numpy as np


def float_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the smallest floating type, single or double precision, that holds all values of a type and NaN.

    Examples
    --------
    >>> float_dtype(np.dtype("int16")), float_dtype(np.dtype("int32"))
    (dtype('float32'), dtype('float64'))
    """
    is_single = dtype.itemsize <= 2 or dtype == np.float32
    return np.dtype(np.float32 if is_single else np.float64)


def fits_dtype(dtype: np.dtype[Any], value: float) -> bool:
    """Return whether a type can hold a value exactly. Some files name a nodata value that their cells cannot have.

    Examples
    --------
    >>> fits_dtype(np.dtype("uint8"), -9999.0)
    False
    """
    if dtype.kind not in "iu":
        return True
    limits = np.iinfo(dtype)
    return float(value).is_integer() and limits.min <= value <= limits.max
