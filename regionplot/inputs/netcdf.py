"""Read the structure and the axes of NetCDF and HDF5 files with the netCDF4 library.

GDAL reads the cells. GDAL does not report the order of the dimensions or the coordinates of rows and columns, and it
finds axes only in the group of the variable. The library netCDF4 is imported only for NetCDF and HDF5 files.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.errors import RasterError
from regionplot.inputs.hdf5_errors import silence_hdf5
from regionplot.system.guard import reading

_lock = threading.Lock()
"""Lock for the NetCDF library, which is not thread-safe."""
_MAX_AXIS = 2**24
"""Maximum number of values of an axis."""
_NAMELESS = "phony_dim_"
"""Prefix of the names that the library gives to unnamed dimensions in HDF5 files."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """A dimension of a variable."""

    group: str
    """Path of the group that defines the dimension."""
    name: str
    size: int

    @property
    def is_named(self) -> bool:
        """False if the file does not name the dimension.

        Two variables that share such a dimension only share its size.
        """
        return not self.name.startswith(_NAMELESS)


@dataclass(frozen=True, eq=False)
class Variable:
    """A variable of a NetCDF or HDF5 file."""

    path: str
    """Path in the file, such as `/product/no2`. It starts with a slash."""
    dimensions: tuple[Dimension, ...]
    dtype: np.dtype[Any] | None
    """Type of the stored numbers. None if they are not numbers."""
    attributes: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name without the path of the group."""
        return self.path.rpartition("/")[2]

    @property
    def group(self) -> str:
        """Path of the group, such as `/product`. The root group is `/`."""
        return self.path.rpartition("/")[0] or "/"

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return tuple(dimension.size for dimension in self.dimensions)

    def number(self, attribute: str, default: float) -> float:
        """Return an attribute that is a number. If the attribute is missing or is not a number, return the default."""
        try:
            return float(np.ravel(self.attributes.get(attribute, default))[0])
        except (ValueError, TypeError, IndexError):
            return default

    def words(self, attribute: str) -> list[str]:
        """Return the words of an attribute that names variables, such as `coordinates`."""
        return str(self.attributes.get(attribute, "")).split()


@contextmanager
def opened_netcdf(path: Path) -> Iterator[Any]:
    """Open a file with netCDF4, and close it when the context exits. Values are read as they are stored.

    Yields
    ------
    netCDF4.Dataset

    Raises
    ------
    RasterError
        If the file cannot be read.
    """
    import netCDF4  # noqa: PLC0415 (only NetCDF and HDF5 files need it)

    silence_hdf5()
    with _lock, reading(path), _netcdf_errors(path), netCDF4.Dataset(path.absolute(), "r") as dataset:
        dataset.set_auto_maskandscale(False)
        yield dataset


@contextmanager
def _netcdf_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, ValueError, IndexError, KeyError, AttributeError, TypeError) as error:
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise RasterError(f"{path}: cannot be read as NetCDF: {text.splitlines()[0]}") from error


def list_variables(path: Path) -> tuple[Variable, ...]:
    """Return all variables of a file, in all groups.

    Raises
    ------
    RasterError
        If the file cannot be read.
    """
    with opened_netcdf(path) as dataset:
        return tuple(_variables(dataset))


def _variables(group: Any) -> Iterator[Variable]:
    for name, variable in group.variables.items():
        dimensions = tuple(Dimension(d.group().path, d.name, d.size) for d in variable.get_dims())
        dtype = variable.datatype if isinstance(variable.datatype, np.dtype) else None
        dtype = dtype if dtype is not None and dtype.kind in "iuf" else None
        attributes = {key: variable.getncattr(key) for key in variable.ncattrs()}
        yield Variable(f"{group.path.rstrip('/')}/{name}", dimensions, dtype, attributes)
    for inner in group.groups.values():
        yield from _variables(inner)


def read_stored(path: Path, variable: str, index: tuple[Any, ...]) -> NDArray[Any]:
    """Read a part of a variable as it is stored.

    Parameters
    ----------
    path : Path
        The file.
    variable : str
        Path of the variable in the file.
    index : tuple of slice or int
        Part to read, one entry for each dimension.

    Raises
    ------
    RasterError
        If the variable cannot be read.
    """
    with opened_netcdf(path) as dataset:
        return np.asarray(dataset[variable][index])


def read_text(path: Path, variable: str) -> str:
    """Read a text variable.

    Raises
    ------
    RasterError
        If the variable cannot be read.
    """
    with opened_netcdf(path) as dataset:
        content = np.asarray(dataset[variable][...]).ravel().tolist()
    parts = (part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part) for part in content)
    return "".join(parts).rstrip("\0")


def read_values(path: Path, variable: Variable) -> NDArray[Any]:
    """Read all values of a small variable in floating point, with scale and offset applied, NaN if missing.

    Returns
    -------
    ndarray
        float32 if the file stores float32 without scale and offset, otherwise float64.

    Raises
    ------
    RasterError
        If the variable cannot be read, or has too many values.
    """
    if np.prod(variable.shape, dtype=float) > _MAX_AXIS:
        raise RasterError(f"{path}: {variable.path} has too many values for an axis")
    stored = read_stored(path, variable.path, (slice(None),) * len(variable.shape))
    if str(variable.attributes.get("_Unsigned", "")).lower() == "true" and stored.dtype.kind == "i":
        stored = stored.view(f"u{stored.itemsize}")
    scale, offset = variable.number("scale_factor", 1.0), variable.number("add_offset", 0.0)
    is_plain = stored.dtype == np.float32 and (scale, offset) == (1.0, 0.0)
    with np.errstate(all="ignore"):  # damaged values
        values: NDArray[Any] = stored.astype(np.float32 if is_plain else np.float64)
    values[_missing(stored, variable)] = np.nan
    if (scale, offset) != (1.0, 0.0):
        values *= scale
        values += offset
    return values


def _missing(stored: NDArray[Any], variable: Variable) -> NDArray[np.bool_]:
    """Return True for values that equal `_FillValue`, `missing_value` or the default fill value of the library."""
    import netCDF4  # noqa: PLC0415 (only NetCDF and HDF5 files need it)

    fills = [variable.number(key, np.nan) for key in ("_FillValue", "missing_value")]
    if stored.dtype.kind == "f" and np.isnan(fills[0]):
        fills[0] = float(netCDF4.default_fillvals[f"f{stored.itemsize}"])
    with np.errstate(all="ignore"):
        return np.isin(stored.astype(np.float64), fills)
