"""The `[[features]]` tables."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from regionplot.settings.base import NOT_IN_DIGEST, InputPath, LayerSettings, Text


class FeatureSettings(LayerSettings):
    """`[[features]]`: one vector layer."""

    is_array: ClassVar[bool] = True

    path: Annotated[InputPath, NOT_IN_DIGEST]
    """Shapefile (zipped or not), GeoPackage, GeoJSON or FlatGeobuf."""
    layer: Text | None = None
    crs: Text | None = None
    """CRS of a file that names none."""
    linewidth: Annotated[float, Field(ge=0, le=100)] = 0.6
    """Points."""
    edgecolor: Text = "black"
    facecolor: Text = "none"
