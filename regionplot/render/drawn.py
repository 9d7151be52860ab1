"""Make matplotlib and cartopy objects from shared data, for functions of the user.

`SharedData` finds these functions through `registry.DRAWING`, because the package `shared` does not import matplotlib.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from cartopy.crs import Projection
from cartopy.feature import ShapelyFeature
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, ListedColormap, Normalize
from numpy.typing import NDArray
from typing_extensions import override

from regionplot.colors.base import PaletteScale, Scale
from regionplot.colors.numbers import ColorScale
from regionplot.errors import ConfigError
from regionplot.geo.cartopy import cartopy_projection
from regionplot.geo.crs import same_crs
from regionplot.geo.extent import PanelGrid
from regionplot.geo.linework import Geometries
from regionplot.geo.project import project_extent
from regionplot.geo.region import Region
from regionplot.layers.features import FeatureSettings
from regionplot.render.figure import MapFigure, add_geo_axes
from regionplot.render.sheets import scale_for
from regionplot.shared.cut import named_features, panel_of, view_of
from regionplot.shared.data import SharedData
from regionplot.sheet.layout import POINTS_PER_INCH

if TYPE_CHECKING:
    from cartopy.mpl.geoaxes import GeoAxes


@dataclass(frozen=True)
class MapLines:
    """The lines of a vector layer on one map, with the style of the settings."""

    geometries: Geometries
    """LineStrings in the CRS of the map, clipped to the map, and simplified by less than a pixel."""
    projection: Projection
    """CRS of the geometries."""
    settings: FeatureSettings

    @property
    def collection(self) -> LineCollection:
        """A new LineCollection, for axes whose CRS is that of the map: `axes.add_collection(lines.collection)`."""
        style: dict[str, Any] = {"colors": self.settings.edgecolor, "linewidths": self.settings.linewidth}
        segments = [shapely.get_coordinates(line) for line in self.geometries]
        return LineCollection(segments, capstyle="round", joinstyle="round", **style)

    @property
    def feature(self) -> ShapelyFeature:
        """A new ShapelyFeature, for any GeoAxes: `axes.add_feature(lines.feature)`."""
        style = {"facecolor": "none", "edgecolor": self.settings.edgecolor, "linewidth": self.settings.linewidth}
        return ShapelyFeature(list(self.geometries), self.projection, **style)


def map_lines(shared: SharedData, name: str, area: Any) -> MapLines:
    """Return the lines of a vector layer in an area. See `SharedData.lines`."""
    layer = named_features(shared, name)
    panel, crs = panel_of(shared, area)
    reach = layer.settings.linewidth / 2 * shared.config.map.dpi / POINTS_PER_INCH
    if shared.plan.own_projections:
        projection = crs if isinstance(crs, Projection) else cartopy_projection(crs, panel.extent)
        return MapLines(layer.vectors.lines_in(panel, reach, crs), projection, layer.settings)
    projection = crs if isinstance(crs, Projection) and same_crs(crs, shared.crs) else shared.projection
    if projection is not crs and crs is not shared.crs:
        panel = PanelGrid(project_extent(panel.extent, crs, shared.crs), panel.width, panel.height)
    return MapLines(layer.vectors.lines_in(panel, reach), projection, layer.settings)


def map_projection(shared: SharedData) -> Projection:
    """Return the cartopy projection of the maps."""
    if isinstance(shared.crs, Projection):
        return shared.crs
    geometry = shared.info.geometry
    extent = project_extent(geometry.extent, geometry.crs, shared.crs)
    return cartopy_projection(shared.crs, extent.resized(3 * extent.width, 3 * extent.height))


def map_axes(shared: SharedData, region: Region) -> GeoAxes:
    """Return an empty GeoAxes in a new figure. See `SharedData.axes`."""
    view, settings = view_of(shared, region), shared.config.map
    figure = MapFigure(figsize=(settings.size[0] / settings.dpi, settings.size[1] / settings.dpi), dpi=settings.dpi)
    figure.set_layout_engine("none")
    FigureCanvasAgg(figure)
    axes = add_geo_axes(figure, view, shared.crs_of(region), settings.size)
    axes.spines["geo"].set_visible(True)
    axes.patch.set_facecolor(settings.background)
    return axes


def map_colors(shared: SharedData) -> tuple[Colormap, Normalize]:
    """Return the colormap and the norm of the settings.

    Raises
    ------
    ConfigError
        If the raster has true color.
    """
    scale = scale_for(shared)
    if isinstance(scale, ColorScale):
        return scale.cmap, scale.norm
    if isinstance(scale, PaletteScale):
        return ListedColormap(scale.palette / 255), CodeNorm(scale)
    raise ConfigError("the raster is drawn in true color, so it has no colormap and no norm; choose a band in [raster]")


class CodeNorm(Normalize):
    """Norm that turns the values of classes into rows of a `ListedColormap`.

    Parameters
    ----------
    scale : PaletteScale
        The color scale.
    """

    def __init__(self, scale: Scale) -> None:
        super().__init__(0, scale.nodata)
        self._scale = scale

    @override
    def __call__(self, value: Any, clip: bool | None = None) -> Any:
        values = np.ma.filled(np.ma.asarray(value).astype(float), np.nan)
        codes: NDArray[Any] = self._scale.codes(np.atleast_2d(values)).reshape(values.shape)
        return np.ma.asarray(codes.astype(int))
