"""List the contents of a vector file: its layers, their geometries and their fields.

The file is read in a child process, like the file of a vector layer (`inputs.isolation`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw

from regionplot.errors import FeaturesError, RegionError
from regionplot.geo.bounds import within_world
from regionplot.geo.crs import parse_crs
from regionplot.geo.extent import LONLAT, Extent
from regionplot.geo.project import project_extent
from regionplot.inputs.isolation import Arrays, start_reading
from regionplot.inputs.point_table import is_table
from regionplot.inputs.vector_files import VectorFile, convert_errors, list_layers
from regionplot.inputs.vector_sources import GEOPACKAGE, vector_source
from regionplot.settings.vector import VectorSettings

_MAX_COMPARED = 1_000_000
"""Maximum number of features whose values are compared."""


@dataclass(frozen=True)
class FieldSurvey:
    """A field of a layer."""

    name: str
    type: str
    """`text`, `integer`, `number`, `time` or `other`."""
    is_unique: bool
    """True if no value is missing or occurs twice, so that the field can name regions."""
    example: str
    """Value of the first feature."""


@dataclass(frozen=True)
class LayerSurvey:
    """A layer of a vector file."""

    name: str
    geometry: str
    """Type of the geometries, such as `Polygon`."""
    features: int
    crs: str
    """Code or name of the CRS. Empty if the file states no CRS."""
    extent: tuple[float, float, float, float] | None
    """Bounds in the CRS of the layer: xmin, ymin, xmax, ymax. None if the layer is empty."""
    degrees: tuple[float, float, float, float] | None
    """Bounds in degrees: west, south, east, north. None if they are unknown."""
    fields: tuple[FieldSurvey, ...]
    problem: str = ""
    """Reason why the layer cannot be drawn, and the cure. Empty if it can be drawn."""


@dataclass(frozen=True)
class VectorSurvey:
    """The contents of a vector file."""

    path: Path
    format: str
    """GDAL's name of the driver."""
    size: int
    """Size of the file in bytes."""
    layers: tuple[LayerSurvey, ...]


def survey_vector(path: Path) -> VectorSurvey:
    """Return the contents of a vector file.

    Parameters
    ----------
    path : Path
        Shapefile (zipped or not), GeoPackage, GeoJSON, FlatGeobuf, or a table of points (CSV).

    Raises
    ------
    FeaturesError
        If the file cannot be read.
    """

    def read() -> Arrays:
        source = vector_source(path)
        kind = "CSV" if is_table(path) else source.driver
        found = {"format": kind, "layers": [asdict(_layer(path, name)) for name in _names(path)]}
        return {"text": np.frombuffer(json.dumps(found).encode(), np.uint8)}

    found = json.loads(start_reading(read, path, FeaturesError)()["text"].tobytes())
    layers = tuple(
        LayerSurvey(**{**layer, "fields": tuple(FieldSurvey(**each) for each in layer["fields"])})
        for layer in found["layers"]
    )
    return VectorSurvey(path, found["format"], path.stat().st_size, layers)


def _names(path: Path) -> Sequence[str | None]:
    """Return the names of the layers with geometries. None is the only layer."""
    source = vector_source(path)
    if source.driver != GEOPACKAGE:
        return [None]
    names, _ = list_layers(VectorSettings(path=path), source)
    return names or [None]


def _layer(path: Path, name: str | None) -> LayerSurvey:
    settings = VectorSettings(path=path, layer=name)
    problem = ""
    try:
        file = VectorFile.opened(settings)
    except FeaturesError as error:  # a file without a CRS can still be listed
        problem = str(error)
        file = VectorFile.opened(settings.model_copy(update={"crs": LONLAT}))
    info: dict[str, Any] = convert_errors(
        settings,
        lambda: pyogrio.read_info(
            file.source.name, layer=file.layer, force_feature_count=True, force_total_bounds=True
        ),
    )
    extent = _extent(info["total_bounds"])
    return LayerSurvey(
        name=name or path.stem,
        geometry=str(info["geometry_type"]),
        features=int(info["features"]),
        crs="" if problem else str(info["crs"] or "")[:80],
        extent=extent,
        degrees=None if extent is None or problem else _degrees(extent, file),
        fields=_fields(file, settings, info),
        problem=problem,
    )


def _extent(bounds: Any) -> tuple[float, float, float, float] | None:
    """Return bounds, or None if they are missing or not finite."""
    if bounds is None or not np.isfinite(np.asarray(bounds, dtype=float)).all():
        return None
    xmin, ymin, xmax, ymax = map(float, bounds)
    return xmin, ymin, xmax, ymax


def _degrees(bounds: tuple[float, float, float, float], file: VectorFile) -> tuple[float, float, float, float] | None:
    xmin, ymin, xmax, ymax = bounds
    try:
        found = within_world(project_extent(Extent(xmin, xmax, ymin, ymax), file.crs, parse_crs(LONLAT)))
    except RegionError:
        return None
    return found.xmin, found.ymin, found.xmax, found.ymax


def _fields(file: VectorFile, settings: VectorSettings, info: dict[str, Any]) -> tuple[FieldSurvey, ...]:
    """Return the fields, and whether their values are unique."""
    names = [str(name) for name in info["fields"]]
    _, _, _, columns = convert_errors(
        settings,
        lambda: pyogrio.raw.read(
            file.source.name,
            layer=file.layer,
            read_geometry=False,
            datetime_as_string=True,
            max_features=min(info["features"], _MAX_COMPARED) or None,
        ),
    )
    types = map(_type, info["dtypes"])
    return tuple(_field(*each, info["features"]) for each in zip(names, types, columns, strict=True))


def _field(name: str, kind: str, column: Any, features: int) -> FieldSurvey:
    values = [str(value) for value in column if value is not None and value == value and str(value).strip()]
    is_unique = kind in ("text", "integer") and 0 < features == len(values) == len({v.casefold() for v in values})
    return FieldSurvey(name, kind, is_unique, values[0][:60] if values else "")


def _type(dtype: Any) -> str:
    kind = "M" if "datetime" in str(dtype) else np.dtype(str(dtype)).kind
    kinds = {"i": "integer", "u": "integer", "b": "integer", "f": "number", "M": "time", "O": "text", "U": "text"}
    return kinds.get(kind, "other")
