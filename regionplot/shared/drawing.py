"""Methods of shared data for functions of the user: cells, lines, axes and colors of a map."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from regionplot.registry import DRAWING

if TYPE_CHECKING:
    import xarray as xr
    from cartopy.crs import Projection
    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.image import AxesImage

    from regionplot.geo.extent import Extent
    from regionplot.geo.region import Region
    from regionplot.render.drawn import MapLines
    from regionplot.shared.data import SharedData


class DrawingTools:
    """The methods of `SharedData` for functions of the user. matplotlib is imported only when they need it."""

    def cut(self, area: Region | Extent | Axes, pixel_cells: float | None = None) -> xr.DataArray:
        """Return the cells that a map needs, as a view of the shared cells. No cell is copied.

        If the raster exceeds the memory limit, the cells are read from the file.

        Parameters
        ----------
        area : Region, Extent or Axes
            A region stands for its whole map, which can show more than the region. An extent is in map units. Axes
            stand for their limits, in their own projection.
        pixel_cells : float, optional
            Thin the cells to about this number of cells along the side of a pixel. By default, return all cells.

        Returns
        -------
        xarray.DataArray
            Dimensions (y, x), in the CRS of the raster, with a margin of some cells around the area.

        Raises
        ------
        NoOverlapError
            If the area lies outside the raster.
        RegionError
            If the region cannot be projected.
        """
        from regionplot.shared.cut import cut_raster  # noqa: PLC0415 (only functions of the user need it)

        return cut_raster(cast("SharedData", self), area, pixel_cells)

    def lines(self, name: str, area: Region | Extent | Axes) -> MapLines:
        """Return the lines of a vector layer on a map: projected, clipped, and simplified by less than a pixel.

        Parameters
        ----------
        name : str
            Name of the vector file without its suffix, or name of its layer.
        area : Region, Extent or Axes
            The map, as in `cut`.

        Returns
        -------
        MapLines
            Its properties `collection` and `feature` make a `LineCollection` and a `ShapelyFeature`.

        Raises
        ------
        ConfigError
            If there is no such layer.
        RegionError
            If the region cannot be projected.
        """
        lines: MapLines = DRAWING["lines"](self, name, area)
        return lines

    def pcolormesh(self, axes: Axes, **style: Any) -> AxesImage:
        """Draw the raster in axes. The pixels are those of `axes.pcolormesh`, but only the cells at pixels are used.

        Parameters
        ----------
        axes : Axes
            The axes. If they have a cartopy projection, the cells are projected. Other axes are in map units.
        **style
            `cmap` and `norm`, by default those of the settings, and properties of images, such as `alpha`.

        Returns
        -------
        matplotlib.image.AxesImage
            The image, which you can pass to `colorbar`.

        Raises
        ------
        ConfigError
            If the raster has true color.
        """
        image: AxesImage = DRAWING["pcolormesh"](self, axes, **style)
        return image

    def axes(self, region: Region) -> GeoAxes:
        """Return an empty GeoAxes in a new figure: it has the size, the panel and the CRS of the region's map.

        Raises
        ------
        RegionError
            If the region cannot be projected.
        """
        return DRAWING["axes"](self, region)

    @cached_property
    def projection(self) -> Projection:
        """The cartopy projection of the maps."""
        projection: Projection = DRAWING["projection"](self)
        return projection

    @cached_property
    def cmap(self) -> Colormap:
        """The colormap of the settings, for matplotlib. ConfigError if the raster has true color."""
        cmap: Colormap = DRAWING["colors"](self)[0]
        return cmap

    @cached_property
    def norm(self) -> Normalize:
        """The norm of the settings, for matplotlib. ConfigError if the raster has true color."""
        norm: Normalize = DRAWING["colors"](self)[1]
        return norm

    @cached_property
    def extra(self) -> Any:
        """The result of the function of `[map] load`. None if there is no such function.

        Each process calls the function once. Forked workers inherit the result.

        Raises
        ------
        InputError
            If the function fails.
        """
        from regionplot.shared.functions import load_extra  # noqa: PLC0415 (only runs with functions need it)

        return load_extra(cast("SharedData", self))
