"""The smallest and the largest value on a map, above the right end of a short color bar."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import AfterValidator
from typing_extensions import override

from regionplot.layers.base import Layer, LayerSettings, LoadContext, settings_digest
from regionplot.layers.colorbar import place_above_short_bar, range_width
from regionplot.layers.label_texts import checked_format
from regionplot.settings.base import Text as Words
from regionplot.settings.sheet import FontSize
from regionplot.sheet.marks import Text
from regionplot.sheet.sheet import Sheet

_SMALLEST = 0.6
"""Minimum font size of a long text, as a fraction of its normal size."""


class ValueRangeSettings(LayerSettings):
    """`[value_range]`: the smallest and the largest value on each map."""

    format: Annotated[Words, AfterValidator(checked_format)] = "{:.0f}"
    """Format of the numbers."""
    font_size: FontSize = 9.5
    """Font size in points, on a sheet of 14 × 9 inches."""


@dataclass(frozen=True)
class ValueRange(Layer):
    """A text such as "this map 35 to 78" above a short color bar."""

    Settings = ValueRangeSettings
    zorder: ClassVar[float] = 99
    wants_values: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Text})
    settings: ValueRangeSettings
    key: str

    @classmethod
    @override
    def load(cls, settings: ValueRangeSettings, context: LoadContext) -> Self:
        return cls(settings, settings_digest(settings))

    @override
    def draw(self, sheet: Sheet) -> Iterator[Text]:
        place, words = place_above_short_bar(sheet.layout), self._words(sheet)
        if place is not None and words:
            page = sheet.layout.page
            size = self.settings.font_size
            yield Text(
                *place,
                words,
                page.small_points(size),
                page.ink,
                align="right",
                max_width=range_width(page, size),
                smallest=_SMALLEST,
                is_hinted=False,
                font=page.font,
            )

    def _words(self, sheet: Sheet) -> str:
        """Return the text, which is empty if the map shows no numbers."""
        if sheet.values is None:
            return ""
        values = np.ma.filled(sheet.values, np.nan)
        values = values[np.isfinite(values)]
        if not values.size:
            return ""
        ends = np.array([values.min(), values.max()], float)
        low, high = (self.settings.format.format(each) for each in (sheet.shown(ends) if sheet.shown else ends))
        return f"this map {low} to {high}".replace("-", "−")

    @override
    def inks(self) -> frozenset[str]:
        return frozenset()
