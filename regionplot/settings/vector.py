"""Settings of vector files."""

from __future__ import annotations

from typing import Annotated

from regionplot.settings.base import NOT_IN_DIGEST, InputPath, LayerSettings, Text


class VectorSettings(LayerSettings):
    """A vector file, and the layer to read from it. Subclasses add the style."""

    path: Annotated[InputPath, NOT_IN_DIGEST]
    """Shapefile (zipped or not), GeoPackage, GeoJSON or FlatGeobuf."""
    layer: Text | None = None
    """Layer to read from a file with several layers. Default: the first layer."""
    crs: Text | None = None
    """CRS of the file. By default, the CRS that the file states."""
    where: Text = ""
    """Condition that selects features, in the SQL of GDAL, such as `scalerank <= 6`. Empty: all features."""

    @property
    def has_areas(self) -> bool:
        """True if polygons are loaded as areas, in addition to their borders."""
        return True
