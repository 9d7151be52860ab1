"""Read the name, units and time of a band from the metadata that GDAL provides.

GDAL writes the attributes of a NetCDF variable into the tags of its bands. Tags of the dataset describe the dimensions:
`time#units` is the attribute `units` of the variable `time`. The tag `NETCDF_DIM_time` of a band holds its coordinate
along the dimension `time` (https://gdal.org/en/stable/drivers/raster/netcdf.html).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from regionplot.inputs.times import decode_time, parse_time
from regionplot.text import plain_text

logger = logging.getLogger(__name__)

Tags = Mapping[str, str]
_DIMENSION = "NETCDF_DIM_"
_GLOBAL = "NC_GLOBAL#"
"""Prefix of the global attributes of a NetCDF file."""
_TIME_AXES = ("time", "valid_time")
"""Names of dimensions that hold the time of a band, in lower case."""
_VERTICAL_AXES = ("lev", "level", "plev", "pressure_level", "isobaric", "depth", "height", "altitude", "zlev", "z")
"""Names of vertical dimensions, in lower case."""
_VERTICAL_WORDS = ("pressure", "height", "altitude", "depth", "model_level", "_sigma_")
"""Words in the standard names of vertical coordinates."""
_MAX_SOURCE = 80
"""Maximum length of the name of a source."""
_LEVEL_TAG = "LEVEL"
_WRF_MINUTES = "XTIME"
"""Coordinate of WRF output: minutes since the start of the run."""
_WRF_START = "SIMULATION_START_DATE"
"""Global attribute of WRF output: the start of the run."""
_REFERENCE_TIME = "REF_TIME"
_TIME_TAGS = ("VALID_TIME", "TIFFTAG_DATETIME", "REF_TIME")


def band_tags(dataset: Any, band: int, path: Path) -> dict[str, str]:
    """Return the tags of a dataset together with the tags of one of its bands.

    If the dataset is the whole file, the prefix `NC_GLOBAL#` is removed from the names of global attributes.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        The file, or a subdataset of it.
    band : int
        Number of the band, from 1.
    path : Path
        The file.
    """
    tags = dict(dataset.tags())
    if dataset.name == str(path):
        tags = {key.removeprefix(_GLOBAL): text for key, text in tags.items()}
    tags.update(dataset.tags(band))
    return tags


def describe_band(dataset: Any, band: int, path: Path, valid_time: datetime | None = None) -> Mapping[str, object]:
    """Return the fields of a band that titles and labels can use. See `RasterInfo.description`.

    Parameters
    ----------
    dataset, band, path
        As for `band_tags`.
    valid_time : datetime, optional
        Time of the data, if the file states none.
    """
    tags = band_tags(dataset, band, path)
    variable = tags.get("NETCDF_VARNAME") or tags.get("GRIB_ELEMENT") or ""
    units = dataset.units[band - 1] or tags.get("units") or tags.get("GRIB_UNIT") or ""
    name = tags.get("GRIB_COMMENT") or dataset.descriptions[band - 1] or tags.get("long_name") or variable or path.stem
    if " " not in name:  # in some files, the long name is only the variable's name
        name = tags.get("description", name)
    text = {
        "raster": path.stem,
        "variable": variable,
        "long_name": name.partition(" [")[0],
        "units": units.strip("[]"),
    }
    description: dict[str, object] = {key: plain_text(value) for key, value in text.items()}
    time = _time(dataset, band, tags, path) or valid_time
    reference = (
        _grib_time(tags.get("GRIB_REF_TIME", "")) or parse_time(tags.get(_REFERENCE_TIME, "")) or _wrf_start(tags)
    )
    known = {"level": plain_text(_level(dataset, band, tags)), "time": time, "reference_time": reference}
    known["source"] = plain_text(_source(tags), _MAX_SOURCE)
    return with_lead_time({**description, **{key: value for key, value in known.items() if value}})


def band_time(dataset: Any, band: int, path: Path) -> datetime | None:
    """Return the time of a band in UTC, or None if it is unknown.

    Parameters
    ----------
    dataset, band, path
        As for `band_tags`.
    """
    return _time(dataset, band, band_tags(dataset, band, path), path)


def with_lead_time(description: Mapping[str, object]) -> Mapping[str, object]:
    """Return a description with `lead`: the hours from the reference time to the time, if both are known.

    Examples
    --------
    >>> run, valid = datetime(2026, 3, 10, 0, tzinfo=UTC), datetime(2026, 3, 10, 6, tzinfo=UTC)
    >>> with_lead_time({"time": valid, "reference_time": run})["lead"]
    6
    """
    time, start = description.get("time"), description.get("reference_time")
    if not (isinstance(time, datetime) and isinstance(start, datetime)):
        return description
    hours = (time - start).total_seconds() / 3600
    return {**description, "lead": int(hours) if hours.is_integer() else hours}


def _source(tags: Tags) -> str:
    """Return the producer of the data: the center of a GRIB file, or the attribute `institution` of a NetCDF file."""
    center = re.search(r"\bCENTER=\d+\(([^)]*)\)", tags.get("GRIB_IDS", ""))
    return center[1].removeprefix("US-") if center else _global(tags, "institution")


def _global(tags: Tags, name: str) -> str:
    """Return a global attribute of a NetCDF file, or an empty text if there is none."""
    return tags.get(name, tags.get(_GLOBAL + name, ""))


def _wrf_start(tags: Tags) -> datetime | None:
    """Return the start of the run of WRF that wrote a variable. Return None for other variables."""
    is_wrf = _WRF_MINUTES in tags.get("coordinates", "").split()
    return parse_time(_global(tags, _WRF_START)) if is_wrf else None


def _time(dataset: Any, band: int, tags: Tags, path: Path) -> datetime | None:
    """Return the time of a band in UTC, or None if it is unknown."""
    if (time := _grib_time(tags.get("GRIB_VALID_TIME", ""))) is not None:
        return time
    times = [_axis_time(axis, value, tags, path) for axis, value in _time_axes(dataset, band, tags)]
    stated = (parse_time(tags[tag]) for tag in _TIME_TAGS if tag in tags)
    return next((time for time in chain(times, stated) if time is not None), None)


def _grib_time(text: str) -> datetime | None:
    """Parse a text that contains a time in seconds since 1970. Return None if it contains no such time."""
    try:
        return datetime.fromtimestamp(int(text.partition(" ")[0]), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _level(dataset: Any, band: int, tags: Tags) -> str:
    """Return the level of a band, such as `500 hPa`, or an empty text if it is unknown."""
    if "GRIB_SHORT_NAME" in tags:
        return _grib_level(dataset.descriptions[band - 1] or "", tags["GRIB_SHORT_NAME"])
    for key, value in sorted(dataset.tags(band).items()):
        axis = key.removeprefix(_DIMENSION)
        if _is_position(key) and _is_vertical(axis, tags):
            return f"{value} {tags.get(f'{axis}#units', '')}".strip()
    return tags.get(_LEVEL_TAG, "")


def _grib_level(description: str, short_name: str) -> str:
    """Return the level of a message of a GRIB file.

    GDAL describes a level as `500[hPa] ISBL (Isobaric surface)` or `0[-] SFC="Ground or water surface"`.
    """
    found = re.match(r"(?P<value>[^\[]+)\[(?P<unit>[^]]*)\]\s*[A-Z0-9]*(=\"(?P<name>[^\"]*)\")?", description)
    if found is None:
        return short_name
    if found["unit"] not in ("", "-"):
        return f"{found['value']} {found['unit']}"
    return (found["name"] or "") if found["value"].strip() in ("0", "1") and found["name"] else short_name


def _is_vertical(axis: str, tags: Tags) -> bool:
    """Return True if a dimension is vertical, by the attributes of its variable or by its name."""
    standard = tags.get(f"{axis}#standard_name", "").lower()
    is_marked = tags.get(f"{axis}#axis", "").upper() == "Z" or f"{axis}#positive" in tags
    return is_marked or axis.lower() in _VERTICAL_AXES or any(word in standard for word in _VERTICAL_WORDS)


def _time_axes(dataset: Any, band: int, tags: Tags) -> Iterator[tuple[str, str]]:
    """Yield the name of each time dimension, and the band's coordinate along the dimension."""
    positions = {key.removeprefix(_DIMENSION): value for key, value in dataset.tags(band).items() if _is_position(key)}
    if not positions:  # a copy of a NetCDF file in another format
        axis = tags.get(f"{_DIMENSION}EXTRA", "").strip("{}")
        values = tags.get(f"{_DIMENSION}{axis}_VALUES", "").strip("{}").split(",")
        positions = {axis: values[band - 1]} if len(values) == dataset.count and values[0] else {}
    dated = {name for name in positions if _has_start(name, tags) and not _is_start(name, tags)}
    for name in sorted(positions, key=lambda name: (name.lower() not in _TIME_AXES, name.lower())):
        if name.lower() in _TIME_AXES or name in dated:
            yield name, positions[name]


