"""The `[raster]` section."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from regionplot import sample
from regionplot.settings.base import MISSING_FILE, NOT_IN_DIGEST, InputPath, Section, Text, existing
from regionplot.settings.patterns import Pattern

RASTER_PATH = "raster_path"
"""Key of the validation context whose value is a `RasterPath`."""


class RasterPath(Enum):
    """What `[raster] path` becomes."""

    EXISTING_FILE = "existing file"
    """The newest file that matches the pattern. It is an error if there is none."""
    PATTERN = "pattern"
    """The pattern as written. The file may arrive later."""


def resolve_path(value: object, info: ValidationInfo) -> object:
    """Resolve the path of the raster, as the `RasterPath` of the context says."""
    if not isinstance(value, str | Path) or str(value).startswith(sample.PREFIX):
        return existing(value)
    pattern = Pattern(str(value), info.data.get("cycle", 1))
    path = pattern.find()  # it also checks the pattern
    if (info.context or {}).get(RASTER_PATH) is RasterPath.PATTERN:
        return Path(value)
    if path is None:
        raise PydanticCustomError(MISSING_FILE, "{problem}", {"problem": pattern.not_found_message})
    return path


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]\w*", text, re.ASCII):
        raise ValueError("a name is made of letters, digits and _, a letter first")
    return text


class RasterSettings(Section):
    """`[raster]`: the grid that every map shows."""

    cycle: Annotated[int, Field(ge=1, le=24), NOT_IN_DIGEST] = 1
    """Hours between two runs of a model, for `{run:%Y%m%d%H}` in `path`; before it, because that needs it."""
    path: Annotated[Path, BeforeValidator(resolve_path), NOT_IN_DIGEST]
    """GeoTIFF, COG, NetCDF, GRIB2 ...: a local file of a kind that `intake` lets in. May hold the time of the run and
    wildcards."""
    settle: Annotated[float, Field(ge=0, le=86_400), NOT_IN_DIGEST] = 2.0
    """Seconds without a change after which a raster that is waited for is complete."""
    band: int | Text | None = None
    """Number (from 1) or description of the band; by default the first, or the colours of all that are red, green and
    blue."""
    variable: Text | None = None
    """Variable of a NetCDF or HDF5 file that holds several."""
    mask_and_scale: bool = True
    """Make nodata missing, and apply scale and offset."""
    resampling: Literal["nearest", "bilinear", "cubic", "average", "mode", "max"] = "nearest"
    crs: Text | None = None
    """CRS of a file that names none."""
    max_cells: Annotated[int, Field(ge=1, le=2**62), NOT_IN_DIGEST] = 10_000_000_000
    """A grid of more cells is refused before any is read."""

    @property
    def pattern(self) -> Pattern:
        """What to look for as the raster; in settings read with `raster_may_come`, it may mean another file later."""
        return Pattern(str(self.path), self.cycle)

    prepared: Annotated[Annotated[Path, Field(strict=False)] | None, NOT_IN_DIGEST] = None
    """Where the steps of `[[prepare]]` leave their result; in the user's cache folder by default."""
    inputs: Annotated[dict[Annotated[str, AfterValidator(_name)], InputPath], NOT_IN_DIGEST] = Field(
        default_factory=dict
    )
    """Further rasters for these steps, by the names that expressions give them."""
