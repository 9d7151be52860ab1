"""Collect facts about a raster or vector file as plain values, which `regionplot info` prints as text or as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyproj

from regionplot.colors.suggest import SuggestedColors, sample_statistics, suggest_colors
from regionplot.errors import FeaturesError, RasterError, RegionError, RegionplotError
from regionplot.geo.bounds import within_world
from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.extent import LONLAT, Extent
from regionplot.geo.grid import GridGeometry
from regionplot.geo.project import project_extent
from regionplot.geo.statistics import Statistics
from regionplot.inputs.describe import open_source
from regionplot.inputs.overview import sample_raster
from regionplot.inputs.survey import Quantity, survey_raster
from regionplot.inputs.vector_sources import VectorSource, vector_source
from regionplot.inputs.vector_survey import survey_vector
from regionplot.settings.raster import RasterSettings

Facts = Mapping[str, Any]
"""Values that JSON can hold: `kind` is `raster` or `vector`, and further keys depend on it."""
_MAX_SAMPLED = 12
"""Maximum number of quantities of which cells are read."""
_POLE = 90.0
"""Latitude of the North Pole, in degrees."""
_TABLES = (".csv", ".tsv", ".txt")


def file_facts(path: Path, crs: str | None = None) -> Facts:
    """Return facts about a raster or vector file.

    Parameters
    ----------
    path : Path
        The file.
    crs : str, optional
        CRS of a raster that states none.

    Raises
    ------
    RasterError
        If the file cannot be read as a raster, or is neither a raster nor a vector file.
    FeaturesError
        If the file cannot be read as a vector file.
    """
    found = _vector_source(path)
    if found is not None:
        return {"kind": "vector", "path": str(path), **_json_values(asdict(survey_vector(path)), "path")}
    settings = RasterSettings(path=path, crs=crs)
    try:
        survey = survey_raster(settings)
    except RasterError as error:
        raise RasterError(f"{error}{_hint(path)}") from None
    quantities = [
        _quantity(each, settings.model_copy(update=each.selection), number < _MAX_SAMPLED)
        for number, each in enumerate(survey.quantities)
    ]
    facts = {"kind": "raster", "path": str(path), "format": survey.format, "size": survey.size}
    return {**facts, "omitted": survey.omitted, "quantities": quantities}


def _vector_source(path: Path) -> VectorSource | None:
    """Return the source of a vector file, or None if the file has another format.

    Raises
    ------
    FeaturesError
        If the file has a vector format, but cannot be used.
    """
    try:
        return vector_source(path)
    except FeaturesError as error:
        is_other_format = "its format is not one of" in str(error) or path.suffix.lower() in _TABLES
        if is_other_format or not path.is_file() or "XML" in str(error) or "empty" in str(error):
            return None
        raise


def _hint(path: Path) -> str:
    """Return the cure for a file that is neither a raster nor a vector file."""
    if path.suffix.lower() in _TABLES:
        return f"; if it is a table of regions, use `regionplot check {path.name}`"
    return ""


def _json_values(values: Mapping[str, Any], *omitted: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in omitted}


def _quantity(found: Quantity, settings: RasterSettings, is_sampled: bool) -> dict[str, Any]:
    """Return facts about a quantity."""
    facts: dict[str, Any] = {
        "name": found.name,
        "select": dict(found.selection),
        "bands": len(found.bands),
        "levels": list(found.levels),
        "members": list(found.members),
        "times": [f"{time:%Y-%m-%dT%H:%M:%SZ}" for time in found.times],
        "overviews": list(found.overviews),
        "problem": found.problem,
    }
    if found.info is None:
        return facts
    info = found.info
    facts |= {key: str(info.description.get(key, "")) for key in ("long_name", "units")}
    facts |= {
        "standard_name": info.standard_name,
        "type": str(info.stored or found.dtype or info.dtype),
        "nodata": _number(info.nodata),
        "scale": info.scale,
        "offset": info.offset,
        "has_mask": info.has_mask,
        "is_rgb": info.rgb is not None,
        "classes": {str(value): name for value, name in info.class_names.items()} if info.color_table else None,
        "grid": {**grid_facts(info.geometry), "curvilinear": found.curvilinear},
    }
    statistics, problem = _sample(settings) if is_sampled and not facts["is_rgb"] else (None, "")
    facts["problem"] = facts["problem"] or problem
    if statistics is not None and statistics.count:
        facts["sample"] = {key: _number(getattr(statistics, key)) for key in ("min", "max", "mean", "valid")}
    with suppress(RegionplotError):
        facts["colors"] = asdict(_colors(found, settings, statistics))
    return facts


def _colors(found: Quantity, settings: RasterSettings, statistics: Statistics | None) -> SuggestedColors:
    assert found.info is not None, "the quantity can be drawn"
    return suggest_colors(found.info, settings, statistics)


def _sample(settings: RasterSettings) -> tuple[Statistics | None, str]:
    """Return statistics of a sample of the cells, and the reason if the cells cannot be read."""
    try:
        return sample_statistics(sample_raster(open_source(settings))), ""
    except RasterError as error:
        return None, str(error)


def _number(value: float | None) -> float | str | None:
    """Return a number that JSON can hold."""
    if value is None or math.isfinite(value):
        return value
    return str(value)


def grid_facts(geometry: GridGeometry) -> dict[str, Any]:
    """Return the size, the CRS, the extent and the cells of a grid."""
    crs, extent = geometry.crs, geometry.extent
    authority = crs.to_authority(min_confidence=100)
    transform = geometry.transform
    found: dict[str, Any] = {
        "width": geometry.width,
        "height": geometry.height,
        "crs": ":".join(authority) if authority else _crs_name(geometry),
        "unit": "degree" if crs.is_geographic else crs.axis_info[0].unit_name if crs.axis_info else "",
        "cell_width": math.hypot(transform.a, transform.d),
        "cell_height": math.hypot(transform.b, transform.e),
        "extent": {key: getattr(extent, key) for key in ("xmin", "xmax", "ymin", "ymax")},
        "degrees": None,
    }
    with suppress(RegionError):
        degrees = _degrees(extent, crs)
        keys = {"west": degrees.xmin, "east": degrees.xmax, "south": degrees.ymin, "north": degrees.ymax}
        found["degrees"] = keys
    return found


def _degrees(extent: Extent, crs: pyproj.CRS) -> Extent:
    """Return an extent in degrees. If it contains a pole, the result reaches around the earth."""
    found = within_world(project_extent(extent, crs, parse_crs(LONLAT)))
    for pole in () if crs.is_geographic else (-_POLE, _POLE):
        x, y = transformer(parse_crs(LONLAT), crs).transform(0.0, pole)
        if extent.xmin < x < extent.xmax and extent.ymin < y < extent.ymax and found.width > _POLE:
            south, north = min(found.ymin, pole), max(found.ymax, pole)
            found = Extent(-2 * _POLE, 2 * _POLE, south, north)
    return found


def _crs_name(geometry: GridGeometry) -> str:
    """Return the name of a CRS without a code: its projection, if the CRS has no name of its own."""
    crs = geometry.crs
    has_name = crs.name.lower() not in ("unnamed", "unknown") and "imported from GRIB" not in crs.name
    if has_name or crs.coordinate_operation is None:
        return crs.name if has_name else "longitude and latitude"
    return str(crs.coordinate_operation.method_name)
