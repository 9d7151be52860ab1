"""Draw the maps of many regions from one raster, fast, in constant memory, unattended.

>>> import regionplot
>>> config = regionplot.read_config({"raster": {"path": "sample:relief"}})
>>> region = regionplot.Region("nc", regionplot.Extent(-84.5, -75.3, 33.8, 36.7), title="North Carolina")
>>> figure = regionplot.plot_region(regionplot.SharedData.load(config), region)
>>> type(figure.axes[0]).__name__
'GeoAxes'

Importing this package imports neither matplotlib nor cartopy; they come with the first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from regionplot.errors import (
    BlockError,
    ConfigError,
    ExecutorError,
    FeaturesError,
    InputError,
    LockedError,
    NoOverlapError,
    OutputError,
    RasterError,
    RegionError,
    RegionplotError,
    RegionsError,
)
from regionplot.models import Extent, Failure, Job, Outcome, Region

if TYPE_CHECKING:
    from regionplot.batch import render_regions
    from regionplot.config import Config, read_config
    from regionplot.drawing import plot_region
    from regionplot.preparation import prepared
    from regionplot.regions import read_regions
    from regionplot.report import RunReport
    from regionplot.shared import SharedData

__version__ = "0.1.0"

__all__ = [
    "BlockError",
    "Config",
    "ConfigError",
    "ExecutorError",
    "Extent",
    "Failure",
    "FeaturesError",
    "InputError",
    "Job",
    "LockedError",
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
    "plot_region",
    "prepared",
    "read_config",
    "read_regions",
    "render_regions",
]

_LAZY = {
    "Config": "config",
    "RunReport": "report",
    "SharedData": "shared",
    "plot_region": "drawing",
    "prepared": "preparation",
    "read_config": "config",
    "read_regions": "regions",
    "render_regions": "batch",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
