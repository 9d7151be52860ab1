"""The `[colors]` section."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from regionplot.settings.base import Section, Text

MAX_CLASS_SPAN = 1_000_000


def _increasing(levels: tuple[float, ...]) -> tuple[float, ...]:
    for before, after in pairwise(levels):
        if not before < after:
            raise ValueError(f"levels must increase, but {after:g} follows {before:g}")
    return levels


class ClassSettings(Section):
    """One of `[colors] classes`: a value that stands for a class."""

    value: Annotated[int, Field(ge=-(2**31), lt=2**32)]
    color: Text | None = None
    """Any matplotlib colour; by default that of the raster's own colour table."""
    name: Text = ""
    """In the legend; by default the number."""


def _distinct(classes: tuple[ClassSettings, ...]) -> tuple[ClassSettings, ...]:
    """Classes of which no two have one value, and whose values a table can hold."""
    first: dict[int, int] = {}
    for number, item in enumerate(classes, 1):
        if (earlier := first.setdefault(item.value, number)) != number:
            raise ValueError(f"#{earlier} and #{number} have the same value, {item.value}")
    if max(first) - min(first) > MAX_CLASS_SPAN:
        raise ValueError(f"the values {min(first)} and {max(first)} are more than {MAX_CLASS_SPAN:,} apart")
    return classes


class ColorSettings(Section):
    """`[colors]`: from values to colours."""

    colormap: Text | None = None
    """Any of matplotlib's; by default `viridis`."""
    classes: (
        Annotated[
            tuple[ClassSettings, ...], Field(strict=False, min_length=1, max_length=1000), AfterValidator(_distinct)
        ]
        | None
    ) = None
    """Values that stand for classes, with their colours and names."""
    levels: Annotated[tuple[float, ...], Field(strict=False, min_length=2, max_length=250)] | None = None
    """Class limits; without them the scale is continuous."""
    vmin: float | None = None
    vmax: float | None = None
    norm: Literal["linear", "log", "symlog", "sqrt"] | None = None
    """By default linear."""
    under: Text = "lowest"
    """Colour below the scale: `lowest`, `none`, or any matplotlib colour."""
    over: Text = "highest"
    """Colour above the scale: `highest`, `none`, or any matplotlib colour."""
    nodata: Text = "none"
    """Colour where the raster holds nothing."""
    label: Text | None = None
    """Label of the colour bar; by default the raster's long name and units."""
    colorbar: bool = True

    @model_validator(mode="after")
    def _one_scale(self) -> ColorSettings:
        if self.levels is not None:
            _increasing(self.levels)
            if self.vmin is not None or self.vmax is not None or self.norm not in (None, "linear"):
                raise ValueError("give either levels, or vmin, vmax and norm")
        if self.vmin is not None and self.vmax is not None and not self.vmin < self.vmax:
            raise ValueError(f"vmin {self.vmin:g} must be less than vmax {self.vmax:g}")
        if self.norm == "log" and any(v is not None and v <= 0 for v in (self.vmin, self.vmax)):
            raise ValueError("a log norm needs vmin and vmax above zero")
        if self.classes is not None and self.are_for_numbers:
            raise ValueError("give either classes, or colormap, levels, vmin, vmax and norm, which are for numbers")
        return self

    @property
    def are_for_numbers(self) -> bool:
        """Whether something is said that makes sense for numbers only: the raster's own colours are not wanted."""
        return any(value is not None for value in (self.colormap, self.levels, self.vmin, self.vmax, self.norm))
