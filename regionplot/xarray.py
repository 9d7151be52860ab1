"""Draw maps from xarray: importing this module adds `.regionplot` to all DataArrays.

>>> import rioxarray, xarray
>>> import regionplot, regionplot.xarray
>>> places = {"lat": [41.0, 40.0], "lon": [-99.0, -98.0]}
>>> snow = xarray.DataArray([[1.0, 2.0], [3.0, 4.0]], places, ("lat", "lon"), "snow")
>>> figure = snow.regionplot.plot(regionplot.Region("plains", regionplot.Extent(-99.5, -97.5, 39.5, 41.5)))
>>> type(figure.axes[0]).__name__
'GeoAxes'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import xarray as xr

from regionplot.geo.region import Region
from regionplot.regions.table import read_regions
from regionplot.render.figure import plot_region
from regionplot.runs.report import RunReport
from regionplot.runs.run import render_regions
from regionplot.settings.config import Config
from regionplot.shared.data import SharedData

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Regions: TypeAlias = "Sequence[Region] | str | Path | pd.DataFrame"
Settings = Config | Mapping[str, Any] | None


@xr.register_dataarray_accessor("regionplot")  # type: ignore[no-untyped-call]
class RegionplotAccessor:
    """Methods that draw the cells of a DataArray.

    Parameters
    ----------
    data : xarray.DataArray
        The array, as for `SharedData.from_arrays`.
    """

    def __init__(self, data: xr.DataArray) -> None:
        self._data = data

    def shared(self, features: Any = None, config: Settings = None) -> SharedData:
        """Return the array and vector layers as shared data. See `SharedData.from_arrays`."""
        return SharedData.from_arrays(self._data, features, config)

    def plot(self, region: Region | pd.DataFrame, features: Any = None, config: Settings = None) -> Figure:
        """Draw one region as a matplotlib figure.

        Parameters
        ----------
        region : Region or DataFrame
            The region, or a table with one row, such as `counties.loc[["Denver"]]`.
        features, config
            As for `SharedData.from_arrays`.

        Raises
        ------
        RegionError
            If the region cannot be drawn.
        InputError, ConfigError
            As for `SharedData.from_arrays`.
        """
        found = region if isinstance(region, Region) else read_regions(region)[0]
        return plot_region(self.shared(features, config), found)

    def render(self, regions: Regions, features: Any = None, config: Settings = None, **options: Any) -> RunReport:
        """Draw the maps of all regions into the output folder of the settings.

        Parameters
        ----------
        regions : sequence of Region, path, or DataFrame
            As for `render_regions`.
        features, config
            As for `SharedData.from_arrays`.
        **options
            Further arguments of `render_regions`, such as `draw`.

        Raises
        ------
        RegionplotError
            As for `render_regions` and `SharedData.from_arrays`.
        """
        return render_regions(regions, self.shared(features, config), **options)
