"""Define the protocol of color scales, and the scale with a palette that most share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.geo.extent import PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.positions import strips_of
from regionplot.geo.sampling import Sample, sample

_BYTE = 256


Codes = NDArray[np.unsignedinteger[Any]]


class Scale(Protocol):
    """How the cells of a raster become colours, by way of a code for each pixel."""

    @property
    def nodata(self) -> int:
        """The code of what is missing."""
        ...

    def codes_of_cells(self, values: NDArray[Any], pixels: int) -> Codes | None:
        """The code of every cell, if that is less work than those of so many pixels."""
        ...

    def sample(
        self, values: NDArray[Any], geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS, resampling: str
    ) -> Sample:
        """The codes of the pixels of a panel; see `sampling.sample`."""
        ...

    def rgba(self, codes: Codes) -> NDArray[np.uint8]:
        """The opaque colours of codes, shape (height, width, 4)."""
        ...

    def facts(self) -> list[object]:
        """All that decides which colour a value gets, for a digest."""
        ...


@dataclass(frozen=True)
class PaletteScale:
    """A scale whose codes are rows of a table of colours."""

    palette: NDArray[np.uint8]
    """Opaque colours, shape (n, 4): below the scale, the scale's own, above it, nodata."""

    @property
    def is_classed(self) -> bool:
        """Whether each row of the palette is a class of its own."""
        raise NotImplementedError

    @property
    def nodata(self) -> int:
        """The palette's row for nodata."""
        return len(self.palette) - 1

    def rgba(self, codes: Codes) -> NDArray[np.uint8]:
        """See `Scale`."""
        packed = self.palette.view(np.uint32).ravel()
        return packed.take(codes).view(np.uint8).reshape(*codes.shape, 4)

    def codes_of_cells(self, values: NDArray[Any], pixels: int) -> Codes | None:
        """See `Scale`."""
        return self.indices(values) if self.is_classed and values.size < pixels else None

    def sample(
        self, values: NDArray[Any], geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS, resampling: str
    ) -> Sample:
        """See `Scale`."""
        found = sample(values, geometry, panel, crs, resampling)
        return Sample(self.indices(found.values), found.inside)

    def indices(self, values: NDArray[Any]) -> Codes:
        """The palette's row for each value.

        Parameters
        ----------
        values : ndarray, shape (rows, columns)
            NaN where there is no data.
        """
        index = np.empty(values.shape, np.uint8 if self.is_classed and len(self.palette) <= _BYTE else np.uint16)
        for rows in strips_of(*values.shape):
            strip = values[rows]
            index[rows] = self._rows_of(strip)
            np.putmask(index[rows], np.isnan(strip), self.nodata)
        return index

    def _rows_of(self, values: NDArray[Any]) -> Codes:
        """The palette's row for each value that is there."""
        raise NotImplementedError


def on_background(rows: Sequence[Any], background: str) -> NDArray[np.uint8]:
    """Colours laid over the background, which lies on white paper: opaque, shape (n, 4)."""
    paper = opaque_background(background)
    rgba = np.asarray(rows, dtype=float)
    alpha = rgba[:, 3:]
    mixed = rgba[:, :3] * alpha + paper * (1 - alpha)
    return np.ascontiguousarray(np.column_stack([np.rint(mixed * 255), np.full(len(rgba), 255)]).astype(np.uint8))


def opaque_background(background: str) -> NDArray[np.floating[Any]]:
    """Red, green and blue, 0 to 1, of the background on white paper."""
    from matplotlib import colors  # noqa: PLC0415 (settings are checked without matplotlib)

    *paint, opacity = colors.to_rgba(background)
    return np.asarray(paint) * opacity + 1 - opacity
