"""Lay out a map sheet in whole pixels, so that sampled pixels and panel pixels coincide."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from regionplot.errors import ConfigError
from regionplot.settings.config import Config
from regionplot.sheet.key import COLOR_BAR, ColorBarKey, LegendKey

_POINTS_PER_INCH = 72


_USUAL_AREA = 14 * 9
"""Square inches of the sheet that the font sizes below are meant for."""


_SMALLEST = 0.7
"""Text on small sheets shrinks to this part of its usual size, and no more."""


_TICKS = 8
"""Points that the ticks of a colour bar and the gaps to their labels take, on sheets of any size."""


_TITLE = 14
"""Points."""


HALF_CAPITAL = 0.37
"""Half the height of a capital letter, as a part of the font's size."""


_LEAST_PANEL = 10
"""Pixels each way; less is no map."""


_LABEL = 9
"""Points."""


_SWATCH = 16, 9
"""Points, width and height."""


_LEGEND_ROW = 15
"""Points from one row of a legend to the next."""


_MOST_LEGEND = 1 / 3
"""Of the sheet's height."""


_LEAST_NAME = 3
"""Letters of a class's name that must have room; with less, there is no legend."""


_LETTER, _CAPITAL, _IDEOGRAM = 0.6, 0.72, 1.0
"""Widths of usual letters, as parts of the font's size; names are measured only when they are drawn."""


@dataclass(frozen=True, slots=True)
class LegendGrid:
    """Where the classes of a legend stand: in columns of one width, from the top down, then to the right."""

    box: Box
    rows: int
    columns: int
    swatch: tuple[int, int]
    """Width and height in pixels."""
    gap: int
    """Pixels between a swatch and its name, and at least thrice that between a name and the next swatch."""

    @property
    def name_width(self) -> int:
        """Pixels that a name may take."""
        return self.box.width // self.columns - self.swatch[0] - 4 * self.gap

    def swatch_box(self, number: int) -> Box:
        """The swatch of a class, counted from 0."""
        column, row = divmod(number, self.rows)
        width, height = self.swatch
        row_height = self.box.height // self.rows
        left = self.box.left + column * (self.box.width // self.columns)
        return Box(left, self.box.top - (row + 1) * row_height + (row_height - height) // 2, width, height)


@dataclass(frozen=True, slots=True)
class Layout:
    """The boxes of a sheet and the sizes of its text; the same for every region of a run."""

    size: tuple[int, int]
    """Width and height in pixels."""
    dpi: float
    panel: Box
    colorbar: Box | None
    """For numbers."""
    legend: LegendGrid | None
    """For classes."""
    legend_label: int
    """The middle of the legend's label, in pixels from the bottom."""
    title_baseline: int
    """Of the title, in pixels from the bottom."""
    title_points: float
    label_points: float
    neatline_pixels: int

    @property
    def inches(self) -> tuple[float, float]:
        """Width and height in inches."""
        return self.size[0] / self.dpi, self.size[1] / self.dpi

    @classmethod
    def of(cls, config: Config, key: ColorBarKey | LegendKey | None = COLOR_BAR) -> Layout:
        """Lay out a sheet: title above, panel, colour bar or legend below, with even margins.

        Parameters
        ----------
        config : Config
            The settings.
        key : ColorBarKey or LegendKey, optional
            What explains the colors below the panel; None for nothing. By default a color bar.

        Raises
        ------
        ConfigError
            If nothing would be left for the panel.
        """
        width, height = config.map.size
        dpi = config.map.dpi
        factor = min(max(math.sqrt(width * height / dpi**2 / _USUAL_AREA), _SMALLEST), 2.0)

        def pixels(points: float) -> int:
            return round(points * factor * dpi / _POINTS_PER_INCH)

        margin, title = pixels(9), pixels(28)
        inset = margin + pixels(12)
        ticks = round(_TICKS * dpi / _POINTS_PER_INCH)
        bar = Box(inset, pixels(24) + ticks, width - 2 * inset, pixels(9))
        is_barred = config.colors.colorbar and isinstance(key, ColorBarKey)
        labels = key.labels if config.colors.colorbar and isinstance(key, LegendKey) else ()
        above_label = pixels(24) if config.colors.label != "" else margin
        legend = _legend(labels, (width, height), above_label, pixels)
        bottom = bar.top + pixels(9) if is_barred else legend.box.top + pixels(6) if legend else margin
        panel = Box(margin, bottom, width - 2 * margin, height - title - bottom)
        if min(panel.width, panel.height, bar.width) < _LEAST_PANEL:
            raise ConfigError(f"[map] size: {width} x {height} pixels at {dpi:g} dpi leave no room for the map")
        return cls(
            size=(width, height),
            dpi=dpi,
            panel=panel,
            colorbar=bar if is_barred else None,
            legend=legend,
            legend_label=pixels(13),
            title_baseline=panel.top + title // 2 - pixels(_TITLE * HALF_CAPITAL),
            title_points=_TITLE * factor,
            label_points=_LABEL * factor,
            neatline_pixels=max(1, pixels(0.8)),
        )


def _legend(
    names: Sequence[str], sheet: tuple[int, int], bottom: int, pixels: Callable[[float], int]
) -> LegendGrid | None:
    """As many columns as the names allow, or, where they would take too many rows, as the height does; centred."""
    if not names:
        return None
    swatch, gap, row = (pixels(_SWATCH[0]), pixels(_SWATCH[1])), pixels(5), pixels(_LEGEND_ROW)
    beside, available = swatch[0] + 4 * gap, sheet[0] - 2 * pixels(9)
    widest = math.ceil(max(_letters(name) for name in names) * pixels(_LABEL))
    most_rows = max(1, int(sheet[1] * _MOST_LEGEND / row))
    columns = max(1, min(available // (beside + widest), len(names)))
    rows = min(-(-len(names) // columns), most_rows)
    columns = -(-len(names) // rows)
    rows = -(-len(names) // columns)
    width = min(beside + widest, available // columns)
    if width < beside + _LEAST_NAME * pixels(_LABEL) and width < beside + widest:
        return None
    left = (sheet[0] - columns * width + 3 * gap) // 2  # the gap after the last column does not count
    return LegendGrid(Box(left, bottom, columns * width, rows * row), rows, columns, swatch, gap)


def _letters(name: str) -> float:
    """About how wide a name is, as a multiple of the font's size."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in name)
    capitals = sum(letter.isupper() for letter in name)
    return wide * _IDEOGRAM + capitals * _CAPITAL + (len(name) - wide - capitals) * _LETTER


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels, from the lower left corner of the sheet."""

    left: int
    bottom: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column beyond it."""
        return self.left + self.width

    @property
    def top(self) -> int:
        """First row above it."""
        return self.bottom + self.height

    def fractions(self, sheet: tuple[int, int]) -> tuple[float, float, float, float]:
        """The box as matplotlib places axes: left, bottom, width, height in fractions of the sheet."""
        return self.left / sheet[0], self.bottom / sheet[1], self.width / sheet[0], self.height / sheet[1]
