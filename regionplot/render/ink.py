"""Lay the ink of a map over its colors, without matplotlib.

Ink is everything on a palette map that does not depend on the raster: what lines, labels and symbols cover in the
panel, and what the title and the neatline cover on the sheet. Ink is drawn once with matplotlib
(`render.agg`). Later maps of the same region reuse the ink (`render.ink_cache`)::

    codes of the panel ─┐
    frame ──────────────┼─► PaletteMaps.picture ─► Picture
    ink ────────────────┘

Ink of one dark color is kept as its darkness. Ink of several colors is kept with its opacity, and blended with the
classes. Each blended color becomes the nearest color of the palette.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from regionplot.render.hatch import hatched_pixels
from regionplot.render.nearest import NearestColors
from regionplot.sheet.lightness import DARK, luminance
from regionplot.writers.picture import Bytes, Picture

Arrays = Mapping[str, NDArray[Any]]
Area = tuple[slice, slice]


@dataclass(frozen=True)
class Covered:
    """Pixels that ink covers, and how dark they are."""

    pixels: NDArray[np.intp]
    """Increasing indices into the pixels of an image, which are counted row by row."""
    values: NDArray[Any]
    """Value of one color channel of the ink on white (uint8), or red, green, blue and opacity of the ink in four bytes
    (uint32), for each pixel."""

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """Return arrays to store: the gaps between the pixels, which are small numbers, and the values."""
        gaps = self.pixels.copy()
        gaps[1:] -= self.pixels[:-1]
        small = gaps.size == 0 or gaps.max() <= np.iinfo(np.uint16).max
        return {f"{name} gaps": gaps.astype(np.uint16 if small else np.uint32), f"{name} values": self.values}

    @classmethod
    def of(cls, arrays: Arrays, name: str, size: int, dtype: type[np.unsignedinteger[Any]] = np.uint8) -> Self:
        """Return the pixels from stored arrays, which are not trusted.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            Arrays that `arrays` has returned.
        name : str
            The name that was given to `arrays`.
        size : int
            Number of pixels of the image.
        dtype : type
            Type of the values.

        Raises
        ------
        ValueError
            If the arrays do not describe pixels of such an image.
        KeyError
            If an array is missing.
        """
        gaps, values = arrays[f"{name} gaps"], arrays[f"{name} values"]
        is_typed = gaps.dtype in (np.uint16, np.uint32) and values.dtype == dtype
        if not is_typed or gaps.ndim != 1 or gaps.shape != values.shape or gaps.size > size:
            raise ValueError(f"{name}: no ink for an image of {size} pixels")
        if gaps.size and not gaps[1:].all():
            raise ValueError(f"{name}: a pixel occurs twice")
        pixels = np.cumsum(gaps, dtype=np.intp)
        if pixels.size and pixels[-1] >= size:
            raise ValueError(f"{name}: pixels outside of an image of {size} pixels")
        return cls(pixels, values)


_NOTHING = Covered(np.empty(0, np.intp), np.empty(0, np.uint8))
_VALUE_BITS = 8
_HALO = 3
"""Pixels around the box of a label that its halo can cover. Labels are at least four pixels apart."""


def labeled_pixels(boxes: NDArray[np.int32], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return True for each pixel of a panel that a label in one of the boxes, or its halo, can cover, row by row."""
    found = np.zeros(shape, bool)
    for top, bottom, left, right in boxes.tolist():
        found[max(top - _HALO, 0) : bottom + _HALO, max(left - _HALO, 0) : right + _HALO] = True
    return found.reshape(-1)


@dataclass(frozen=True)
class PanelInk:
    """The ink in the panel of one map. Labels are light where the raster is dark."""

    usual: Covered
    """Ink with all labels in their colors on a light raster."""
    reversed: Covered = _NOTHING
    """Ink under the boxes, with all labels in their colors on a dark raster."""
    boxes: NDArray[np.int32] = field(default_factory=lambda: np.empty((0, 4), np.int32))
    """First row, end of the rows, first column and end of the columns of each box with a label, shape (n, 4)."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return arrays to store."""
        return {**self.usual.arrays("panel"), **self.reversed.arrays("reversed"), "boxes": self.boxes}

    @classmethod
    def of(cls, arrays: Arrays, size: int, dtype: type[np.unsignedinteger[Any]]) -> Self:
        """Return ink from stored arrays, which are not trusted. The parameters are those of `Covered.of`.

        Raises
        ------
        ValueError, KeyError
            As for `Covered.of`.
        """
        usual = Covered.of(arrays, "panel", size, dtype)
        boxes = arrays["boxes"]
        if boxes.dtype != np.int32 or boxes.ndim != 2 or boxes.shape[1] != 4 or (boxes < 0).any():
            raise ValueError("no boxes of labels")
        return cls(usual, Covered.of(arrays, "reversed", size, dtype if len(boxes) else np.uint8), boxes)

    def on(self, luminances: NDArray[np.float64], codes: NDArray[Any]) -> Covered:
        """Return the ink on the classes of a map.

        Parameters
        ----------
        luminances : ndarray, shape (n,)
            Luminance of each class.
        codes : ndarray, shape (height, width)
            Classes of the pixels of the panel.
        """
        found = [codes[top:bottom, left:right] for top, bottom, left, right in self.boxes.tolist()]
        dark = [area.size > 0 and luminances[area].mean() < DARK for area in found]
        if not any(dark):
            return self.usual
        is_dark = labeled_pixels(self.boxes[dark], codes.shape)
        usual, other = ~is_dark[self.usual.pixels], is_dark[self.reversed.pixels]
        pixels = np.concatenate([self.usual.pixels[usual], self.reversed.pixels[other]])
        return Covered(pixels, np.concatenate([self.usual.values[usual], self.reversed.values[other]]))


