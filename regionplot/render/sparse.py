"""Store RGBA images that are mostly white: only the other pixels are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.render.palette import PACKED_WHITE
from regionplot.writers.picture import Bytes

Arrays = Mapping[str, NDArray[Any]]


def sparse_arrays(image: Bytes) -> dict[str, NDArray[Any]]:
    """Return arrays to store: the pixels of an RGBA image that are not white, and their colors."""
    packed = image.view(np.uint32).reshape(-1)
    pixels = np.flatnonzero(packed != PACKED_WHITE).astype(np.uint32)
    return {"pixels": pixels, "colors": packed[pixels]}


def sparse_image(arrays: Arrays, width: int, height: int) -> Bytes:
    """Return an RGBA image, shape (height, width, 4), from stored arrays, which are not trusted.

    Raises
    ------
    ValueError
        If the arrays do not describe pixels of such an image.
    KeyError
        If an array is missing.
    """
    pixels, colors = arrays["pixels"], arrays["colors"]
    if not pixels.dtype == colors.dtype == np.uint32 or pixels.ndim != 1 or pixels.shape != colors.shape:
        raise ValueError("no pixels of an image")
    if pixels.size and pixels.max() >= width * height:
        raise ValueError(f"pixels outside of an image of {width} x {height} pixels")
    image = np.full(width * height, PACKED_WHITE)
    image[pixels] = colors
    return image.view(np.uint8).reshape(height, width, 4)
