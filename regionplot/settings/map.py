"""The `[map]` section."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from regionplot.settings.base import Section, Template, Text

MAX_PIXELS = 100_000_000
"""Maximum number of pixels in an image."""
Side = Annotated[int, Field(ge=100, le=20_000)]
"""Width or height in pixels."""


class MapSettings(Section):
    """Size, projection and title of the maps."""

    projection: Text | dict[str, Any] = "raster"
    """`raster` for the CRS of the raster, an EPSG code, a PROJ string, WKT, or a cartopy class with its keywords:
    `{ name = "LambertConformal", central_longitude = -96 }`."""
    size: Annotated[tuple[Side, Side], Field(strict=False)] = (1400, 900)
    """Width and height of the image in pixels."""
    dpi: Annotated[float, Field(ge=20, le=1200)] = 100
    """Pixels per inch. Text and lines scale with this value."""
    title: Template = "{title}"
    """Template for the title. Fields are the columns of the regions table, and raster, variable, long_name, units and
    time."""
    fit: Literal["datalim", "exact"] = "datalim"
    """`datalim` enlarges the region so that it fills the panel. `exact` keeps the limits and leaves margins."""
    background: Text = "white"
    """Color where nothing is drawn."""
    empty: Literal["note", "skip"] = "note"
    """For a region without data, `note` draws a map with a note. `skip` draws no map and keeps an older map."""

    @field_validator("size")
    @classmethod
    def _bounded(cls, size: tuple[int, int]) -> tuple[int, int]:
        if size[0] * size[1] > MAX_PIXELS:
            raise ValueError(f"{size[0]} x {size[1]} is more than {MAX_PIXELS:,} pixels; make the image smaller")
        return size
