"""The `[[prepare]]` tables."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from regionplot.settings.base import InputPath, Section, Text

Positive = Annotated[float, Field(gt=0)]


class ExpressionStep(Section):
    """Bands combined by a formula."""

    step: Literal["expression"]
    formula: Text
    """Over the bands `b1`, `b2` ..., such as `"b1 * 10 / 25.4"`."""
    long_name: Text | None = None
    """What the result is; what the raster was, by default."""
    units: Text | None = None
    """Units of the result."""


class FocalStep(Section):
    """Each cell from those around it."""

    step: Literal["focal"]
    kind: Literal["mean", "gaussian", "median", "min", "max"] = "mean"
    size: Annotated[int, Field(ge=1)] = 3
    """Cells along a side, an odd number; not for a Gaussian."""
    sigma: Positive = 1.0
    """Standard deviation of a Gaussian, in cells."""
    truncate: Positive = 4.0
    """Where a Gaussian ends, in standard deviations."""
    fill: bool = False
    """Give missing cells a value, too, where there are others around them."""


class ReclassifyStep(Section):
    """New values for classes of old ones."""

    step: Literal["reclassify"]
    rules: Annotated[tuple[Text, ...], Field(strict=False, min_length=1)]
    """`"LOW:HIGH=NEW"`, `"OLD=NEW"`, and at the end `"else=..."`; NEW may be `missing`."""


class MaskStep(Section):
    """Cells outside of polygons (or inside) become missing."""

    step: Literal["mask"]
    path: InputPath
    keep: Literal["inside", "outside"] = "inside"
    layer: Text | None = None
    crs: Text | None = None
    all_touched: bool = False


class HillshadeStep(Section):
    """Light and shade of a height grid."""

    step: Literal["hillshade"]
    azimuth: Annotated[float, Field(ge=0, le=360)] = 315
    altitude: Annotated[float, Field(ge=0, le=90)] = 45
    z_factor: float = 1


class SlopeStep(Section):
    """How steep a height grid is."""

    step: Literal["slope"]
    units: Literal["degree", "percent"] = "degree"
    z_factor: float = 1


class ConvertStep(Section):
    """Other units."""

    step: Literal["convert"]
    units: Text
    """Those wanted."""
    from_units: Text | None = None
    """Those of the raster; by default, those that it names."""


class ScaleStep(Section):
    """scale * value + offset."""

    step: Literal["scale"]
    scale: float = 1
    offset: float = 0
    units: Text | None = None


class WarpStep(Section):
    """Another grid."""

    step: Literal["resample", "reproject"]
    crs: Text | None = None
    resolution: Positive | Annotated[tuple[Positive, Positive], Field(strict=False)] | None = None
    """Width and height of a cell in units of the CRS."""
    like: InputPath | None = None
    """The grid of another raster."""
    method: Literal["nearest", "bilinear", "cubic", "lanczos", "average", "mode", "max", "min", "med"] = "bilinear"

    @model_validator(mode="after")
    def _onto_something(self) -> WarpStep:
        if self.like is not None and (self.crs is not None or self.resolution is not None):
            raise ValueError("give either like, or crs and resolution")
        if self.like is None and self.resolution is None and self.crs is None:
            raise ValueError(f"{self.step} needs {'crs' if self.step == 'reproject' else 'resolution'}, or like")
        return self


class AccumulateStep(Section):
    """All inputs into one; of a single input, all its bands."""

    step: Literal["accumulate"]
    how: Literal["sum", "mean", "min", "max", "last"] = "sum"


Step = (
    ExpressionStep
    | FocalStep
    | ReclassifyStep
    | MaskStep
    | HillshadeStep
    | SlopeStep
    | ConvertStep
    | ScaleStep
    | WarpStep
    | AccumulateStep
)
