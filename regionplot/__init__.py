"""Draw the maps of many regions from one raster, fast, in constant memory, unattended.

>>> import regionplot
>>> config = regionplot.read_config({"raster": {"path": "sample:relief"}})
>>> region = regionplot.Region("nc", regionplot.Extent(-84.5, -75.3, 33.8, 36.7), title="North Carolina")
>>> figure = regionplot.plot_region(regionplot.SharedData.load(config), region)
>>> type(figure.axes[0]).__name__
'GeoAxes'

Importing this package imports no library. Each public name is imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from regionplot._version import __version__

if TYPE_CHECKING:
    from regionplot.errors import (
        BlockError,
        ConfigError,
        ExecutorError,
        FeaturesError,
        FunctionError,
        InputError,
        LockedError,
        NoOverlapError,
        OutputError,
        RasterError,
        RegionError,
        RegionplotError,
        RegionsError,
    )
    from regionplot.executors.base import Failure, Outcome
    from regionplot.geo.extent import Extent
    from regionplot.geo.region import Region
    from regionplot.prepare.run import prepared
    from regionplot.regions.table import read_regions
    from regionplot.render.figure import plot_region
    from regionplot.render.maps import open_maps
    from regionplot.render.renderer import MapRenderer
    from regionplot.runs.jobs import Job
    from regionplot.runs.report import RunReport
    from regionplot.runs.run import render_regions
    from regionplot.settings.config import Config
    from regionplot.settings.loading import read_config
    from regionplot.shared.data import SharedData

__all__ = [
    "BlockError",
    "Config",
    "ConfigError",
    "ExecutorError",
    "Extent",
    "Failure",
    "FeaturesError",
    "FunctionError",
    "InputError",
    "Job",
    "LockedError",
    "MapRenderer",
    "NoOverlapError",
    "Outcome",
    "OutputError",
    "RasterError",
    "Region",
    "RegionError",
    "RegionplotError",
    "RegionsError",
    "RunReport",
    "SharedData",
    "__version__",
    "open_maps",
    "plot_region",
    "prepared",
    "read_config",
    "read_regions",
    "render_regions",
]

_LAZY = {
    "BlockError": "errors",
    "Config": "settings.config",
    "ConfigError": "errors",
    "ExecutorError": "errors",
    "Extent": "geo.extent",
    "Failure": "executors.base",
    "FeaturesError": "errors",
    "FunctionError": "errors",
    "InputError": "errors",
    "Job": "runs.jobs",
    "LockedError": "errors",
    "MapRenderer": "render.renderer",
    "NoOverlapError": "errors",
    "Outcome": "executors.base",
    "OutputError": "errors",
    "RasterError": "errors",
    "Region": "geo.region",
    "RegionError": "errors",
    "RegionplotError": "errors",
    "RegionsError": "errors",
    "RunReport": "runs.report",
    "SharedData": "shared.data",
    "open_maps": "render.maps",
    "plot_region": "render.figure",
    "prepared": "prepare.run",
    "read_config": "settings.loading",
    "read_regions": "regions.table",
    "render_regions": "runs.run",
}
_MODULES = ("errors", "executors", "geo", "runs")


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return all public names, including names that are not imported yet."""
    return sorted(__all__)
