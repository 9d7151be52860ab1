"""Read the CRS in the grid mapping of a NetCDF variable, for projections that GDAL does not read.

The conventions are those of CF (https://cfconventions.org/cf-conventions/cf-conventions.html#appendix-grid-mappings).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyproj

from regionplot.inputs.netcdf import Variable

_NAME = "grid_mapping_name"
_PLAIN = "latitude_longitude"
_ROTATED = "rotated_latitude_longitude"


def missing_crs(dataset: Any, variable: Variable, variables: Sequence[Variable]) -> Any:
    """Return the CRS of a variable as a `rasterio.crs.CRS` if GDAL does not read the CRS. Otherwise, return None.

    GDAL reads no projection from some grid mappings, such as `sinusoidal`, and no rotated pole if the file does not
    state the radius of the earth. The WGS 84 ellipsoid is then used.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        The variable.
    variable : Variable
        The same variable.
    variables : sequence of Variable
        All variables of the file.
    """
    from rasterio.crs import CRS  # noqa: PLC0415 (imports GDAL)
    from rasterio.errors import CRSError  # noqa: PLC0415

    mapping = _mapping(variable, variables)
    name = "" if mapping is None else str(mapping.attributes.get(_NAME, ""))
    is_read = dataset.crs is not None and (dataset.crs.is_projected or name == _ROTATED)
    if mapping is None or is_read or name in ("", _PLAIN):
        return None
    try:
        return CRS.from_wkt(pyproj.CRS.from_cf({_NAME: name, **dict(_numbers(mapping))}).to_wkt())
    except (pyproj.exceptions.CRSError, CRSError, KeyError, ValueError, TypeError):
        return None


def _mapping(variable: Variable, variables: Sequence[Variable]) -> Variable | None:
    """Return the variable that describes the projection. The mapping can be named as `crs` or as `crs: x y`."""
    words = variable.words("grid_mapping")
    name = words[0].rstrip(":") if words else ""
    found = [other for other in variables if name in (other.name, other.path)]
    return max(found, key=lambda other: variable.group.startswith(other.group), default=None)


def _numbers(mapping: Variable) -> Iterator[tuple[str, Any]]:
    """Yield the attributes that are finite numbers. Texts are left out, because they can name files."""
    for key, value in mapping.attributes.items():
        numbers = np.asarray(value)
        if numbers.dtype.kind in "iuf" and numbers.size and np.isfinite(numbers).all():
            yield key, numbers.tolist()
