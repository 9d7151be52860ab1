"""Check the arguments of functions over tiles and masks. A TypeError or ValueError names a wrong argument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from regionplot.blocks.arguments import is_integer
from regionplot.errors import RasterError

OVERLAPS = ("first", "last", "min", "max", "mean", "feather", "core")
"""Rules for cells of several tiles."""
BEHAVIORS = ("last", "min", "max")
"""Rules by the numbers that RSGISLib gives them, from 0."""
_COMPARING = ("min", "max")


def check_path(name: str, path: Any) -> Path:
    """Return a path. Raise TypeError for other objects."""
    if not isinstance(path, str | Path):
        raise TypeError(f"{name} must be a path, not {path!r}")
    return Path(path)


def check_tiles(tiles: Any) -> list[str | Path]:
    """Return the paths of tiles. Raise TypeError for other objects, and RasterError if there are no tiles."""
    if isinstance(tiles, str | bytes | Path | Mapping) or not isinstance(tiles, Iterable):
        raise TypeError(f"tiles must be a sequence of paths, not {tiles!r}")
    listed = list(tiles)
    for tile in listed:
        if not isinstance(tile, str | Path):
            raise TypeError(f"tiles must be a sequence of paths, but one of them is {tile!r}")
    if not listed:
        raise RasterError("no inputs: tiles is empty; give at least one tile (an iterator can be used only once)")
    return listed


def check_sides(name: str, sides: Any, least: int) -> tuple[int, int]:
    """Return a pair (rows, columns) of integers. Raise TypeError or ValueError for other values or small sides."""
    if isinstance(sides, str | bytes | Mapping) or not isinstance(sides, Iterable):
        raise TypeError(f"{name} must be two integers (rows, columns), not {sides!r}")
    listed = list(sides)
    if len(listed) != 2 or not all(map(is_integer, listed)):
        raise TypeError(f"{name} must be two integers (rows, columns), not {sides!r}")
    if min(listed) < least:
        raise ValueError(f"{name} must be two integers of at least {least}, not {sides!r}")
    return int(listed[0]), int(listed[1])


def check_overlap_cells(overlap: Any) -> int:
    """Return a number of cells. Raise TypeError or ValueError if it is not an integer of at least 0."""
    if not is_integer(overlap):
        raise TypeError(f"overlap must be a number of cells, not {overlap!r}")
    if overlap < 0:
        raise ValueError(f"overlap must not be negative, not {overlap}")
    return int(overlap)


def check_names(function: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise TypeError if a keyword argument is unknown to a function."""
    unknown = [name for name in given if name not in known]
    if unknown:
        raise TypeError(f"{function}() got an unexpected keyword argument {unknown[0]!r}")


def check_value(name: str, value: Any) -> None:
    """Raise TypeError if a value of cells is neither a number nor None."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float | complex | np.number)):
        raise TypeError(f"{name} must be a number, not {value!r}")


def merge_rule(overlap: Any, by: Any, band: Any) -> tuple[str, str, int | None]:
    """Return the rule for cells of several tiles, what it compares, and the number of the band that decides.

    Parameters
    ----------
    overlap : str or int
        Name of a rule, or its number in RSGISLib. With a number, band 1 decides for all bands by default, and the rules
        1 and 2 take whole pixels.
    by : str or None
        "band" or "pixel". By default "band", and "pixel" for the numbers 1 and 2.
    band : int or None
        Number of the band that decides for all bands.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or value, or the arguments contradict each other.
    """
    is_number = is_integer(overlap)
    if is_number and 0 <= overlap < len(BEHAVIORS):
        overlap = BEHAVIORS[overlap]
    if not isinstance(overlap, str) or overlap not in OVERLAPS:
        names = ", ".join(OVERLAPS)
        raise ValueError(f"overlap must be one of {names}, or 0, 1 or 2 as in RSGISLib, not {overlap!r}")
    by = by if by is not None else "pixel" if is_number and overlap in _COMPARING else "band"
    if by not in ("band", "pixel"):
        raise ValueError(f"by must be 'band' or 'pixel', not {by!r}")
    if by == "pixel" and overlap not in _COMPARING:
        raise ValueError(f"by='pixel' is for overlap='min' and 'max', not for {overlap!r}; leave it out")
    if band is not None and not is_integer(band):
        raise TypeError(f"band must be the number of a band, not {band!r}")
    return overlap, by, 1 if band is None and (by == "pixel" or is_number) else band
