"""Read the features of a vector file as the rows of a table: their attributes and geometries.

The file is read in a child process, like the file of a vector layer (`inputs.isolation`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pyproj
import shapely

from regionplot.errors import FeaturesError
from regionplot.geo.crs import same_crs
from regionplot.geo.extent import LONLAT, Extent
from regionplot.geo.linework import Geometries
from regionplot.geo.project import project_extent
from regionplot.geo.upright import upright
from regionplot.inputs.isolation import Arrays, start_reading
from regionplot.inputs.surfaces import parse_geometries
from regionplot.inputs.vector_files import CRS_CURE, VectorFile, convert_errors
from regionplot.settings.vector import VectorSettings

_CRS_CURE = "convert the file, and state its CRS: ogr2ogr -a_srs EPSG:... new.gpkg FILE"
"""Cure of a file whose CRS cannot be used, if its features are regions."""


@dataclass(frozen=True)
class FeatureTable:
    """The features of a vector file."""

    columns: tuple[str, ...]
    """Names of the attributes."""
    rows: tuple[tuple[str, ...], ...]
    """Values of the attributes of each feature, as text. A missing value is an empty text."""
    geometries: Geometries
    """Geometry of each feature, in the CRS `crs`. None if the feature has no usable geometry."""
    crs: str
    """Code of the CRS, such as `EPSG:4326`."""

    def to_arrays(self) -> Arrays:
        """Return the table as arrays that another process can receive."""
        wkb = [b"" if each is None else shapely.to_wkb(each) for each in self.geometries]
        text = json.dumps([self.columns, self.rows, self.crs]).encode()
        return {
            "text": np.frombuffer(text, np.uint8),
            "sizes": np.array([len(each) for each in wkb], np.int64),
            "wkb": np.frombuffer(b"".join(wkb), np.uint8),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> FeatureTable:
        """Return the table that `to_arrays` has converted."""
        columns, rows, crs = json.loads(arrays["text"].tobytes())
        ends = np.cumsum(arrays["sizes"])
        content = arrays["wkb"].tobytes()
        wkb = [content[end - size : end] or None for size, end in zip(arrays["sizes"], ends, strict=True)]
        return cls(tuple(columns), tuple(map(tuple, rows)), np.asarray(shapely.from_wkb(wkb), dtype=object), crs)


def read_features(path: Path, layer: str = "", where: str = "") -> FeatureTable:
    """Read the attributes and geometries of the features of a vector file.

    The geometries are in the CRS of the file if this CRS has a code. Otherwise, each geometry is replaced by its
    bounding box in degrees.

    Parameters
    ----------
    path : Path
        Shapefile (zipped or not), GeoPackage, GeoJSON or FlatGeobuf.
    layer : str
        Layer to read from a GeoPackage. Empty: the first layer.
    where : str
        Condition in the SQL of GDAL (https://gdal.org/user/ogr_sql_dialect.html#where). Empty: all features.

    Raises
    ------
    FeaturesError
        If the file cannot be read, it states no CRS, or the condition is not valid.
    """
    settings = VectorSettings(path=path, layer=layer or None)
    arrays = start_reading(lambda: _read(settings, where).to_arrays(), path, FeaturesError)()
    return FeatureTable.from_arrays(arrays)


def _read(settings: VectorSettings, where: str) -> FeatureTable:
    try:
        file = VectorFile.opened(settings)
    except FeaturesError as error:
        raise FeaturesError(str(error).replace(CRS_CURE, _CRS_CURE)) from None

    def read() -> Any:
        return pyogrio.raw.read(
            file.source.name, layer=file.layer, where=where or None, force_2d=True, datetime_as_string=True
        )

    try:
        meta, _, wkb, values = convert_errors(settings, read)
    except FeaturesError as error:
        if where:
            raise FeaturesError(f"{error}; is the condition {where!r} correct?") from None
        raise
    columns = tuple(map(str, meta["fields"]))
    texts = [[_text(value) for value in column] for column in values]
    rows = tuple(zip(*texts, strict=True)) if texts else ((),) * len(wkb)
    geometries, crs = with_code(parse_geometries(wkb), file.crs)
    return FeatureTable(columns, rows, geometries, crs)


def _text(value: object) -> str:
    """Return a value of an attribute as text. Whole numbers have no decimal point. A list has commas."""
    if isinstance(value, list | tuple | np.ndarray):
        return ", ".join(map(_text, value))
    if isinstance(value, bytes):  # a field of any content, such as an image
        return ""
    if value is None or value != value:  # NaN is not equal to itself
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def with_code(geometries: Geometries, crs: pyproj.CRS) -> tuple[Geometries, str]:
    """Return geometries in a CRS that has a code, and the code."""
    authority = crs.to_authority()
    if authority is not None and same_crs(pyproj.CRS.from_authority(*authority), crs):
        return geometries, ":".join(authority)
    turned = upright(crs)
    lonlat = pyproj.CRS.from_user_input(LONLAT)
    boxes = [_box(geometry, turned.crs, lonlat) for geometry in shapely.transform(geometries, turned.points)]
    return np.array(boxes, dtype=object), LONLAT


def _box(geometry: Any, crs: pyproj.CRS, lonlat: pyproj.CRS) -> Any:
    """Return the bounding box of a geometry in degrees, or None if there is no geometry."""
    if geometry is None or geometry.is_empty:
        return None
    xmin, ymin, xmax, ymax = geometry.bounds
    extent = project_extent(Extent(xmin, xmax, ymin, ymax), crs, lonlat)
    return shapely.box(extent.xmin, extent.ymin, extent.xmax, extent.ymax)
