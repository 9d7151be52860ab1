"""Choose the variable of a NetCDF or HDF5 file that is drawn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from regionplot.errors import RasterError
from regionplot.inputs.geolocation import kind_of
from regionplot.inputs.netcdf import Variable

_BOUNDS_NAME = re.compile(r".*_(bnds|bounds|vertices|corners)", re.I)
_BOUNDS_DIMENSION = re.compile(r"n?(bnds?|bounds|v|vertex|vertices|corners?|nbounds)", re.I)


def choose_variable(path: Path, variables: Sequence[Variable], wanted: str | None) -> Variable:
    """Return the variable to draw.

    Parameters
    ----------
    path : Path
        The file.
    variables : sequence of Variable
        All variables of the file.
    wanted : str, optional
        Name of the variable, or its path, such as `/product/no2`. By default, the only grid of the file.

    Raises
    ------
    RasterError
        If there is no such variable, if several variables have the name, if the file has several grids and the
        settings name none of them, or if the variable has no cells.
    """
    chosen = _choose(path, variables, wanted)
    empty = [dimension.name for dimension in chosen.dimensions if dimension.size == 0]
    if empty:
        raise RasterError(f"{path}: the variable {chosen.path} has no cells, because its dimension {empty[0]} is empty")
    return chosen


def _choose(path: Path, variables: Sequence[Variable], wanted: str | None) -> Variable:
    grids = [variable for variable in variables if variable.dtype is not None and len(variable.shape) > 1]
    fields = _without_coordinates(grids, variables)
    if wanted is not None:
        return _named(path, grids, fields, wanted)
    if len(fields) == 1:
        return fields[0]
    if not fields:
        raise RasterError(f"{path}: the file has no variable with rows and columns")
    raise RasterError(
        f"{path}: the file holds several grids; choose one with variable = NAME in [raster]: {_list(fields)}"
    )


def _named(path: Path, grids: Sequence[Variable], fields: Sequence[Variable], wanted: str) -> Variable:
    found = [variable for variable in grids if variable.path.strip("/") == wanted.strip("/")]
    found = found or [variable for variable in grids if variable.name == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        paths = ", ".join(variable.path for variable in found)
        raise RasterError(f"{path}: several variables have the name {wanted!r}; choose one by its path: {paths}")
    listed = f"; the variables are {_list(fields)}" if fields else ""
    raise RasterError(f"{path}: there is no variable {wanted!r} in the file{listed}")


def _list(fields: Sequence[Variable]) -> str:
    """Return names, separated by commas. If several variables have one name, they are listed by their paths."""
    names = [field.name for field in fields]
    return ", ".join(field.name if names.count(field.name) == 1 else field.path for field in fields)


def _without_coordinates(grids: Sequence[Variable], variables: Sequence[Variable]) -> list[Variable]:
    """Return the grids that hold neither coordinates nor bounds of coordinates. If there are none, return all grids."""
    edges = {name for variable in variables for key in ("bounds", "climatology") for name in variable.words(key)}
    fields = [
        grid
        for grid in grids
        if kind_of(grid.name, grid.attributes) is None and grid.name not in edges and not _holds_bounds(grid)
    ]
    return fields or list(grids)


def _holds_bounds(grid: Variable) -> bool:
    last = grid.dimensions[-1]
    is_edge = _BOUNDS_DIMENSION.fullmatch(last.name) is not None and last.size in (2, 4)
    return is_edge or _BOUNDS_NAME.fullmatch(grid.name) is not None
