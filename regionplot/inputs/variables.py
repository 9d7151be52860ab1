"""Choose the variable of a NetCDF or HDF5 file that is drawn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from regionplot.errors import RasterError
from regionplot.inputs.file_axes import find_axes, find_dimensions
from regionplot.inputs.geolocation import kind_of
from regionplot.inputs.netcdf import Variable
from regionplot.text import plain_text

_MAX_LISTED = 50
"""Maximum number of variables to list in a message."""
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
    grids = _grids(variables)
    named = [] if wanted is None else _named(grids, wanted)
    if len(named) == 1:
        return named[0]
    if named:
        raise RasterError(f"{path}: several variables have the name {wanted!r}; choose one by its path: {_list(named)}")
    fields = drawable_variables(variables)
    if wanted is not None:
        listed = f"; the variables are {_list(fields)}" if fields else ""
        raise RasterError(f"{path}: there is no variable {wanted!r} in the file{listed}")
    if len(fields) == 1:
        return fields[0]
    if not fields:
        raise RasterError(f"{path}: the file has no variable with rows and columns; choose another file")
    raise RasterError(
        f"{path}: the file holds several grids; choose one with variable = NAME in [raster]: {_list(fields)}"
    )


def _named(grids: Sequence[Variable], wanted: str) -> list[Variable]:
    """Return the grids with a path or, if there are none, the grids with a name."""
    found = [variable for variable in grids if variable.path.strip("/") == wanted.strip("/")]
    return found or [variable for variable in grids if variable.name == wanted]


def drawable_variables(variables: Sequence[Variable]) -> list[Variable]:
    """Return the variables with rows and columns that hold neither coordinates nor bounds of coordinates.

    Parameters
    ----------
    variables : sequence of Variable
        All variables of the file.
    """
    return list(_with_coordinates(_without_coordinates(_grids(variables), variables), variables))


def unique_names(fields: Sequence[Variable]) -> list[str]:
    """Return the names of variables. If several variables have one name, return their paths."""
    names = [field.name for field in fields]
    return [field.name if names.count(field.name) == 1 else field.path for field in fields]


def _grids(variables: Sequence[Variable]) -> list[Variable]:
    """Return the variables with at least two dimensions that hold numbers."""
    return [variable for variable in variables if variable.dtype is not None and len(variable.shape) > 1]


def _list(fields: Sequence[Variable]) -> str:
    """Return names, separated by commas. If several variables have one name, they are listed by their paths."""
    listed = unique_names(fields)[:_MAX_LISTED]
    more = f" and {len(fields) - _MAX_LISTED} more" if len(fields) > _MAX_LISTED else ""
    return ", ".join(plain_text(name) for name in listed) + more


def _without_coordinates(grids: Sequence[Variable], variables: Sequence[Variable]) -> list[Variable]:
    """Return the grids that hold neither coordinates nor bounds of coordinates. If there are none, return all grids."""
    edges = {name for variable in variables for key in ("bounds", "climatology") for name in variable.words(key)}
    fields = [grid for grid in grids if not _is_coordinate(grid) and grid.name not in edges and not _holds_bounds(grid)]
    return fields or list(grids)


def _with_coordinates(fields: Sequence[Variable], variables: Sequence[Variable]) -> Sequence[Variable]:
    """Return the fields that have axes or 2-D coordinates. If there are none, return all fields.

    Other fields, such as a palette, are not maps.
    """
    lines = [variable for variable in variables if len(variable.shape) == 1]
    sheets = [variable for variable in variables if len(variable.shape) > 1 and _is_coordinate(variable)]
    placed = [
        field for field in fields if find_axes(field, lines) is not None or find_dimensions(field, sheets) is not None
    ]
    return placed or fields


def _is_coordinate(variable: Variable) -> bool:
    return kind_of(variable.name, variable.attributes) is not None


def _holds_bounds(grid: Variable) -> bool:
    last = grid.dimensions[-1]
    is_edge = _BOUNDS_DIMENSION.fullmatch(last.name) is not None and last.size in (2, 4)
    return is_edge or _BOUNDS_NAME.fullmatch(grid.name) is not None
