"""Color scale for numbers: levels or a continuous range. Values become indices of a color table.

Each level is compared with all pixels of a panel at once. A table of packed colors then gives the color of each pixel.
This is several times faster than `searchsorted` followed by a call to the colormap. The result is the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from regionplot.colors.base import PaletteScale, on_background
from regionplot.colors.classifier import Codes, LevelClassifier
from regionplot.colors.colormaps import ColormapColors, colors_of
from regionplot.colors.rounding import rounded_limits
from regionplot.colors.units import SAME, Conversion
from regionplot.settings.colors import MAX_LIMIT, ColorSettings
from regionplot.settings.config import Config
from regionplot.sheet.key import ColorBarKey

if TYPE_CHECKING:
    from matplotlib.colors import Colormap, Normalize

_CONSTANT_MARGIN = 0.1
"""Margin of the limits around a single value, as a fraction of the value."""
_PERCENTILES = (1, 99)
_ENOUGH = 1_000_000
_DECADE = 10.0
_MIN_RANGE = 1e-6
"""Minimum difference between the limits of a scale, as a fraction of a limit."""
_LEAST_WIDTH = 1e-12
"""Width of a range, as a fraction of a limit, up to which its values are taken as a single value."""
_MIN_LIMIT = 1e-280
"""Minimum absolute value of the larger limit of a scale. matplotlib replaces limits that are closer to zero."""


class Linear(NamedTuple):
    """The norm of a linear scale. Its values equal those of `matplotlib.colors.Normalize`, to the last bit."""

    vmin: float
    vmax: float

    def __call__(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values relative to the limits: 0 at `vmin` and 1 at `vmax`. Whole numbers become floating point."""
        dtype = values.dtype if values.dtype.kind == "f" else np.promote_types(values.dtype, np.float32)
        vmin, vmax = np.float64(self.vmin), np.float64(self.vmax)
        scaled = np.array(values, dtype)
        scaled -= vmin
        scaled /= vmax - vmin
        return scaled