@dataclass(frozen=True)
class Ink:
    """The ink of one map."""

    panel: PanelInk
    """Pixels of the panel: layers."""
    sheet: Covered
    """Pixels of the sheet: title and neatline."""


def no_hatch() -> NDArray[np.int32]:
    """Return the hatch of a palette without a hatch."""
    return np.empty(0, np.int32)


def panel_type(palette: PaletteTables) -> type[np.unsignedinteger[Any]]:
    """Return the type of the values of ink in the panels of palette maps."""
    return np.uint8 if len(palette.shaded) else np.uint32


class PaletteTables(Protocol):
    """Colors of a palette, and tables to look up its rows. See `render.palette.ShadedPalette`."""

    @property
    def colors(self) -> Bytes:
        """RGB colors, shape (n, 3)."""
        ...

    @property
    def shaded(self) -> Bytes:
        """Row of the palette for each code of the scale and each value of the ink. Empty: inks are blended."""
        ...

    @property
    def framed(self) -> Bytes:
        """Row of the palette for each gray level of the frame."""
        ...

    @property
    def hatch(self) -> NDArray[np.int32]:
        """Hatch over missing cells: their code, row of the palette for the lines, and pixels between two lines.

        Empty: there is no hatch.
        """
        ...


@dataclass(frozen=True)
class PaletteMaps:
    """Compose maps whose colors are classes and shades of one ink."""

    palette: PaletteTables
    frame: Bytes
    """The sheet without a map, as rows of the palette, shape (height, width)."""

    def picture(self, codes: NDArray[np.unsignedinteger[Any]], place: Area, ink: Ink, title: str) -> Picture:
        """Return the picture of a map.

        Parameters
        ----------
        codes : ndarray
            The pixels of the panel as codes of the color scale. At least one of them is not nodata.
        place : (slice, slice)
            Rows and columns of the panel on the sheet.
        ink : Ink
            The ink of the map.
        title : str
            Title of the map.
        """
        image, panel = self.frame.copy(), self._hatched(codes).reshape(-1)
        covered = ink.panel.on(self._luminances, codes)
        panel[covered.pixels] = self._inked(panel.take(covered.pixels), covered.values)
        image[place] = panel.reshape(codes.shape)
        image.reshape(-1)[ink.sheet.pixels] = self.palette.framed.take(ink.sheet.values)
        return Picture(image, self.palette.colors, title, no_data=False)

    def _hatched(self, codes: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.unsignedinteger[Any]]:
        """Return the row of the palette for each pixel of the panel, without ink."""
        rows = codes.copy()
        if self.palette.hatch.size:
            nodata, row, spacing = self.palette.hatch.tolist()
            rows[hatched_pixels(codes == nodata, spacing)] = row
        return rows

    def _inked(self, codes: NDArray[Any], values: NDArray[Any]) -> Bytes:
        """Return the row of the palette for each pixel that ink covers."""
        if len(self.palette.shaded):
            return shaded_rows(self.palette.shaded, codes, values)
        return self._nearest.rows(*blended(self.palette.colors[codes], values))

    @cached_property
    def _luminances(self) -> NDArray[np.float64]:
        return luminance(self.palette.colors)

    @cached_property
    def _nearest(self) -> NearestColors:
        return NearestColors(self.palette.colors)


def shaded_rows(shaded: Bytes, codes: NDArray[Any], values: Bytes) -> Bytes:
    """Return `shaded[codes, values]`, in half the time of NumPy.

    Parameters
    ----------
    shaded : ndarray, shape (n, 256)
        Row of the palette for each code and each value of the ink.
    codes : ndarray
        Codes of pixels.
    values : ndarray of uint8
        Values of the ink at these pixels.
    """
    index = codes.astype(np.uint32)
    index <<= _VALUE_BITS
    index |= values
    return np.asarray(shaded.reshape(-1).take(index))


def blended(below: Bytes, ink: NDArray[Any]) -> tuple[Any, Any, Any]:
    """Return red, green and blue of colors under ink, shape (n,) each.

    Parameters
    ----------
    below : ndarray of uint8, shape (n, 3 or 4)
        Colors under the ink.
    ink : ndarray of uint32, shape (n,)
        Red, green, blue and opacity of the ink, in four bytes.
    """
    paint = np.ascontiguousarray(ink).view(np.uint8).reshape(-1, 4)
    opacity = paint[:, 3].astype(np.uint32)
    red, green, blue = (_blended(below[:, channel], paint[:, channel], opacity) for channel in range(3))
    return red, green, blue


def _blended(below: NDArray[Any], above: NDArray[Any], opacity: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return a color channel under ink. Opacity is 0 to 255."""
    mixed = np.asarray(below * (255 - opacity) + above * opacity, np.uint32)
    mixed += 127
    mixed //= 255
    return mixed
