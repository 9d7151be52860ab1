"""Keep the description of a band in records: plain values, from which the cells of the band can be read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from regionplot.inputs.packing import Packing
from regionplot.inputs.source import StoredBand
from regionplot.system.files import Fingerprint


class KnownBand(NamedTuple):
    """The band of the raster. See `inputs.source.StoredBand`."""

    path: Path
    gdal_name: str
    fingerprint: Fingerprint | None
    band: int
    dtype: np.dtype[Any]
    has_mask: bool
    mask_and_scale: bool
    stored: np.dtype[Any] | None
    packing: Packing


def band_items(band: StoredBand) -> dict[str, Any]:
    """Return a band without its fingerprint as plain values for JSON."""
    return {
        "band": [str(band.path), band.gdal_name, band.band, band.dtype.str, band.has_mask, band.mask_and_scale],
        "stored": None if band.stored is None else band.stored.str,
        "packing": [band.packing.nodata, band.packing.scale, band.packing.offset, band.packing.missing],
        "valid": band.packing.valid,
    }


def band_from(values: Mapping[str, Any]) -> KnownBand:
    """Return the band whose values `band_items` has returned."""
    path, gdal_name, number, dtype, has_mask, mask_and_scale = values["band"]
    nodata, scale, offset, missing = values["packing"]
    stored = None if values["stored"] is None else np.dtype(values["stored"])
    packing = Packing(nodata, scale, offset, tuple(missing), tuple(values["valid"]))
    return KnownBand(Path(path), gdal_name, None, number, np.dtype(dtype), has_mask, mask_and_scale, stored, packing)
