"""The `[map]` section."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from regionplot.settings.base import Section, Template, Text

MAX_PIXELS = 100_000_000


Side = Annotated[int, Field(ge=100, le=20_000)]


class MapSettings(Section):
    """`[map]`: the sheet."""

    projection: Text | dict[str, Any] = "raster"
    """`raster`, anything pyproj understands, or `{name = CARTOPY_CLASS, keyword = value}`."""
    size: Annotated[tuple[Side, Side], Field(strict=False)] = (1400, 900)
    """Width and height in pixels."""
    dpi: Annotated[float, Field(ge=20, le=1200)] = 100
    title: Template = "{title}"
    fit: Literal["datalim", "exact"] = "datalim"
    """Widen the region's limits to the panel's aspect, or keep them and letterbox."""
    background: Text = "white"
    """Colour of the panel where nothing is drawn."""
    empty: Literal["note", "skip"] = "note"
    """A region that holds nothing but nodata: a map that says so, or no map, and an older one is left as it is."""

    @model_validator(mode="after")
    def _bounded(self) -> MapSettings:
        if self.size[0] * self.size[1] > MAX_PIXELS:
            raise ValueError(f"size: {self.size[0]} x {self.size[1]} is more than {MAX_PIXELS:,} pixels")
        return self
