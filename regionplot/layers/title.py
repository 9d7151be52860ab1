"""The title above the panel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from typing_extensions import override

from regionplot import text
from regionplot.errors import ConfigError, RegionError
from regionplot.geo.region import Region
from regionplot.layers.base import Layer, LoadContext
from regionplot.sheet.layout import HALF_CAPITAL, Layout, Page, Room
from regionplot.sheet.marks import Text
from regionplot.sheet.sheet import Sheet

_HEIGHT = 28
"""Points between the panel and the top of the sheet."""
_POINTS = 14
"""Font size on a sheet of 14 × 9 inches."""
_SMALLEST = 0.6
"""Minimum font size of a long title, as a fraction of its normal size. A title that is still too long is truncated."""


@dataclass(frozen=True)
class Title(Layer):
    """The title, from the template in `[map] title`."""

    zorder: ClassVar[float] = 90
    ignores_raster: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Text})
    key: str

    @classmethod
    @override
    def room(cls, settings: Any, page: Page) -> Room:
        return Room("top", page.pixels(_HEIGHT))

    @classmethod
    @override
    def load(cls, settings: Any, context: LoadContext) -> Self:
        config = context.config
        if "time" in text.fields_of(config.map.title) and "time" not in context.description:
            raise ConfigError(
                f"[map] title: {config.map.title!r}: the time of {config.raster.path} is unknown; remove {{time}}"
            )
        return cls(config.map.title)

    @override
    def draw(self, sheet: Sheet) -> Iterator[Text]:
        yield title_mark(sheet.title, sheet.layout)

    @override
    def inks(self) -> frozenset[str]:
        return frozenset()


def title_of(region: Region, template: str, description: Mapping[str, object]) -> str:
    """Return the title of a region's map.

    Parameters
    ----------
    region : Region
        The region. The values of its columns replace the fields of the template.
    template : str
        The setting `[map] title`.
    description : mapping
        Metadata of the raster. Columns of the region take precedence.

    Raises
    ------
    RegionError
        If the template names a field that neither the region nor the raster has.
    """
    try:
        return text.plain_text(text.render(template, {**description, **region.fields}))
    except text.TemplateError as error:
        raise RegionError(f"[map] title: {error}") from None


def title_mark(title: str, layout: Layout) -> Text:
    """Return the mark of a title."""
    page = layout.page
    baseline = layout.panel.top + page.pixels(_HEIGHT) // 2 - page.pixels(_POINTS * HALF_CAPITAL)
    return Text(
        layout.panel.left,
        baseline,
        " ".join(title.split()),
        page.title_points,
        max_width=layout.text_width,
        smallest=_SMALLEST,
        is_hinted=False,
    )
