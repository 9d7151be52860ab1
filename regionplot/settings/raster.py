"""The `[raster]` section."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from regionplot import sample
from regionplot.settings.base import MISSING_FILE, NOT_IN_DIGEST, InputPath, Section, Text, find_input
from regionplot.settings.field import FieldSettings
from regionplot.settings.patterns import Pattern, Series
from regionplot.settings.remote_path import RemotePath, is_address, is_remote
from regionplot.settings.selection import TimeItem, parse_choice
from regionplot.settings.stac import StacError, with_file
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
    if is_address(str(value)) and not os.path.exists(value):  # noqa: PTH110 (an existing path is taken literally)
        return _remote(value, is_allowed=info.data.get("allow_remote") is True)
    if not str(value) or path_hint(str(value)):
        return find_input(value)
    if Series.is_named_by(str(value)):
        Series(str(value)).check()
        return Path(value)
    pattern = Pattern(str(value), info.data.get("cycle", 1), allows_vrt=info.data.get("allow_vrt") is True)
    path = pattern.find()  # `find` also checks the pattern
    if (info.context or {}).get(RASTER_PATH) is RasterPath.PATTERN:
        return Path(value)
    if path is None:
        raise PydanticCustomError(MISSING_FILE, "{problem}", {"problem": one_line(pattern.not_found_message)})
    return path


def _remote(value: str | Path, *, is_allowed: bool) -> Path:
    """Return the path of a remote raster, if the settings allow it."""
    path = value if isinstance(value, RemotePath) else RemotePath.of(str(value))
    facts = {"path": one_line(str(path)), "hint": path_hint(str(value))}
    if not is_allowed:
        hint = "{hint}, or allow remote rasters: --allow-remote, or allow_remote = true in [raster]"
        raise PydanticCustomError(MISSING_FILE, f"there is no file {{path}}; {hint}", facts)
    if any(character in str(path) for character in "{*["):
        raise PydanticCustomError(
            "remote_pattern", "{path}: addresses cannot have times or wildcards; give the address of one object", facts
        )
    return path


def _check_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]\w*", text, re.ASCII):
        raise ValueError("a name must begin with a letter and contain only letters, digits and _")
    return text


def _in_utc(time: datetime | None) -> datetime | None:
    """Return a time in UTC. A time without an offset is in UTC."""
    return None if time is None else time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)


class RasterSettings(Section):
    """The raster that the maps show."""

    cycle: Annotated[int, Field(ge=1, le=24), NOT_IN_DIGEST] = 1
    """Hours between two model runs, for `{run:%Y%m%d%H}` in `path`."""
    allow_remote: Annotated[bool, NOT_IN_DIGEST] = False
    """Allow `path` to be an address: `s3://`, `gs://`, `az://`, `https://` or `http://`, or GDAL's name of it, such as
    `/vsis3/bucket/snow.tif`."""
    allow_vrt: Annotated[bool, NOT_IN_DIGEST] = False
    """Allow `path` to be a VRT whose sources are GeoTIFF files in its folder or below."""
    allow_references: Annotated[bool, NOT_IN_DIGEST] = False
    """Allow `path` to be kerchunk references. They name files in their folder or below, or remote objects if
    `allow_remote` is true."""
    path: Annotated[Path, BeforeValidator(resolve_path), NOT_IN_DIGEST]
    """Raster file: GeoTIFF, COG, NetCDF, GRIB2 and others. May contain `{run:%Y%m%d%H}` and wildcards. A
    path with `{time:%Y%m%d%H}` names a series of files, one for each time."""
    asset: Annotated[Text | None, NOT_IN_DIGEST] = None
    """Key of the raster in a STAC item, if `path` is that of an item. Default: the only raster, or the only raster with
    the role `data`."""
    settle: Annotated[float, Field(ge=0, le=86_400), NOT_IN_DIGEST] = 2.0
    """Seconds without a change after which a file counts as complete."""
    band: int | Text | None = None
    """Number of the band from 1, or its name: the description, or the element or short name in a GRIB file. Default:
    the first band, or all bands if they are red, green and blue."""
    variable: Text | None = None
    """Variable to read from a NetCDF or HDF5 file with several variables: its name, or its path such as
    `/product/no2`."""
    time: Annotated[
        TimeItem | Annotated[tuple[TimeItem, ...], Field(strict=False)] | None,
        BeforeValidator(parse_choice),
        NOT_IN_DIGEST,
    ] = None
    """Times to draw, from the time axis of the file or from a series of files: `all`, `latest`, a number from 0, a
    slice such as `0:8`, a time such as `2026-03-10T06:00`, or a list."""
    valid_time: Annotated[datetime | None, Field(strict=False), AfterValidator(_in_utc), NOT_IN_DIGEST] = None
    """Time of the data, such as `2026-03-10T06:00`, if the raster states none. Default: the time of the STAC item."""
    level: Annotated[float | Text | None, NOT_IN_DIGEST] = None
    """Level of the band, such as `500 hPa` or 500."""
    levels: Annotated[
        Literal["all"] | Annotated[tuple[float | Text, ...], Field(strict=False, min_length=1, max_length=200)] | None,
        NOT_IN_DIGEST,
    ] = None
    """Levels that the map service offers: `all`, or a list such as `["850 hPa", "500 hPa"]`. The default level is
    `level`, or the first of them. A run ignores this setting."""
    member: Annotated[Annotated[int, Field(ge=0)] | Literal["mean", "spread"] | None, NOT_IN_DIGEST] = None
    """Ensemble member: its number in the file. `mean` and `spread` are the mean and the standard deviation of all
    members."""
    mask_and_scale: bool = True
    """Treat nodata values as missing, and apply scale and offset."""
    resampling: Literal["nearest", "bilinear", "cubic", "average", "mode", "max"] = "nearest"
    """Resampling method from cells to pixels."""
    crs: Text | None = None
    """CRS of the file. By default, the CRS that the file states."""
    minus: FieldSettings | None = None
    """Raster to subtract, such as `{ path = "analysis.tif" }`. Keys that are not given are those of this table."""
    max_cells: Annotated[int, Field(ge=1, le=2**62), NOT_IN_DIGEST] = 10_000_000_000
    """Maximum number of cells. Larger grids are rejected before any cell is read."""

    @model_validator(mode="after")
    def _find_asset(self, info: ValidationInfo) -> Self:
        """Replace the path of a STAC item by that of its raster, if settings are read and the path is resolved now."""
        if (info.context or {}).get(RASTER_PATH) is not RasterPath.EXISTING_FILE:
            return self
        try:
            found = with_file(self, self.path)
        except StacError as error:
            raise PydanticCustomError(MISSING_FILE, "{problem}", {"problem": one_line(str(error))}) from None
        self.__dict__.update({name: getattr(found, name) for name in ("path", "asset", "valid_time")})
        return self

    @property
    def selects_band(self) -> bool:
        """True if the level, the ensemble member or the time selects among the bands of the file."""
        return (self.level, self.member, self.time) != (None, None, None)

    @property
    def is_series(self) -> bool:
        """True if the raster stands for several files or times, from which a run chooses at its start."""
        return self.time is not None or Series.is_named_by(str(self.path))

    @property
    def pattern(self) -> Pattern:
        """Pattern that finds the raster file. For a series of files, the pattern matches all of them.

        The pattern has times and wildcards only if the settings come from `read_config_before_arrival`.
        """
        text = str(self.path)
        if is_remote(self.path):
            return Pattern(text, remote=self.path)
        wildcards = Series(text).wildcards if Series.is_named_by(text) else text
        return Pattern(wildcards, self.cycle, allows_vrt=self.allow_vrt)

    prepared: Annotated[Annotated[Path, Field(strict=False)] | None, NOT_IN_DIGEST] = None
    """File for the result of the steps of `[[prepare]]`. Default: a file in the user's cache folder."""
    inputs: Annotated[dict[Annotated[str, AfterValidator(_check_name)], InputPath], NOT_IN_DIGEST] = Field(
        default_factory=dict
    )
    """Further rasters for the steps of `[[prepare]]`, by name. Formulas use the names."""
