"""Read the features of a vector file as the rows of a table: their attributes and geometries.

The file is read in a child process, like the file of a vector layer (`inputs.isolation`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely

from regionplot.errors import FeaturesError
from regionplot.geo.areas import project_polygons
from regionplot.geo.bounds import on_earth
from regionplot.geo.crs import same_crs
from regionplot.geo.extent import LONLAT, Extent
from regionplot.geo.linework import Geometries, project_points
from regionplot.geo.project import project_extent
from regionplot.geo.upright import upright
from regionplot.inputs.feature_table import FeatureTable
from regionplot.inputs.isolation import start_reading
from regionplot.inputs.surfaces import parse_geometries
from regionplot.inputs.vector_files import CRS_CURE, VectorFile
from regionplot.settings.vector import VectorSettings

_CRS_CURE = "convert the file, and state its CRS: ogr2ogr -a_srs EPSG:... new.gpkg FILE"
"""Cure of a file whose CRS cannot be used, if its features are regions."""


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
    settings = VectorSettings(path=path, layer=layer or None, where=where)
    arrays = start_reading(lambda: _read(settings).to_arrays(), path, FeaturesError)()
    return FeatureTable.from_arrays(arrays)


def read_projected_table(settings: VectorSettings, crs: pyproj.CRS) -> FeatureTable:
    """Read features, and project their points and polygons into the CRS of the maps. See `start_table`.

    Raises
    ------
    FeaturesError
        If the file cannot be read, it states no CRS, or the condition is not valid.
    """
    file = VectorFile.opened(settings)
    columns, rows, wkb = _rows(file)
    turned = upright(file.crs)
    found = parse_geometries(wkb)
    geometries = shapely.transform(found, turned.points) if not turned.change.is_identity else found
    projected = [_projected(each, turned.crs, crs) for each in geometries]
    return FeatureTable(columns, rows, np.array([*projected, None], dtype=object)[:-1], "")


def _projected(geometry: Any, source: pyproj.CRS, crs: pyproj.CRS) -> Any:
    """Return a point, or the polygons of an area, in the CRS of the maps. Return None if there is nothing to show."""
    if geometry is None or geometry.is_empty or not on_earth(np.array([geometry]), source)[0]:
        return None
    if geometry.geom_type in ("Point", "MultiPoint"):
        points = project_points(shapely.get_parts([geometry])[:1], source, crs)
        return points[0] if points.size else None
    if geometry.geom_type in ("Polygon", "MultiPolygon"):
        areas = project_polygons(np.array([geometry], dtype=object), source, crs)
        return shapely.multipolygons(areas) if areas.size else None
    return None


def _read(settings: VectorSettings) -> FeatureTable:
    try:
        file = VectorFile.opened(settings)
    except FeaturesError as error:
        raise FeaturesError(str(error).replace(CRS_CURE, _CRS_CURE)) from None
    columns, rows, wkb = _rows(file)
    geometries, crs = with_code(parse_geometries(wkb), file.crs)
    return FeatureTable(columns, rows, geometries, crs)


def _rows(file: VectorFile) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], Any]:
    """Return the names of the attributes, their values as text for each feature, and the geometries as WKB."""
    meta, _, wkb, values = file.raw(datetime_as_string=True)
    columns = tuple(map(str, meta["fields"]))
    texts = [[_attribute_text(value) for value in column] for column in values]
    return columns, tuple(zip(*texts, strict=True)) if texts else ((),) * len(wkb), wkb


def _attribute_text(value: object) -> str:
    """Return a value of an attribute as text. Whole numbers have no decimal point. A list has commas."""
    if isinstance(value, list | tuple | np.ndarray):
        return ", ".join(map(_attribute_text, value))
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
