"""The `[colors]` section."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from regionplot.settings.base import NOT_IN_DIGEST, InputPath, Section, Text

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


Stop = tuple[Limit, Text]
"""A value and its color."""
_MIN_COLORS, _MAX_COLORS = 2, 256
_MAX_EQUAL = 2
"""Maximum number of stops with the same value. Two such stops make a sharp edge between two colors."""


def _ordered(stops: tuple[Stop, ...]) -> tuple[Stop, ...]:
    """Return the stops. Raise `ValueError` if their values do not increase."""
    values = [value for value, _ in stops]
    for before, after in pairwise(values):
        if before > after:
            raise ValueError(f"the values of stops must increase, but {after:g} follows {before:g}")
    crowded = next((value for value in values if values.count(value) > _MAX_EQUAL), None)
    if crowded is not None:
        raise ValueError(f"more than two stops have the value {crowded:g}; keep two, for a sharp edge")
    if values[0] == values[1] or values[-2] == values[-1]:
        raise ValueError(
            "the first and the last value must occur once; set colors beyond the scale with under and over"
        )
    return stops


Stops = Annotated[
    tuple[Annotated[Stop, Field(strict=False)], ...],
    Field(strict=False, min_length=2, max_length=_MAX_COLORS),
    AfterValidator(_ordered),
]


class ColorSettings(Section):
    """Colors of values, and the color bar or legend."""

    colormap: Text | None = None
    """Any matplotlib colormap, or a scale of the package such as `nws:temperature`. Default: the scale for the quantity
    in the raster, or `viridis`."""
    colors: Annotated[tuple[Text, ...], Field(strict=False, min_length=1, max_length=_MAX_COLORS)] | None = None
    """List of colors instead of a colormap. With `levels`: one color for each class, or two more for the values below
    and above the levels. Without levels: colors at equal distances, with gradual transitions."""
    stops: Stops | None = None
    """List of `[value, color]`, with gradual transitions between the values. Two stops of the same value make a sharp
    edge. With `levels`, each class has the color at its middle."""
    file: Annotated[InputPath, NOT_IN_DIGEST] | None = None
    """Color file of another program: GMT `.cpt`, GDAL color-relief text, QGIS `.qml` or exported color map, ESRI
    `.clr`, ParaView `.json`."""
    field: bool = True
    """Choose the colors and the units by the quantity in the raster, if the file names the quantity and no key sets
    colors."""
    units: Text | None = None
    """Units of the levels, limits, stops and the color bar, such as `degF`. Default: the units of the raster."""
    scale: Literal["series", "region"] = "series"
    """Range of values for an automatic scale: `series` uses the whole raster for all maps, `region` uses the cells of
    each map."""
    classes: (
        Annotated[
            tuple[ClassSettings, ...], Field(strict=False, min_length=1, max_length=1000), AfterValidator(_distinct)
        ]
        | None
    ) = None
    """Names and colors of classes, for a raster whose values are categories."""
    levels: Annotated[tuple[Limit, ...], Field(strict=False, min_length=2, max_length=250)] | None = None
    """Boundaries between discrete colors, in increasing order. Without levels, the scale is continuous."""
    closed: Literal["lower", "upper", "last"] = "lower"
    """Limit that belongs to a class between two levels: `lower` (10 <= value < 20), `upper` (10 < value <= 20), or
    `last` (as `lower`, and the last class also contains its upper limit). Color files set this key."""
    rounding: Literal["nearest", "gdal", "qgis"] = "nearest"
    """How colors between two stops are rounded to 256 steps: to the nearest step, or as a program rounds them. Color
    files set this key, so that the maps have exactly the colors of the other program."""
    vmin: Limit | None = None
    """Lower limit of a continuous scale. Default: from the data."""
    vmax: Limit | None = None
    """Upper limit of a continuous scale. Default: from the data."""
    norm: Literal["linear", "log", "symlog", "sqrt", "quantile"] | None = None
    """Normalization of a continuous scale. With `quantile`, each color covers an equal share of the cells. Default:
    `linear`."""
    diverging: Limit | None = None
    """Value at the middle of the colormap, such as 0 for anomalies. The limits have equal distances from this value,
    unless both `vmin` and `vmax` are given. Default colormap: `vik`."""
    under: Text = "lowest"
    """Color of values below the scale: `lowest`, `none`, or any matplotlib color."""
    over: Text = "highest"
    """Color of values above the scale: `highest`, `none`, or any matplotlib color."""
    nodata: Text = "none"
    """Color of missing cells: `none`, or any matplotlib color."""
    ticks: Annotated[tuple[Limit, ...], Field(strict=False, min_length=1, max_length=250)] | None = None
    """Values with a label on the color bar. Default: the levels, or round values."""
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
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        """Yield the conflicts between keys."""
        if self.levels is not None and (
            self.vmin is not None
            or self.vmax is not None
            or self.norm not in (None, "linear")
            or self.diverging is not None
        ):
            yield "give either levels, or vmin, vmax, norm and diverging"
        if self.norm == "log" and any(v is not None and v <= 0 for v in (self.vmin, self.vmax)):
            yield "a log norm needs vmin and vmax above zero"
        if self.classes is not None and self.is_numeric_scale:
            yield (
                "give either classes, or colormap, colors, stops, file, levels, vmin, vmax, norm and diverging, which "
                "are for numbers"
            )
        yield from self._source_problems()
        if self.diverging is not None:
            yield from self._center_problems(self.diverging)
        if self.norm == "quantile" and (self.vmin is not None or self.vmax is not None):
            yield "a quantile norm finds its limits in the data; remove vmin and vmax"

    def _source_problems(self) -> Iterator[str]:
        """Yield the conflicts between the keys that give colors."""
        given = [name for name in ("colormap", "colors", "stops", "file") if getattr(self, name) is not None]
        if len(given) > 1:
            yield f"give only one of {' and '.join(given)}"
        if self.colors is None:
            return
        count = len(self.colors)
        if self.levels is None:
            if count < _MIN_COLORS:
                yield "colors without levels must be two or more"
            return
        classes = len(self.levels) - 1
        if count not in (classes, classes + 2):
            yield (
                f"colors has {count} colors, but {classes + 1} levels need {classes}, or {classes + 2} with the colors "
                "below and above the levels"
            )
        elif count != classes and (self.under, self.over) != ("lowest", "highest"):
            yield f"give either under and over, or {classes + 2} colors; {classes + 1} levels have {classes} classes"

    def _center_problems(self, center: float) -> Iterator[str]:
        """Yield the reasons why a scale cannot have a center."""
        if self.norm not in (None, "linear"):
            yield f"diverging cannot be combined with norm = {self.norm!r}"
        if self.vmin is not None and self.vmin >= center:
            yield f"vmin {self.vmin:g} must be less than diverging, {center:g}"
        if self.vmax is not None and self.vmax <= center:
            yield f"vmax {self.vmax:g} must be greater than diverging, {center:g}"

    @property
    def is_numeric_scale(self) -> bool:
        """True if a key for numbers is set. If it is set, the colors in the raster file are not used."""
        keys = (self.colormap, self.colors, self.stops, self.file, self.levels)
        return any(value is not None for value in (*keys, self.vmin, self.vmax, self.norm, self.diverging))

    @property
    def is_ramp(self) -> bool:
        """True if `stops` give the color of each value, so that the scale needs no limits."""
        keys = (self.levels, self.vmin, self.vmax, self.norm, self.diverging)
        return self.stops is not None and all(value is None for value in keys)

    @property
    def is_adaptive(self) -> bool:
        """True if the data determine limits of the scale of numbers, or whether its ends are open."""
        return self.levels is None and not self.is_ramp
