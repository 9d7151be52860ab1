"""Process rasters block by block, in parallel.

Importing this package imports no module. Each public name is imported on first use, because a program needs only a few
of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regionplot.blocks.grid import Block, BlockGrid
    from regionplot.blocks.input import Input
    from regionplot.blocks.masks import compute_mask
    from regionplot.blocks.mosaics import mosaic
    from regionplot.blocks.process import fill_array, process_blocks
    from regionplot.blocks.reducers import (
        Count,
        Histogram,
        Maximum,
        Mean,
        Minimum,
        Quantiles,
        Reducer,
        Sum,
        Variance,
    )
    from regionplot.blocks.report import BlockObserver, BlocksReport
    from regionplot.blocks.selectors import prepare_selector, stack_arrays, valid_selector
    from regionplot.blocks.tile import Tile
    from regionplot.blocks.tiles import map_tiles, process_tiles, split_tiles
    from regionplot.blocks.zones import ZonalStatistics, ZoneStatistics
    from regionplot.executors.base import WorkerSettings

__all__ = [
    "Block",
    "BlockGrid",
    "BlockObserver",
    "BlocksReport",
    "Count",
    "Histogram",
    "Input",
    "Maximum",
    "Mean",
    "Minimum",
    "Quantiles",
    "Reducer",
    "Sum",
    "Tile",
    "Variance",
    "WorkerSettings",
    "ZonalStatistics",
    "ZoneStatistics",
    "compute_mask",
    "fill_array",
    "map_tiles",
    "mosaic",
    "prepare_selector",
    "process_blocks",
    "process_tiles",
    "split_tiles",
    "stack_arrays",
    "valid_selector",
]

_LAZY = {
    "Block": "blocks.grid",
    "BlockGrid": "blocks.grid",
    "BlockObserver": "blocks.report",
    "BlocksReport": "blocks.report",
    "Count": "blocks.reducers",
    "Histogram": "blocks.reducers",
    "Input": "blocks.input",
    "Maximum": "blocks.reducers",
    "Mean": "blocks.reducers",
    "Minimum": "blocks.reducers",
    "Quantiles": "blocks.reducers",
    "Reducer": "blocks.reducers",
    "Sum": "blocks.reducers",
    "Tile": "blocks.tile",
    "Variance": "blocks.reducers",
    "WorkerSettings": "executors.base",
    "ZonalStatistics": "blocks.zones",
    "ZoneStatistics": "blocks.zones",
    "compute_mask": "blocks.masks",
    "fill_array": "blocks.process",
    "map_tiles": "blocks.tiles",
    "mosaic": "blocks.mosaics",
    "prepare_selector": "blocks.selectors",
    "process_blocks": "blocks.process",
    "process_tiles": "blocks.tiles",
    "split_tiles": "blocks.tiles",
    "stack_arrays": "blocks.selectors",
    "valid_selector": "blocks.selectors",
}
"""Module of each public name, relative to `regionplot`."""


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"regionplot.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return all public names, including names that are not imported yet."""
    return sorted(__all__)
