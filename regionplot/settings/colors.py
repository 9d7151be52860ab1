"""The `[colors]` section."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from regionplot.settings.base import Section, Text

MAX_LIMIT = 1e300
"""Maximum absolute value of a limit or a level."""
Limit = Annotated[float, Field(ge=-MAX_LIMIT, le=MAX_LIMIT, allow_inf_nan=False)]
MAX_CLASS_SPAN = 1_000_000
"""Maximum difference between two class values. Lookup tables have an entry for each value in this range."""


def _increasing(levels: tuple[float, ...]) -> tuple[float, ...]:
    for before, after in pairwise(levels):
        if not before < after:
            raise ValueError(f"levels must increase, but {after:g} follows {before:g}")
    return levels


class ClassSettings(Section):
    """One class of `[colors] classes`."""

    value: Annotated[int, Field(ge=-(2**31), lt=2**32)]
    """Value of the class's cells."""
    color: Text | None = None
    """Any matplotlib color. Default: the color in the raster's own color table."""
    name: Text = ""
    """Name in the legend. Default: the value."""


def _distinct(classes: tuple[ClassSettings, ...]) -> tuple[ClassSettings, ...]:
    """Return the classes. Raise `ValueError` if two values are equal, or if a lookup table cannot hold all values."""
    first: dict[int, int] = {}
    for number, item in enumerate(classes, 1):
        if (earlier := first.setdefault(item.value, number)) != number:
            raise ValueError(f"#{earlier} and #{number} have the same value, {item.value}")
    if max(first) - min(first) > MAX_CLASS_SPAN:
        raise ValueError(f"the values {min(first)} and {max(first)} are more than {MAX_CLASS_SPAN:,} apart")
    return classes


class ColorSettings(Section):
    """Colors of values, and the color bar or legend."""

    colormap: Text | None = None
    """Any matplotlib colormap. Default: `viridis`."""
    classes: (
        Annotated[
            tuple[ClassSettings, ...], Field(strict=False, min_length=1, max_length=1000), AfterValidator(_distinct)
        ]
        | None
    ) = None
    """Names and colors of classes, for a raster whose values are categories."""
    levels: Annotated[tuple[Limit, ...], Field(strict=False, min_length=2, max_length=250)] | None = None
    """Boundaries between discrete colors, in increasing order. Without levels, the scale is continuous."""
    vmin: Limit | None = None
    """Lower limit of a continuous scale. Default: from the data."""
    vmax: Limit | None = None
    """Upper limit of a continuous scale. Default: from the data."""
    norm: Literal["linear", "log", "symlog", "sqrt"] | None = None
    """Normalization of a continuous scale. Default: `linear`."""
    under: Text = "lowest"
    """Color of values below the scale: `lowest`, `none`, or any matplotlib color."""
    over: Text = "highest"
    """Color of values above the scale: `highest`, `none`, or any matplotlib color."""
    nodata: Text = "none"
    """Color of missing cells: `none`, or any matplotlib color."""
    label: Text | None = None
    """Label of the color bar or legend. Default: the raster's long name and units."""
    colorbar: bool = True
    """Draw a color bar for numbers, or a legend for classes."""

    @field_validator("levels")
    @classmethod
    def _check_levels(cls, levels: tuple[float, ...] | None) -> tuple[float, ...] | None:
        return None if levels is None else _increasing(levels)

    @field_validator("vmax")
    @classmethod
    def _check_vmax(cls, vmax: float | None, info: ValidationInfo) -> float | None:
        vmin = info.data.get("vmin")
        if vmin is not None and vmax is not None and not vmin < vmax:
            raise ValueError(f"vmin {vmin:g} must be less than vmax {vmax:g}")
        return vmax

    @model_validator(mode="after")
    def _check_scale(self) -> ColorSettings:
        if self.levels is not None and (
            self.vmin is not None or self.vmax is not None or self.norm not in (None, "linear")
        ):
            raise ValueError("give either levels, or vmin, vmax and norm")
        if self.norm == "log" and any(v is not None and v <= 0 for v in (self.vmin, self.vmax)):
            raise ValueError("a log norm needs vmin and vmax above zero")
        if self.classes is not None and self.is_numeric_scale:
            raise ValueError("give either classes, or colormap, levels, vmin, vmax and norm, which are for numbers")
        return self

    @property
    def is_numeric_scale(self) -> bool:
        """True if a key for numbers is set. If it is set, the colors in the raster file are not used."""
        return any(value is not None for value in (self.colormap, self.levels, self.vmin, self.vmax, self.norm))
