"""Define the protocol of color scales, and the base class of scales with a palette.

::

    cells ─► sample: values at the pixels of the panel ─► codes ─► rgba
      └────► classify_cells ─► sample the codes ───────────────┘
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyproj
from numpy.typing import NDArray
from typing_extensions import override

from regionplot.colors.classifier import Codes, classify, code_type
from regionplot.colors.names import rgba_of
from regionplot.geo.axis_cells import Sample
from regionplot.geo.extent import PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.sheet.key import Key


class Scale(Protocol):
    """Turn the values of a raster into codes, and codes into colors."""

    @property
    def nodata(self) -> int:
        """Code of missing values."""
        ...

    def classify_cells(self, values: NDArray[Any], pixels: int) -> Codes | None:
        """Return the code of each cell. Return None if classifying `pixels` pixels is cheaper."""
        ...

    def sample(
        self, values: NDArray[Any], geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS, resampling: str
    ) -> Sample:
        """Return the values at the pixels of a panel. See `geo.sampling.sample`."""
        ...

    def sample_codes(
        self, values: NDArray[Any], geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS, resampling: str
    ) -> Sample:
        """Return the codes of the values that `sample` returns. With `nearest`, this needs less memory."""
        ...

    def codes(self, values: NDArray[Any]) -> Codes:
        """Return the code of each value, in the same shape."""
        ...

    def rgba(self, codes: Codes) -> NDArray[np.uint8]:
        """Return the opaque colors of codes, shape (height, width, 4)."""
        ...

    def key(self) -> Key | None:
        """Return the key for the color bar or the legend. Return None for true color, which has no key."""
        ...

    def digest_items(self) -> list[object]:
        """Return everything that determines the color of a value, as items with a stable `repr`."""
        ...


@dataclass(frozen=True)
class PaletteScale(Scale):
    """A scale whose codes are rows of a table of colors."""

    palette: NDArray[np.uint8]
    """Opaque colors, shape (n, 4): below the scale, on the scale, above the scale, and nodata."""

    @property
    def is_classed(self) -> bool:
        """True if each row of the palette stands for one class. False for a continuous scale."""
        raise NotImplementedError

    @property
    @override
    def nodata(self) -> int:
        return len(self.palette) - 1

    @property
    def clear_rows(self) -> NDArray[np.bool_]:
        """True for rows of the palette that show only the background: missing data, and colors that are `none`."""
        return np.asarray(np.arange(len(self.palette)) == self.nodata)

    @override
    def rgba(self, codes: Codes) -> NDArray[np.uint8]:
        packed = self.palette.view(np.uint32).ravel()
        return packed.take(codes).view(np.uint8).reshape(*codes.shape, 4)

    @override
    def classify_cells(self, values: NDArray[Any], pixels: int) -> Codes | None:
        return self.codes(values) if self.is_classed and values.size < pixels else None

    @override
    def sample(
        self, values: NDArray[Any], geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS, resampling: str
    ) -> Sample:
        from regionplot.geo.sampling import sample  # noqa: PLC0415 (needed only after the raster is read)

        return sample(values, geometry, panel, crs, resampling)

    @override
    def sample_codes(
        self, values: NDArray[Any], geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS, resampling: str
    ) -> Sample:
        from regionplot.geo.sampling import sample  # noqa: PLC0415 (needed only after the raster is read)

        return sample(values, geometry, panel, crs, resampling, change=self.codes)

    @override
    def codes(self, values: NDArray[Any]) -> Codes:
        """Return the row of the palette for each value.

        Parameters
        ----------
        values : ndarray, shape (rows, columns)
            Values of the raster. NaN means nodata.
        """
        index = np.empty(values.shape, code_type(self.nodata) if self.is_classed else np.uint16)
        classify(values, self, index)
        return index

    def rows_of(self, values: NDArray[Any]) -> Codes:
        """Return the row of the palette for each value. The rows returned for NaN are ignored."""
        raise NotImplementedError


def on_background(rows: Sequence[Any] | NDArray[Any], background: str) -> NDArray[np.uint8]:
    """Blend colors with the background, which lies on white paper. Return opaque colors, shape (n, 4)."""
    paper = opaque_background(background)
    rgba = np.asarray(rows, dtype=float)
    alpha = rgba[:, 3:]
    mixed = rgba[:, :3] * alpha + paper * (1 - alpha)
    return np.ascontiguousarray(np.column_stack([np.rint(mixed * 255), np.full(len(rgba), 255)]).astype(np.uint8))


def opaque_background(background: str) -> NDArray[np.floating[Any]]:
    """Return the color of the background on white paper: red, green and blue, 0 to 1."""
    *paint, opacity = rgba_of(background)
    return np.asarray(paint) * opacity + 1 - opacity
