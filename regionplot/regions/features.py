"""Read the features of a vector file as rows of a table of regions: each feature is a region."""

from __future__ import annotations

from pathlib import Path

from regionplot.errors import FeaturesError, RegionsError
from regionplot.regions.limits import Row

SUFFIXES = (".shp", ".gpkg", ".geojson", ".json", ".fgb", ".zip")
"""Suffixes of the vector files that can be a table of regions."""


def is_vector_file(path: Path) -> bool:
    """Return True if a path names an existing file with the suffix of a vector file."""
    return path.suffix.casefold() in SUFFIXES and path.is_file()


def feature_rows(path: Path, layer: str = "", where: str = "") -> tuple[list[str], list[Row]]:
    """Return the attributes of a vector file, and one row for each feature. Rows are numbered from 1.

    Parameters
    ----------
    path : Path
        Shapefile (zipped or not), GeoPackage, GeoJSON or FlatGeobuf.
    layer : str
        Layer of a GeoPackage. Empty: the first layer.
    where : str
        Condition for the features, in SQL. Empty: all features.

    Raises
    ------
    RegionsError
        If the file cannot be read, or the layer or the condition is not valid.
    """
    from regionplot.inputs.vector_table import read_features  # noqa: PLC0415 (imports pyogrio and pandas)

    try:
        table = read_features(path, layer, where)
    except FeaturesError as error:
        raise RegionsError(str(error)) from None
    rows = [
        Row(str(path), number, {**dict(zip(table.columns, cells, strict=True)), "crs": table.crs}, shape=shape)
        for number, (cells, shape) in enumerate(zip(table.rows, table.geometries, strict=True), 1)
    ]
    return list(table.columns), rows
