"""Color scale for RGB rasters: the code of a pixel is its color, packed into four bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray
from typing_extensions import override

from regionplot.colors.base import Scale, opaque_background
from regionplot.colors.classifier import Codes
from regionplot.geo.axis_cells import Sample
from regionplot.geo.extent import PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.sampling import sample
from regionplot.geo.windows import needed_window
from regionplot.inputs.color_tables import RgbBands
from regionplot.inputs.rgb import PACKED

_NOTHING = 0
"""Packed color of nodata pixels: fully transparent."""
_WITH_OPACITY = 4
"""Number of bands of a raster with opacity."""


@dataclass(frozen=True)
class TrueColorScale(Scale):
    """Packed colors on a background. Codes are the packed colors themselves."""

    coloring: RgbBands
    background: str

    @property
    @override
    def nodata(self) -> int:
        return _NOTHING

    @override
    def classify_cells(self, values: NDArray[Any], pixels: int) -> Codes | None:
        return values

    @override
    def sample(
        self, values: NDArray[Any], geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS, resampling: str
    ) -> Sample:
        """Return packed colors. All methods except nearest resample each band separately."""
        if resampling == "nearest":
            return sample(values, geometry, panel, crs, fill=_NOTHING)
        window = needed_window(geometry, panel, crs)
        if window is None:
            shape = panel.height, panel.width
            return Sample(np.zeros(shape, PACKED), np.broadcast_to(np.False_, shape))
        part = values[window.row_off : window.row_off + window.height, window.col_off : window.col_off + window.width]
        found = [sample(band, geometry.subgrid(window), panel, crs, resampling) for band in self._bands(part)]
        return Sample(_packed([one.values for one in found]), found[0].inside)

    @override
    def sample_codes(
        self, values: NDArray[Any], geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS, resampling: str
    ) -> Sample:
        return self.sample(values, geometry, panel, crs, resampling)

    @override
    def codes(self, values: NDArray[Any]) -> Codes:
        return values

    @override
    def rgba(self, codes: Codes) -> NDArray[np.uint8]:
        paper = opaque_background(self.background) * 255
        packed_paper = np.append(np.rint(paper), 255).astype(np.uint8).view(PACKED)
        pixels = np.where(codes == _NOTHING, packed_paper, codes).view(np.uint8).reshape(*codes.shape, 4)
        if len(self.coloring.bands) == _WITH_OPACITY:
            rows = np.nonzero(pixels[..., 3] != 255)
            alpha = pixels[rows][:, 3:] / 255
            pixels[rows] = np.append(
                np.rint(pixels[rows][:, :3] * alpha + paper * (1 - alpha)), 255 + 0 * alpha, axis=1
            )
        return pixels

    @override
    def key(self) -> None:
        return None

    @override
    def digest_items(self) -> list[object]:
        return [repr(self.coloring), self.background]

    def _bands(self, packed: Codes) -> Iterator[NDArray[np.float32]]:
        """Yield the bands red, green, blue and, if the raster has it, opacity. Nodata pixels are NaN."""
        pixels = np.ascontiguousarray(packed).view(np.uint8).reshape(*packed.shape, 4)
        missing = packed == _NOTHING
        for place in range(len(self.coloring.bands)):
            band = pixels[..., place].astype(np.float32)
            band[missing] = np.nan
            yield band


def _packed(bands: Sequence[NDArray[Any]]) -> NDArray[np.uint32]:
    """Pack resampled bands into colors. Values outside of 0 to 255 are clipped."""
    pixels = np.full((*bands[0].shape, 4), 255, np.uint8)
    for place, band in enumerate(bands):
        pixels[..., place] = np.rint(np.clip(np.nan_to_num(band), 0, 255))
    packed = pixels.view(np.uint32)[..., 0]
    packed[np.isnan(bands[0]) | (pixels[..., 3] == 0)] = _NOTHING
    return packed