@dataclass(frozen=True)
class ColorScale(PaletteScale):
    """A scale for numbers: classes between levels, or a continuous range.

    Limits and levels are in the units of the scale, `[colors] units`.
    """

    settings: ColorSettings
    colors: ColormapColors
    limits: Linear | Normalize | None
    """Norm of a continuous scale."""
    levels: NDArray[Any] | None
    """Class limits. None: the scale is continuous."""
    extend: str
    """Ends of the color bar that are open: `neither`, `min`, `max` or `both`."""
    units: Conversion = SAME
    """Conversion from the units of the raster to the units of the scale."""

    @classmethod
    def of(
        cls,
        config: Config,
        values: NDArray[Any] | None,
        colors: ColormapColors | None = None,
        units: Conversion = SAME,
    ) -> ColorScale:
        """Return the scale that the settings describe. Missing limits are computed from the values.

        Parameters
        ----------
        config : Config
            The settings.
        values : ndarray, shape (rows, columns), optional
            Cells that determine the limits. A scale with levels needs no values.
        colors : ColormapColors, optional
            Colors of the colormap. By default, the colormap is found in matplotlib by its name.
        units : Conversion
            Conversion from the units of the raster to the units of the scale.
        """
        settings, limits, levels = config.colors, None, None
        colors = colors or colors_of(config)
        if settings.levels is not None:
            levels = np.asarray(settings.levels)
            open_ends = (settings.under not in ("lowest", "none"), settings.over not in ("highest", "none"))
        else:
            assert values is not None, "the values determine the limits of a continuous scale"
            found = units.shown(sample_of(values, -math.inf))
            limits, open_ends = _continuous(settings, found if settings.norm != "log" else _positive(found))
        extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[
            open_ends
        ]
        palette = on_background(colors.table(settings), config.map.background)
        return cls(palette, settings, colors, limits, levels, extend, units)

    @cached_property
    def cmap(self) -> Colormap:
        """The colormap. The first use imports matplotlib."""
        return self.colors.colormap(self.settings)

    @cached_property
    def norm(self) -> Normalize:
        """The norm. For levels and linear scales, the first use imports matplotlib."""
        if self.limits is not None and not isinstance(self.limits, Linear):
            return self.limits
        from matplotlib.colors import BoundaryNorm, Normalize  # noqa: PLC0415 (maps are drawn without these norms)

        if self.limits is not None:
            return Normalize(*self.limits)
        assert self.levels is not None, "a scale without limits has levels"
        return BoundaryNorm(self.levels, len(self.colors.rows))

    @property
    @override
    def is_classed(self) -> bool:
        return self.levels is not None

    @property
    @override
    def clear_rows(self) -> NDArray[np.bool_]:
        rows = self.colors.table(self.settings)[:-1]
        return np.append(np.array([row[3] == 0 for row in rows]), np.True_)

    @override
    def key(self) -> ColorBarKey:
        levels = None if self.levels is None else tuple(self.levels)
        return ColorBarKey(self, levels, self.extend, _visible(self.settings.ticks, *self._limits))

    @property
    def _limits(self) -> tuple[Any, Any]:
        """The limits of the scale."""
        if self.levels is not None:
            return self.levels[0], self.levels[-1]
        assert self.limits is not None, "a scale without levels has limits"
        return self.limits.vmin, self.limits.vmax

    @override
    def digest_items(self) -> list[object]:
        return [*map(str, self._limits), self.extend, self.palette.tolist()]

    @override
    def rows_of(self, values: NDArray[Any]) -> Codes:
        if self.levels is not None:
            return self.classifier(self.levels).rows_of(values)
        assert self.limits is not None, "a scale without levels has limits"
        return self._steps(values, self.limits)

    def classifier(self, levels: NDArray[Any]) -> LevelClassifier:
        """Return the classifier of cells, for levels in the units of the scale."""
        return LevelClassifier(self.units.stored(levels), self.settings.closed)

    def _steps(self, values: NDArray[Any], norm: Linear | Normalize) -> Codes:
        count = len(self.colors.rows)
        values = self.units.shown(values)
        if values.dtype == np.float32 and not all(map(_is_single, (norm.vmin, norm.vmax))):
            values = values.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            within = np.clip(np.nan_to_num(values, nan=norm.vmin or 0.0), norm.vmin, norm.vmax)
            scaled = norm(within) if isinstance(norm, Linear) else np.ma.filled(norm(within), -1.0)
            index = np.clip(np.floor(scaled * count), 0, count - 1).astype(np.uint16) + np.uint16(1)
            index[values < norm.vmin] = 0
            index[values > norm.vmax] = count + 1
        return np.asarray(index, np.uint16)


def _visible(ticks: tuple[float, ...] | None, low: float, high: float) -> tuple[float, ...] | None:
    """Return the ticks that lie on the scale, or None if there are none."""
    return tuple(tick for tick in ticks or () if low <= tick <= high) or None


def needs_matplotlib(settings: ColorSettings) -> bool:
    """Return True if a continuous scale uses matplotlib, apart from the colors of a colormap."""
    is_uneven = settings.diverging is not None and settings.vmin is not None and settings.vmax is not None
    return settings.is_ramp or settings.norm not in (None, "linear") or is_uneven


def _continuous(settings: ColorSettings, found: NDArray[Any]) -> tuple[Linear | Normalize, tuple[bool, bool]]:
    """Return the norm and two flags: True if values lie below the norm, and True if values lie above the norm."""
    if settings.diverging is not None:
        return _diverging(settings, settings.diverging, found)
    low, high = _rounded_range(found) if settings.norm != "log" else (float(found.min()), float(found.max()))
    vmin = low if settings.vmin is None else settings.vmin
    vmax = high if settings.vmax is None else settings.vmax
    if not vmin < vmax or max(abs(vmin), abs(vmax)) < _MIN_LIMIT:
        vmin, vmax = _widened(vmin, vmax, settings)
    return _norm(settings.norm, vmin, vmax), (float(found.min()) < vmin, float(found.max()) > vmax)