def _has_start(axis: str, tags: Tags) -> bool:
    """Return True if the units of an axis state the start from which its values count."""
    return " since " in tags.get(f"{axis}#units", "").lower()


def _is_start(axis: str, tags: Tags) -> bool:
    """Return True for an axis of forecast reference times, which are not the times of the values."""
    is_named = tags.get(f"{axis}#standard_name") == "forecast_reference_time"
    return is_named or re.match(r"(forecast_)?(ref|init|run|start|analysis)", axis, re.I) is not None


def _is_position(key: str) -> bool:
    is_table = key.endswith(("_DEF", "_VALUES")) or key == f"{_DIMENSION}EXTRA"
    return key.startswith(_DIMENSION) and not is_table


def _axis_time(axis: str, value: str, tags: Tags, path: Path) -> datetime | None:
    """Return the time at a coordinate of an axis, or None if it is unknown.

    The coordinate of an axis without start time can be a text. If the coordinate cannot be decoded, or if the axis
    holds times of a climatology, log a warning.
    """
    if axis.lower() in _TIME_AXES and (start := _wrf_start(tags)) is not None:
        tags = {f"{axis}#units": f"minutes since {start:%Y-%m-%d %H:%M:%S}", **tags}
    units, calendar = tags.get(f"{axis}#units", ""), tags.get(f"{axis}#calendar", "standard")
    if not _has_start(axis, tags) and (time := parse_time(value)) is not None:
        return time
    try:
        if tags.get(f"{axis}#climatology"):
            raise ValueError("its values are means over several years (a climatology)")
        return decode_time(value, units, calendar)
    except ValueError as error:
        if units:
            logger.warning("%s: the time is unknown: the axis %s has the units %r: %s", path, axis, units, error)
        return None
