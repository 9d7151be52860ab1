"""The title above the panel, and the texts below it and at its right.

::

    title                                    upper right     the title is different on each map,
    subtitle                                 lower right     the other texts are part of the frame
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from typing_extensions import override

from regionplot import text
from regionplot.errors import ConfigError, RegionError
from regionplot.geo.region import Region
from regionplot.layers.base import Layer, LoadContext
from regionplot.layers.quantity import contents_of, quantity_of
from regionplot.settings.map import MapSettings
from regionplot.settings.sheet import Weight
from regionplot.sheet.layout import HALF_CAPITAL, Layout, Page, Room
from regionplot.sheet.marks import Text
from regionplot.sheet.sheet import Sheet

_UPPER, _LOWER = 0.486, 0.82
"""Baselines of two lines: distance from the top of the sheet, as a fraction of the height above the panel."""
_SIZES = {"subtitle": 0.6, "upper_right": 0.625, "lower_right": 0.575}
"""Font sizes of the other texts, as fractions of the size of the title."""
_WEIGHTS: dict[str, Weight] = {"subtitle": "normal", "upper_right": "semibold", "lower_right": "normal"}
_LETTER = 0.56
"""Estimated mean width of a letter, as a fraction of the font size."""
_RIGHT_SHARE = 0.45
"""Maximum width of a text at the right, as a fraction of the width between the margins."""
_GAP = 12
"""Points between the texts at the left and at the right."""
_SMALLEST = 0.6
"""Minimum font size of a long title, as a fraction of its normal size. A longer title has two lines."""


@dataclass(frozen=True)
class Title(Layer):
    """The title, from the template in `[map] title`, and the texts around it."""

    zorder: ClassVar[float] = 90
    ignores_raster: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Text})
    has_usual_texts: ClassVar[bool] = True
    key: str
    texts: Mapping[str, str] = field(default_factory=dict)
    """The other texts, by the name of their setting. They are the same on all maps."""
    is_raised: bool = False
    """True if the title is as high as titles with other texts, because another panel of the sheet has such texts."""

    @classmethod
    @override
    def room(cls, settings: Any, page: Page) -> Room:
        return Room("top", page.pixels(page.config.sheet.title_height), is_shared=True)

    @classmethod
    @override
    def load(cls, settings: Any, context: LoadContext) -> Self:
        config = context.config
        if "time" in text.fields_of(config.map.title) and "time" not in context.description:
            raise ConfigError(
                f"[map] title: {config.map.title!r}: the time of {config.raster.path} is unknown; remove {{time}}"
            )
        captions = [layer.caption for layer in context.below]
        texts = _other_texts(config.map, context.description, captions)
        return cls("\n".join([config.map.title, *(f"{name}: {text}" for name, text in texts.items())]), texts)

    @override
    def draw(self, sheet: Sheet) -> Iterator[Text]:
        yield self.mark(sheet.title, sheet.layout)

    def mark(self, title: str, layout: Layout) -> Text:
        """Return the mark of a title."""
        page = layout.page
        return Text(
            layout.panel.left,
            self._title_baseline(layout),
            " ".join(title.split()),
            page.title_points,
            page.ink,
            max_width=layout.text_width - self._width("upper_right", page),
            smallest=_SMALLEST,
            is_hinted=False,
            font=page.font,
            weight=page.config.sheet.title_weight,
        )

    @override
    def frame(self, layout: Layout) -> Iterator[Text]:
        page = layout.page
        for name, words in self.texts.items():
            is_left = name == "subtitle"
            yield Text(
                layout.panel.left if is_left else layout.panel.left + layout.text_width,
                _baseline(layout, _UPPER if name == "upper_right" else _LOWER),
                words,
                page.title_points * _SIZES[name],
                page.ink if name == "upper_right" else page.faint_ink,
                align="left" if is_left else "right",
                max_width=layout.text_width - self._width("lower_right", page) if is_left else _widest(page),
                smallest=_SMALLEST,
                is_hinted=False,
                font=page.font,
                weight=_WEIGHTS[name],
            )

    def _title_baseline(self, layout: Layout) -> int:
        if self.texts or self.is_raised:
            return _baseline(layout, _UPPER)
        page, settings = layout.page, layout.page.config.sheet
        return (
            layout.panel.top + page.pixels(settings.title_height) // 2 - page.pixels(settings.title_size * HALF_CAPITAL)
        )

    def _width(self, name: str, page: Page) -> int:
        """Return the estimated width of a text at the right in pixels, with the gap at its left."""
        words = self.texts.get(name, "")
        if not words:
            return 0
        letters = page.pixels(len(words) * _LETTER * page.config.sheet.title_size * _SIZES[name])
        return min(letters, _widest(page)) + page.pixels(_GAP)

    @override
    def inks(self) -> frozenset[str]:
        return frozenset()


def _widest(page: Page) -> int:
    """Return the maximum width in pixels of a text at the right."""
    return round(_RIGHT_SHARE * (page.size[0] - 2 * page.margin))


def _baseline(layout: Layout, fraction: float) -> int:
    height = layout.size[1]
    return height - round(fraction * (height - layout.panel.top))


def _other_texts(settings: MapSettings, description: Mapping[str, object], captions: Sequence[str]) -> dict[str, str]:
    """Return the texts around the title. A text with an unknown or empty field is left out.

    Parameters
    ----------
    settings : MapSettings
        The templates.
    description : mapping
        Metadata of the raster.
    captions : sequence of str
        Further quantities that layers draw.
    """
    found = {}
    description = _with_quantity(text.in_time_zone(description, settings.time_zone))
    description = {**description, "contents": contents_of([str(description["quantity"]), *captions])}
    for name in _SIZES:
        template = getattr(settings, name)
        fields = {key: description.get(key, "") for key in text.fields_of(template)}
        if template and all(value not in ("", None) for value in fields.values()):
            found[name] = text.plain_text(text.render(template, fields))
    return found


def _with_quantity(description: Mapping[str, object]) -> Mapping[str, object]:
    """Return a description with `quantity`: the name and the level of the quantity."""
    return {**description, "quantity": quantity_of(description)}


def title_of(region: Region, settings: MapSettings, description: Mapping[str, object]) -> str:
    """Return the title of a region's map.

    Parameters
    ----------
    region : Region
        The region. The values of its columns replace the fields of the template.
    settings : MapSettings
        The section `[map]`, with the template and the time zone.
    description : mapping
        Metadata of the raster. Columns of the region take precedence.

    Raises
    ------
    RegionError
        If the template names a field that neither the region nor the raster has.
    """
    try:
        fields = {**_with_quantity(text.in_time_zone(description, settings.time_zone)), **region.fields}
        return text.plain_text(text.render(settings.title, fields))
    except text.TemplateError as error:
        raise RegionError(f"[map] title: {error}") from None
