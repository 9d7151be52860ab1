"""Color scales whose colors have unequal widths: stops with gradual transitions, and equal shares of the cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from regionplot.colors.base import PaletteScale, on_background, opaque_background
from regionplot.colors.classifier import Codes
from regionplot.colors.colormaps import ColormapColors
from regionplot.colors.names import Rgba, rgba_of
from regionplot.colors.ramps import Floats, Ramp
from regionplot.colors.units import Conversion
from regionplot.errors import ConfigError, Place, Problem
from regionplot.settings.colors import MAX_LIMIT, ColorSettings
from regionplot.settings.config import Config
from regionplot.sheet.key import ColorBarKey

if TYPE_CHECKING:
    from matplotlib.colors import Colormap, Normalize

_BAR_COLORS = 1024
_MAX_INTERVALS = 60_000
_BINS, _MARGIN = 65_536, 2
_MIN_SPAN = 1e-9
"""Minimum range of the values, as a fraction of the largest value. A smaller range is drawn as a single value."""
_MIN_LIMIT = 1e-280
"""Minimum range of the values. matplotlib cannot draw a smaller one."""
_UNSURE = 65_535
"""Code of bins whose values have different codes."""
_QUANTILES_ON_BAR = 11
_END = 0.01
"""Width of the class of the largest value on the axis of the color bar, as a share of the axis."""
_LINEAR = 2
"""Number of places on the axis of a linear color bar: its ends."""


@dataclass(frozen=True)
class IntervalScale(PaletteScale):
    """A continuous scale that has one color for each interval of values. The intervals have unequal widths."""

    edges: Floats
    """Increasing limits of the intervals, in the units of the raster."""
    axis: tuple[Floats, Floats]
    """Values, in the units of the scale, and their places on the color bar, from 0 to 1."""
    bar: NDArray[np.uint8]
    """Colors of the color bar, at equal distances, shape (n, 4)."""
    extend: str
    """Ends of the color bar that are open: `neither`, `min`, `max` or `both`."""
    ticks: tuple[float, ...] | None
    """Values that have labels, in the units of the scale. None: matplotlib chooses the values."""

    @classmethod
    def of_stops(cls, config: Config, units: Conversion) -> Self:
        """Return the scale of `[colors] stops`.

        Parameters
        ----------
        config : Config
            The settings.
        units : Conversion
            Conversion from the units of the raster to the units of the stops.
        """
        settings = config.colors
        assert settings.stops is not None, "the settings have stops"
        ramp = _on_paper(_ramp_of(settings), config.map.background)
        edges, rows = ramp.steps()
        if len(edges) > _MAX_INTERVALS:
            text = f"the stops have {len(edges):,} different colors; at most {_MAX_INTERVALS:,} can be drawn"
            raise ConfigError(Problem(text, Place(section="colors", key="stops")))
        values, places = ramp.axis()
        shown = ramp.at(np.interp((np.arange(_BAR_COLORS) + 0.5) / _BAR_COLORS, places, values))
        return cls(
            _palette(
                rows, _color_beyond(settings.under, ramp.rgba[0]), _color_beyond(settings.over, ramp.rgba[-1]), config
            ),
            _closed(units.stored(edges)),
            (values, places),
            on_background(shown, config.map.background),
            _open_ends(settings),
            settings.ticks or (None if len(values) == _LINEAR else tuple(values.tolist())),
        )

    @classmethod
    def of_quantiles(cls, config: Config, units: Conversion, values: Floats, colors: ColormapColors) -> Self:
        """Return a scale whose colors each cover an equal share of the values.

        Parameters
        ----------
        config : Config
            The settings.
        units : Conversion
            Conversion from the units of the raster to the units of the scale.
        values : ndarray, shape (n,)
            Finite values, in the units of the raster.
        colors : ColormapColors
            The colors.
        """
        values = np.clip(values.astype(np.float64), -MAX_LIMIT, MAX_LIMIT)
        places = np.linspace(0, 1, len(colors.rows) + 1)
        edges, kept = np.unique(np.quantile(values, places), return_index=True)
        ticks = np.unique(np.quantile(values, np.linspace(0, 1, _QUANTILES_ON_BAR)))
        axis = units.shown(ticks)
        size = max(abs(float(edges[0])), abs(float(edges[-1])))
        if edges[-1] - edges[0] <= max(size * _MIN_SPAN, _MIN_LIMIT):
            margin = max(1.0, size / 10)
            edges, kept = np.array([edges[0] - margin, edges[0] + margin]), np.array([0, len(colors.rows)])
            axis = units.shown(edges)
        elif kept[-1] < len(colors.rows):  # many values equal the largest one, so it has its own color
            edges, kept = np.append(edges, np.nextafter(edges[-1], np.inf)), np.append(kept, len(places))
            axis = np.append(axis, axis[-1] + _END * (axis[-1] - axis[0]))
        last = len(colors.rows) - 1
        rows = np.asarray(colors.rows)[[min((low + high) // 2, last) for low, high in pairwise(kept)]]
        at = np.linspace(0, 1, len(axis))
        on_bar = units.stored(np.interp((np.arange(_BAR_COLORS) + 0.5) / _BAR_COLORS, at, axis))
        bar = rows[np.clip(np.searchsorted(edges, on_bar, side="right") - 1, 0, len(rows) - 1)]
        return cls(
            _palette(
                rows, _color_beyond(config.colors.under, rows[0]), _color_beyond(config.colors.over, rows[-1]), config
            ),
            _closed(edges),
            (axis, at),
            on_background(bar, config.map.background),
            "neither",
            config.colors.ticks or tuple(_rounded(axis[: len(ticks)] if len(ticks) > 1 else axis)),
        )

    @cached_property
    def cmap(self) -> Colormap:
        """The colormap of the color bar. The first use imports matplotlib."""
        from matplotlib.colors import ListedColormap  # noqa: PLC0415 (takes a tenth of a second)

        under, over = self.palette[0] / 255, self.palette[-2] / 255
        return ListedColormap((self.bar / 255).tolist(), "stops").with_extremes(under=tuple(under), over=tuple(over))

    @cached_property
    def norm(self) -> Normalize:
        """The norm of the color bar, in the units of the scale. The first use imports matplotlib."""
        from matplotlib.colors import FuncNorm, Normalize  # noqa: PLC0415 (takes a tenth of a second)

        values, places = self.axis
        if len(values) == _LINEAR:
            return Normalize(float(values[0]), float(values[-1]))
        forward, backward = partial(_interpolated, values, places), partial(_interpolated, places, values)
        return FuncNorm((forward, backward), float(values[0]), float(values[-1]))

    @property
    @override
    def is_classed(self) -> bool:
        return False

    @override
    def key(self) -> ColorBarKey:
        return ColorBarKey(self, None, self.extend, self.ticks)

    @override
    def digest_items(self) -> list[object]:
        return [self.edges.tolist(), [part.tolist() for part in self.axis], self.extend, self.palette.tolist()]

    @override
    def rows_of(self, values: NDArray[Any]) -> Codes:
        """Return the number of edges that each value reaches.

        The range of the scale is divided into bins of equal width. Only values in bins with an edge are searched.
        """
        first, per_unit, rows = self._bins
        exact = values.astype(np.float64, copy=False)
        with np.errstate(invalid="ignore", over="ignore"):
            bins = np.clip((exact - first) * per_unit, -_MARGIN, _BINS + 1)
            codes: Codes = rows.take(bins.astype(np.intp) + _MARGIN, mode="clip")
        unsure = np.flatnonzero(codes == _UNSURE)
        codes.reshape(-1)[unsure] = np.searchsorted(self.edges, exact.reshape(-1)[unsure], side="right")
        return codes

    @cached_property
    def _bins(self) -> tuple[float, float, Codes]:
        """The first edge, the number of bins per unit, and the code of each bin, with two bins more at each end."""
        first, last = float(self.edges[0]), float(self.edges[-1])
        per_unit = min(_BINS / (last - first), MAX_LIMIT)
        starts = first + (np.arange(-_MARGIN, _BINS + _MARGIN) - 1) / per_unit  # one bin more at each side, because
        ends = starts + 3 / per_unit  # the bin of a value is rounded
        starts[0], ends[-1] = -np.inf, np.inf
        low, high = (np.searchsorted(self.edges, part, side="right") for part in (starts, ends))
        return first, per_unit, np.where(low == high, low, _UNSURE).astype(np.uint16)


def _ramp_of(settings: ColorSettings) -> Ramp:
    """Return the ramp of `[colors] stops`."""
    stops = settings.stops or ()
    ramp = Ramp.of([value for value, _ in stops], [rgba_of(color) for _, color in stops])
    return replace(ramp, rounding=settings.rounding)


def _on_paper(ramp: Ramp, background: str) -> Ramp:
    """Return opaque colors, as they look on the background."""
    alpha = ramp.rgba[:, 3:]
    mixed = ramp.rgba[:, :3] * alpha + opaque_background(background) * (1 - alpha)
    return replace(ramp, rgba=np.column_stack([mixed, np.ones(len(mixed))]))


def _closed(edges: Floats) -> Floats:
    """Return edges whose last interval contains its upper limit."""
    return np.append(edges[:-1], np.nextafter(edges[-1], np.inf))


def _color_beyond(color: str, nearest: Sequence[Any] | Floats) -> Rgba:
    """Return the color of values beyond the scale."""
    if color not in ("lowest", "highest"):
        return rgba_of(color)
    red, green, blue, opacity = (float(part) for part in nearest)
    return red, green, blue, opacity


def _palette(rows: Floats, under: Rgba, over: Rgba, config: Config) -> NDArray[np.uint8]:
    return on_background([under, *rows, over, rgba_of(config.colors.nodata)], config.map.background)


def _open_ends(settings: ColorSettings) -> str:
    """Return the open ends of the color bar: ends with a color of their own."""
    ends = (settings.under not in ("lowest", "none"), settings.over not in ("highest", "none"))
    return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[ends]


def _rounded(values: Floats) -> list[float]:
    """Round increasing values to few digits that still tell them apart.

    The distance to the nearest value determines the digits, because the values can have different magnitudes.
    """
    gaps = np.diff(values)
    nearest = np.minimum(np.append(gaps, gaps[-1]), np.append(gaps[0], gaps))
    digits = 1 - np.floor(np.log10(nearest)).astype(int)
    rounded = {round(float(value), int(places)) for value, places in zip(values, digits, strict=True)}
    inside = sorted(value for value in rounded if values[0] <= value <= values[-1])
    return inside or [float(values[0]), float(values[-1])]


def _interpolated(before: Floats, after: Floats, values: Any) -> Any:
    return np.interp(values, before, after)
