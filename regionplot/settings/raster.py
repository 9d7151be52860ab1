"""The `[raster]` section."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from regionplot import sample
from regionplot.settings.base import MISSING_FILE, NOT_IN_DIGEST, InputPath, Section, Text, find_input
from regionplot.settings.patterns import Pattern
from regionplot.text import one_line, path_hint

RASTER_PATH = "raster_path"
"""Key in the validation context. Its value is a `RasterPath`."""


class RasterPath(Enum):
    """Kind of value that `[raster] path` is resolved to."""

    EXISTING_FILE = "existing file"
    """The newest file that matches the pattern. A missing file is an error."""
    PATTERN = "pattern"
    """The pattern as written. The file can arrive later."""


def resolve_path(value: object, info: ValidationInfo) -> object:
    """Resolve the path of the raster, as the `RasterPath` in the validation context says."""
    if not isinstance(value, str | Path) or str(value).startswith(sample.PREFIX):
        return find_input(value)
    if not str(value) or path_hint(str(value)):
        return find_input(value)
    pattern = Pattern(str(value), info.data.get("cycle", 1))
    path = pattern.find()  # `find` also checks the pattern
    if (info.context or {}).get(RASTER_PATH) is RasterPath.PATTERN:
        return Path(value)
    if path is None:
        raise PydanticCustomError(MISSING_FILE, "{problem}", {"problem": one_line(pattern.not_found_message)})
    return path


def _check_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]\w*", text, re.ASCII):
        raise ValueError("a name must begin with a letter and contain only letters, digits and _")
    return text


class RasterSettings(Section):
    """The raster that the maps show."""

    cycle: Annotated[int, Field(ge=1, le=24), NOT_IN_DIGEST] = 1
    """Hours between two model runs, for `{run:%Y%m%d%H}` in `path`."""
    path: Annotated[Path, BeforeValidator(resolve_path), NOT_IN_DIGEST]
    """Raster file: GeoTIFF, COG, NetCDF, GRIB2 and others. May contain `{run:%Y%m%d%H}` and wildcards."""
    settle: Annotated[float, Field(ge=0, le=86_400), NOT_IN_DIGEST] = 2.0
    """Seconds without a change after which a file counts as complete."""
    band: int | Text | None = None
    """Number of the band from 1, or its name: the description, or the element or short name in a GRIB file. Default:
    the first band, or all bands if they are red, green and blue."""
    variable: Text | None = None
    """Variable to read from a NetCDF or HDF5 file with several variables: its name, or its path such as
    `/product/no2`."""
    mask_and_scale: bool = True
    """Treat nodata values as missing, and apply scale and offset."""
    resampling: Literal["nearest", "bilinear", "cubic", "average", "mode", "max"] = "nearest"
    """Resampling method from cells to pixels."""
    crs: Text | None = None
    """CRS of the file. By default, the CRS that the file states."""
    max_cells: Annotated[int, Field(ge=1, le=2**62), NOT_IN_DIGEST] = 10_000_000_000
    """Maximum number of cells. Larger grids are rejected before any cell is read."""

    @property
    def pattern(self) -> Pattern:
        """Pattern that finds the raster file.

        The pattern has times and wildcards only if the settings come from `read_config_before_arrival`.
        """
        return Pattern(str(self.path), self.cycle)

    prepared: Annotated[Annotated[Path, Field(strict=False)] | None, NOT_IN_DIGEST] = None
    """File for the result of the steps of `[[prepare]]`. Default: a file in the user's cache folder."""
    inputs: Annotated[dict[Annotated[str, AfterValidator(_check_name)], InputPath], NOT_IN_DIGEST] = Field(
        default_factory=dict
    )
    """Further rasters for the steps of `[[prepare]]`, by name. Formulas use the names."""
