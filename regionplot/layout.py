"""Where things stand on a map sheet, in whole pixels, so that a sampled grid falls on the panel pixel by pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass

from regionplot.config import Config
from regionplot.errors import ConfigError
from regionplot.models import Box

_POINTS_PER_INCH = 72
_USUAL_AREA = 14 * 9
"""Square inches of the sheet that the font sizes below are meant for."""
_SMALLEST = 0.7
"""Text on small sheets shrinks to this part of its usual size, and no more."""
_TICKS = 8
"""Points that the ticks of a colour bar and the gaps to their labels take, on sheets of any size."""
_TITLE = 14
"""Points."""
_HALF_CAPITAL = 0.37
"""Half the height of a capital letter, as a part of the font's size."""
_LEAST_PANEL = 10
"""Pixels each way; less is no map."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The boxes of a sheet and the sizes of its text; the same for every region of a run."""

    size: tuple[int, int]
    """Width and height in pixels."""
    dpi: float
    panel: Box
    colorbar: Box | None
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
    def of(cls, config: Config) -> Layout:
        """Lay out a sheet: title above, panel, colour bar below, with even margins.

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
        bottom = bar.top + pixels(9) if config.colors.colorbar else margin
        panel = Box(margin, bottom, width - 2 * margin, height - title - bottom)
        if min(panel.width, panel.height, bar.width) < _LEAST_PANEL:
            raise ConfigError(f"[map] size: {width} x {height} pixels at {dpi:g} dpi leave no room for the map")
        return cls(
            size=(width, height),
            dpi=dpi,
            panel=panel,
            colorbar=bar if config.colors.colorbar else None,
            title_baseline=panel.top + title // 2 - pixels(_TITLE * _HALF_CAPITAL),
            title_points=_TITLE * factor,
            label_points=9 * factor,
            neatline_pixels=max(1, pixels(0.8)),
        )
