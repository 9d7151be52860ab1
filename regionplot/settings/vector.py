"""Settings of vector files."""

from __future__ import annotations

from typing import Annotated

from regionplot.settings.base import NOT_IN_DIGEST, InputPath, LayerSettings, Text


class VectorSettings(LayerSettings):
    """A vector file and the layer in it. Layers that draw one add their style."""

    path: Annotated[InputPath, NOT_IN_DIGEST]
    """Shapefile (zipped or not), GeoPackage, GeoJSON or FlatGeobuf."""
    layer: Text | None = None
    """Layer of a file that has several. The default is the first."""
    crs: Text | None = None
    """CRS of a file that names none."""

    @property
    def has_areas(self) -> bool:
        """True if polygons are loaded as areas, too, not only as borders."""
        return True
