"""Settings of the rasters that overlays draw, in addition to the raster of the map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from regionplot.settings.base import InputPath, Section, Text
from regionplot.settings.selection import TimeItem, parse_choice

if TYPE_CHECKING:
    from regionplot.settings.raster import RasterSettings


class FieldSettings(Section):
    """A band or variable: of another file, or of the raster of the map.

    Without `path`, keys that are not given have their values in `[raster]`.
    """

    path: InputPath | None = None
    """Raster file. Default: the file of `[raster]`."""
    band: Annotated[int, Field(ge=1)] | Text | None = None
    """Number or name of the band, as in `[raster]`."""
    variable: Text | None = None
    """Variable of a NetCDF or HDF5 file."""
    level: float | Text | None = None
    """Level of the band, such as `500 hPa` or 500."""
    member: Annotated[int, Field(ge=0)] | Literal["mean", "spread"] | None = None
    """Ensemble member, as in `[raster]`."""
    time: Annotated[TimeItem | None, BeforeValidator(parse_choice)] = None
    """Time: a number from 0, or a time such as `2026-03-10T06:00`. Default: the time of the map's raster, if `[raster]`
    selects times."""
    crs: Text | None = None
    """CRS of the file. By default, the CRS that the file states."""

    def of_raster(self, raster: RasterSettings) -> RasterSettings:
        """Return the settings with which to open the field.

        Parameters
        ----------
        raster : RasterSettings
            `[raster]` of the map.
        """
        from regionplot.settings.raster import RasterSettings  # noqa: PLC0415 (it has a field of this class)

        given: dict[str, Any] = {name: value for name, value in self if value is not None}
        if self.path is None:
            return raster.model_copy(update={"resampling": "bilinear", "minus": None, **given})
        kept: dict[str, Any] = {"time": raster.time, "resampling": "bilinear", "max_cells": raster.max_cells}
        return RasterSettings.model_construct(**{**kept, **given})

    @property
    def file(self) -> Path | None:
        """The file that the settings name."""
        return self.path