def _norm(name: str | None, vmin: float, vmax: float) -> Linear | Normalize:
    if name in (None, "linear"):
        return Linear(vmin, vmax)
    from matplotlib.colors import LogNorm, PowerNorm, SymLogNorm  # noqa: PLC0415 (few scales need these norms)

    norms: dict[str, Callable[[], Normalize]] = {
        "log": lambda: LogNorm(vmin, vmax),
        "sqrt": lambda: PowerNorm(0.5, vmin, vmax),
        "symlog": lambda: SymLogNorm(max(abs(vmin), abs(vmax)) / 100, vmin=vmin, vmax=vmax),
    }
    return norms[name]()


def _diverging(
    settings: ColorSettings, center: float, found: NDArray[Any]
) -> tuple[Linear | Normalize, tuple[bool, bool]]:
    """Return the norm of a scale with a center, and the flags that `_continuous` returns."""
    vmin, vmax = settings.vmin, settings.vmax
    if vmin is not None and vmax is not None:
        from matplotlib.colors import TwoSlopeNorm  # noqa: PLC0415 (few scales need this norm)

        norm: Linear | Normalize = TwoSlopeNorm(center, vmin, vmax)
    else:
        reach = (
            center - vmin if vmin is not None else vmax - center if vmax is not None else _rounded_reach(found, center)
        )
        vmin, vmax = center - reach, center + reach
        norm = Linear(vmin, vmax)
    return norm, (float(found.min()) < vmin, float(found.max()) > vmax)


def _rounded_reach(found: NDArray[Any], center: float) -> float:
    """Return a rounded distance from the center that holds 99 % of the values."""
    distance = float(np.percentile(np.abs(found.astype(float) - center), _PERCENTILES[1]))
    return max(_rounded_range(np.array([-distance, distance]))[1], _MIN_LIMIT * _DECADE)


def _widened(vmin: float, vmax: float, settings: ColorSettings) -> tuple[float, float]:
    """Return increasing limits. The limit that the settings give is kept, unless it is too close to zero."""
    if settings.norm == "log":
        vmin, vmax = max(vmin, _MIN_LIMIT), max(vmax, _MIN_LIMIT * _DECADE)
        return (vmin, vmin * _DECADE) if settings.vmax is None else (vmax / _DECADE, vmax)
    kept = vmin if settings.vmax is None else vmax
    step = max(1.0, abs(kept) * _MIN_RANGE)
    return (kept, kept + step) if settings.vmax is None else (kept - step, kept)


def _is_single(limit: float | None) -> bool:
    """Return True if float32 holds a limit with its full precision."""
    single = np.finfo(np.float32)
    return not limit or float(single.tiny) <= abs(limit) <= float(single.max)


def sample_of(values: NDArray[Any], above: float = -math.inf) -> NDArray[Any]:
    """Return a sample of the finite values above a limit, shape (n,). Return 1 and 10 if there are no such values."""
    step = max(1, int(np.ceil(np.sqrt(values.size / _ENOUGH))))
    thinned = values[::step, ::step]
    found = thinned[np.isfinite(thinned) & (thinned > above)]
    return found if found.size else np.array([1.0, 10.0])


def _positive(found: NDArray[Any]) -> NDArray[Any]:
    """Return the values above zero. Return 1 and 10 if there are no such values."""
    above = found[found > 0]
    return above if above.size else np.array([1.0, 10.0])


def _rounded_range(found: NDArray[Any]) -> tuple[float, float]:
    """Return rounded limits from the 1st and the 99th percentile of the values."""
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = (float(value) for value in np.percentile(found, _PERCENTILES))
    low, high = max(low, -MAX_LIMIT), min(high, MAX_LIMIT)
    if low == high:
        low, high = float(found.min()), float(found.max())
    if high - low <= _LEAST_WIDTH * max(abs(low), abs(high)):  # the ticks would differ only in the last digits
        margin = abs(low) * _CONSTANT_MARGIN or 1.0
        low, high = low - margin, high + margin
    return rounded_limits(low, high)
