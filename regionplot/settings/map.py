"""The `[map]` section."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from regionplot.settings.base import MISSING_FILE, NOT_IN_DIGEST, InputPath, Section, Template, Text
from regionplot.settings.functions import FunctionSetting, UserFunction
from regionplot.system.files import exists
from regionplot.text import is_time_zone, one_line

MAX_PIXELS = 100_000_000
"""Maximum number of pixels in an image."""
Side = Annotated[int, Field(ge=100, le=20_000)]
"""Width or height in pixels."""


def _find_style(value: object) -> object:
    """Return the name or the path of a style."""
    if not isinstance(value, str | Path) or value in ("plain", "atlas") or (value and exists(Path(value))):
        return value
    raise PydanticCustomError(
        MISSING_FILE, "there is no style and no file {name}; use plain, atlas or a file", {"name": one_line(str(value))}
    )


class MapSettings(Section):
    """Size, projection and title of the maps."""

    style: Annotated[Literal["plain", "atlas"] | Path, BeforeValidator(_find_style)] = "plain"
    """Style of the maps: `plain`, `atlas`, or a TOML file of your own. Your settings take precedence over the style."""
    projection: Text | dict[str, Any] = "raster"
    """`raster` for the CRS of the raster, `auto` for a projection that is centered on each region, an EPSG code, a
    PROJ string, WKT, or a cartopy class with its keywords: `{ name = "LambertConformal", central_longitude = -96 }`."""
    size: Annotated[tuple[Side, Side], Field(strict=False)] = (1400, 900)
    """Width and height of the image in pixels."""
    dpi: Annotated[float, Field(ge=20, le=1200)] = 100
    """Pixels per inch. Text and lines scale with this value."""
    title: Template = "{title}"
    """Template for the title. It can have the columns of the table of regions, and these fields of the raster:
    raster, variable, long_name, units, level, time, reference_time, lead, source and quantity."""
    subtitle: Template = ""
    """Template for the text below the title. It can have the fields of the raster, as in `title`, and contents. A
    text with a field that the raster does not have is left out."""
    time_zone: Text = "UTC"
    """Time zone of the times in these texts, such as `America/Denver`. `%Z` in a format is its abbreviation."""
    upper_right: Template = ""
    """Template for the text at the right of the title, such as "Valid {time:%d %b %Y, %H:%M} UTC"."""
    lower_right: Template = ""
    """Template for the text at the right of the subtitle, such as "Run {reference_time:%d %b, %H} UTC + {lead} h"."""
    fit: Literal["datalim", "exact"] = "datalim"
    """`datalim` enlarges the region so that it fills the panel. `exact` keeps the limits and leaves margins."""
    background: Text = "white"
    """Color where nothing is drawn."""
    empty: Literal["note", "skip"] = "note"
    """For a region without data, `note` draws a map with a note. `skip` draws no map and keeps an older map."""
    draw: Annotated[FunctionSetting | None, NOT_IN_DIGEST] = None
    """Your own function, as `module:function`. The function draws each map instead of regionplot, and is called as
    `function(shared, region)`. The module is looked for beside the settings file, and then where Python finds
    modules."""
    decorate: Annotated[FunctionSetting | None, NOT_IN_DIGEST] = None
    """Your own function, as `module:function`. The function is called as `function(axes, region, shared)` for each map,
    after the layers are drawn. `axes` is a cartopy GeoAxes."""
    load: Annotated[FunctionSetting | None, NOT_IN_DIGEST] = None
    """Your own function, as `module:function`. The function is called once, as `function(shared)`, before the maps are
    drawn. The other functions find its result in `shared.extra`."""
    files: Annotated[tuple[InputPath, ...], Field(strict=False), NOT_IN_DIGEST] = ()
    """Files that your functions read. If the content of such a file changes, all maps are drawn again."""

    @field_validator("time_zone")
    @classmethod
    def _known_time_zone(cls, name: str) -> str:
        if not is_time_zone(name):
            raise ValueError(f"there is no time zone {one_line(name)!r}; use a name such as 'America/Denver'")
        return name

    @property
    def functions(self) -> dict[str, UserFunction]:
        """The functions of the user, by key."""
        found = {"draw": self.draw, "decorate": self.decorate, "load": self.load}
        return {key: function for key, function in found.items() if function is not None}

    @model_validator(mode="after")
    def _has_one_drawing_function(self) -> MapSettings:
        if self.draw is not None and self.decorate is not None:
            raise ValueError(
                "draw and decorate exclude each other; call the function of decorate in the function of draw"
            )
        return self

    @field_validator("size")
    @classmethod
    def _bounded(cls, size: tuple[int, int]) -> tuple[int, int]:
        if size[0] * size[1] > MAX_PIXELS:
            raise ValueError(f"{size[0]} x {size[1]} is more than {MAX_PIXELS:,} pixels; make the image smaller")
        return size
