"""Keep RGBA images that are mostly white: only the other pixels are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.render.palette import PACKED_WHITE
from regionplot.writers.picture import Bytes

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class SparseImage:
    """An RGBA image on white."""

    size: tuple[int, int]
    """Width and height in pixels."""
    pixels: NDArray[np.uint32]
    """Indices of the pixels that are not white, shape (n,)."""
    colors: NDArray[np.uint32]
    """Colors of these pixels, shape (n,). A number holds four bytes."""

    @classmethod
    def of(cls, image: Bytes) -> SparseImage:
        """Return an image of shape (height, width, 4)."""
        packed = image.view(np.uint32).reshape(-1)
        pixels = np.flatnonzero(packed != PACKED_WHITE).astype(np.uint32)
        return cls((image.shape[1], image.shape[0]), pixels, packed[pixels])

    @classmethod
    def from_arrays(cls, arrays: Arrays, size: tuple[int, int]) -> SparseImage:
        """Return an image of stored arrays, which are not trusted.

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
        if pixels.size and pixels.max() >= size[0] * size[1]:
            raise ValueError(f"pixels outside of an image of {size[0]} x {size[1]} pixels")
        return cls(size, pixels, colors)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return arrays to store."""
        return {"pixels": self.pixels, "colors": self.colors}

    def copy_to(self, image: Bytes) -> None:
        """Write the image to an array of shape (height, width, 4)."""
        packed = image.view(np.uint32).reshape(-1)
        packed.fill(PACKED_WHITE)
        packed[self.pixels] = self.colors

    def whole(self) -> Bytes:
        """Return a new array with all pixels, shape (height, width, 4)."""
        width, height = self.size
        image = np.empty((height, width, 4), np.uint8)
        self.copy_to(image)
        return image
