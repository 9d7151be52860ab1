"""Features of a vector file with their attributes: as a table, and projected for labels and symbols."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyproj
import shapely

from regionplot.errors import FeaturesError
from regionplot.geo.linework import Geometries
from regionplot.inputs.isolation import Arrays, start_reading
from regionplot.inputs.remote_vectors import with_local_file
from regionplot.inputs.vector_layers import layer_key
from regionplot.inputs.vector_sources import check_parts
from regionplot.settings.vector import VectorSettings
from regionplot.system.cache import digest
from regionplot.system.cache_turn import Cache


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
    """Code of the CRS, such as `EPSG:4326`. Empty if the geometries are in the CRS of the maps."""

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


def start_table(
    settings: VectorSettings, crs: pyproj.CRS, cache: Cache | None
) -> tuple[str, Callable[[], FeatureTable]]:
    """Start to read features and to project them into the CRS of the maps, if possible in a child process.

    Points and polygons are projected. Other geometries, and features that the maps cannot show, are None.

    Parameters
    ----------
    settings : VectorSettings
        Path, layer, CRS and condition.
    crs : pyproj.CRS
        CRS of the maps.
    cache : Cache, optional
        Cache of projected features.

    Returns
    -------
    key : str
        Digest of everything that the features depend on.
    finish : callable
        Function that waits until the file is read, and returns the features.

    Raises
    ------
    FeaturesError
        If the file cannot be opened, or a part of it is missing. `finish` raises it if the file cannot be read.
    """
    settings = with_local_file(settings)
    check_parts(settings.path)
    key = digest(["table", layer_key(settings, crs, records=cache is not None)], [])
    cached = cache.read(key) if cache else None
    if cached is not None:
        return key, lambda: FeatureTable.from_arrays(cached)
    from regionplot.inputs.vector_table import read_projected_table  # noqa: PLC0415 (imports pyogrio and pandas)

    reading = start_reading(lambda: read_projected_table(settings, crs).to_arrays(), settings.path, FeaturesError)

    def finish() -> FeatureTable:
        arrays = reading()
        if cache:
            cache.write(key, arrays)
        return FeatureTable.from_arrays(arrays)

    return key, finish
