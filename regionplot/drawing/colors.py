"""From values to colours: classes or a continuous scale, as a table of colours and an index into it.

A panel of a million pixels is classified by one comparison per level, and coloured by one gather from a table of packed
colours; both are several times faster than `searchsorted` and a call of the colormap, with the same result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import matplotlib
import numpy as np
import pyproj
from matplotlib import colors
from matplotlib.colors import BoundaryNorm, Colormap, LogNorm, Normalize, PowerNorm, SymLogNorm
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from regionplot.config import ColorSettings, Config
from regionplot.grid import GridGeometry
from regionplot.models import PixelGrid
from regionplot.sampling import Sample, sample, strips_of

_COLORMAP = "viridis"
_CONTINUOUS = 256
_PERCENTILES = (1, 99)
_ENOUGH = 1_000_000
_BYTE = 256

Codes = NDArray[np.unsignedinteger[Any]]


def color_problems(config: Config) -> Iterator[str]:
    """Every colour and colormap in a config that matplotlib does not know, with its place."""
    settings = config.colors
    if (settings.colormap or _COLORMAP) not in matplotlib.colormaps:
        yield f"[colors] colormap: matplotlib has no {settings.colormap!r}; names are case-sensitive, such as 'viridis'"
    named = {
        "[colors] under": settings.under if settings.under != "lowest" else "none",
        "[colors] over": settings.over if settings.over != "highest" else "none",
        "[colors] nodata": settings.nodata,
        "[map] background": config.map.background,
    }
    for number, item in enumerate(settings.classes or (), 1):
        named[f"[colors] classes #{number} color"] = item.color or "none"
    for number, layer in enumerate(config.features, 1):
        named[f"[[features]] #{number} edgecolor"] = layer.edgecolor
        named[f"[[features]] #{number} facecolor"] = layer.facecolor
    for place, color in named.items():
        if not colors.is_color_like(color):
            yield f"{place}: {color!r} is not a colour; write a name or '#rrggbb'"


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
        self, values: NDArray[Any], geometry: GridGeometry, panel: PixelGrid, crs: pyproj.CRS, resampling: str
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
        self, values: NDArray[Any], geometry: GridGeometry, panel: PixelGrid, crs: pyproj.CRS, resampling: str
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


@dataclass(frozen=True)
class ColorScale(PaletteScale):
    """How numbers become colours."""

    norm: Normalize
    cmap: Colormap
    levels: NDArray[Any] | None
    """Class limits; None for a continuous scale."""
    extend: str
    """Which ends of the colour bar are open: `neither`, `min`, `max` or `both`."""

    @classmethod
    def of(cls, config: Config, values: NDArray[Any]) -> ColorScale:
        """The scale a config asks for; without levels or limits, one that suits the values."""
        settings = config.colors
        if settings.levels is not None:
            levels = np.asarray(settings.levels)
            cmap = _colormap(settings, len(levels) - 1)
            norm: Normalize = BoundaryNorm(levels, cmap.N)
            open_ends = (settings.under not in ("lowest", "none"), settings.over not in ("highest", "none"))
        else:
            levels, cmap = None, _colormap(settings, _CONTINUOUS)
            norm, open_ends = _continuous(settings, values)
        extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[
            open_ends
        ]
        rows = [cmap.get_under(), *cmap(np.arange(cmap.N)), cmap.get_over(), cmap.get_bad()]
        return cls(on_background(rows, config.map.background), norm, cmap, levels, extend)

    @property
    def is_classed(self) -> bool:
        """See `PaletteScale`."""
        return self.levels is not None

    def facts(self) -> list[object]:
        """See `Scale`."""
        return [str(self.norm.vmin), str(self.norm.vmax), self.extend, self.palette.tolist()]

    def _rows_of(self, values: NDArray[Any]) -> Codes:
        return self._steps(values) if self.levels is None else self._classes(values)

    def _classes(self, values: NDArray[Any]) -> Codes:
        """0 below the first level, then the number of levels reached: `levels[i - 1] <= value < levels[i]`."""
        assert self.levels is not None
        index, reached = np.zeros(values.shape, np.uint8), np.empty(values.shape, np.bool_)
        for level in self.levels:
            index += np.greater_equal(values, values.dtype.type(level), out=reached).view(np.uint8)
        return index

    def _steps(self, values: NDArray[Any]) -> Codes:
        count = self.cmap.N
        with np.errstate(invalid="ignore"):
            within = np.clip(np.nan_to_num(values, nan=self.norm.vmin or 0.0), self.norm.vmin, self.norm.vmax)
            scaled = np.ma.filled(self.norm(within), -1.0)
            index = np.clip(np.floor(scaled * count), 0, count - 1).astype(np.uint16) + np.uint16(1)
            index[values < self.norm.vmin] = 0
            index[values > self.norm.vmax] = count + 1
        return np.asarray(index, np.uint16)


def _colormap(settings: ColorSettings, count: int) -> Colormap:
    cmap = matplotlib.colormaps[settings.colormap or _COLORMAP].resampled(count)
    return cmap.with_extremes(
        under=None if settings.under == "lowest" else settings.under,
        over=None if settings.over == "highest" else settings.over,
        bad=settings.nodata,
    )


def on_background(rows: Sequence[Any], background: str) -> NDArray[np.uint8]:
    """Colours laid over the background, which lies on white paper: opaque, shape (n, 4)."""
    paper = paper_under(background)
    rgba = np.asarray(rows, dtype=float)
    alpha = rgba[:, 3:]
    mixed = rgba[:, :3] * alpha + paper * (1 - alpha)
    return np.ascontiguousarray(np.column_stack([np.rint(mixed * 255), np.full(len(rgba), 255)]).astype(np.uint8))


def paper_under(background: str) -> NDArray[np.floating[Any]]:
    """Red, green and blue, 0 to 1, of the background on white paper."""
    *paint, opacity = colors.to_rgba(background)
    return np.asarray(paint) * opacity + 1 - opacity


def _continuous(settings: ColorSettings, values: NDArray[Any]) -> tuple[Normalize, tuple[bool, bool]]:
    """The norm, and whether data lie below and above it."""
    found = _finite(values, positive=settings.norm == "log")
    low, high = _rounded_range(found) if settings.norm != "log" else (float(found.min()), float(found.max()))
    vmin = low if settings.vmin is None else settings.vmin
    vmax = high if settings.vmax is None else settings.vmax
    if not vmin < vmax:
        vmin, vmax = (vmin, vmin + 1) if settings.vmax is None else (vmax - 1, vmax)
    norms: dict[str, Any] = {
        "linear": lambda: Normalize(vmin, vmax),
        "log": lambda: LogNorm(vmin, vmax),
        "sqrt": lambda: PowerNorm(0.5, vmin, vmax),
        "symlog": lambda: SymLogNorm(max(abs(vmin), abs(vmax)) / 100, vmin=vmin, vmax=vmax),
    }
    return norms[settings.norm or "linear"](), (bool(found.min() < vmin), bool(found.max() > vmax))


def _finite(values: NDArray[Any], *, positive: bool) -> NDArray[Any]:
    """A thinned copy of the values that can be on the scale."""
    step = max(1, int(np.ceil(np.sqrt(values.size / _ENOUGH))))
    thinned = values[::step, ::step]
    found = thinned[np.isfinite(thinned) & ((thinned > 0) | (not positive))]
    return found if found.size else np.array([1.0, 10.0])


def _rounded_range(found: NDArray[Any]) -> tuple[float, float]:
    """Round limits that leave out the outermost hundredths."""
    low, high = (float(value) for value in np.percentile(found, _PERCENTILES))
    if low == high:
        low, high = float(found.min()), float(found.max())
    ticks = MaxNLocator(nbins=10, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return float(ticks[0]), float(ticks[-1])
