"""Describe a raster file by everything that GDAL states about it, to recognize a new file of the same kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_NAMESPACES = (None, "IMAGE_STRUCTURE", "SUBDATASETS", "RPC", "GEOLOCATION", "COLOR_PROFILE")
"""Domains of tags that can change how a raster is drawn."""


def raster_profile(dataset: Any) -> str:
    """Return a text that is equal for two files if they differ only in the values of their cells.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        The open file.
    """
    return json.dumps(dict(_items(dataset)), default=str, sort_keys=True)


def _items(dataset: Any) -> Iterator[tuple[str, Any]]:
    yield "driver", dataset.driver
    yield "shape", [dataset.count, dataset.height, dataset.width]
    yield "transform", list(dataset.transform)
    yield "crs", dataset.crs.to_wkt() if dataset.crs else None
    yield "gcps", repr(dataset.gcps)
    names = ("dtypes", "nodatavals", "scales", "offsets", "units", "descriptions", "block_shapes", "colorinterp")
    yield from ((name, repr(getattr(dataset, name))) for name in names)
    yield "masks", repr(dataset.mask_flag_enums)
    yield "tags", [dataset.tags(ns=name) for name in _NAMESPACES]
    yield "band tags", [dataset.tags(band) for band in dataset.indexes]
