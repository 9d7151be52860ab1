"""Check the arguments of runs over blocks, and take windows in the forms of other packages.

A wrong argument is a TypeError or a ValueError that names the argument, its value and the accepted forms.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any

import numpy as np

from regionplot.blocks.coverage import Coverage
from regionplot.blocks.grid import Block, BlockGrid
from regionplot.executors.base import WorkerSettings
from regionplot.geo.grid import Window

GRID_FORMS = (
    "a BlockGrid, two numbers (rows, columns) of a block, or windows: objects with row_off, col_off, height and width, "
    "pairs of ranges ((row, end), (column, end)), or pairs of a window and its index"
)
_LIMITS = {"timeout": 0, "retries": 0, "jobs_per_worker": 1, "memory": 1, "nice": 0}
"""Least value of each limit of workers."""
_FIELDS = ("row_off", "col_off", "height", "width")


def is_integer(value: Any) -> bool:
    """Return True for an integer of Python or NumPy. A bool is not an integer."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_workers(workers: Any) -> None:
    """Raise TypeError or ValueError if a number of workers is neither "auto" nor a positive integer."""
    if isinstance(workers, str) and workers == "auto":
        return
    if not is_integer(workers):
        kind = ValueError if isinstance(workers, str) else TypeError
        raise kind(f'workers must be "auto" or a positive integer, not {workers!r}')
    if workers < 1:
        raise ValueError(f'workers must be "auto" or a positive integer, not {workers}')


def check_executor(executor: Any) -> None:
    """Raise TypeError if an executor cannot be a name, an address or a client of a dask cluster."""
    if isinstance(executor, str):
        return
    if not (hasattr(executor, "scheduler_info") and hasattr(executor, "submit")):
        raise TypeError(
            f"executor must be a name such as 'auto' or 'fork', or the address or client of a dask cluster, "
            f"not {executor!r}"
        )


def check_bands(bands: Any) -> tuple[int, ...] | None:
    """Return the numbers of bands as a tuple, or None. Raise TypeError or ValueError for other forms."""
    if bands is None:
        return None
    if isinstance(bands, str | bytes | set | frozenset | Mapping) or not isinstance(bands, Iterable):
        raise TypeError(f"bands must be a sequence of band numbers, such as [1, 2], not {bands!r}")
    listed = list(bands)
    if not all(map(is_integer, listed)):
        raise TypeError(f"bands must be a sequence of band numbers, such as [1, 2], not {bands!r}")
    if not listed:
        raise ValueError("bands is empty; give at least one band number, or None for all bands")
    return tuple(map(int, listed))


def check_kwargs(kwargs: Any, arguments: Any) -> None:
    """Raise TypeError or ValueError if keyword arguments are not a mapping of names, or would replace `arguments`."""
    if kwargs is None:
        return
    if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
        raise TypeError(f"kwargs must be a mapping of names and values, not {kwargs!r}")
    if arguments is not None:
        raise ValueError("arguments and kwargs are both given; with kwargs, the function gets only kwargs")


def check_profile(profile: Any) -> None:
    """Raise TypeError or ValueError if a profile is not a mapping of names, or has a wrong key or count."""
    if profile is None:
        return
    if not isinstance(profile, Mapping) or not all(isinstance(name, str) for name in profile):
        raise TypeError(f'profile must be a mapping such as {{"dtype": "float32", "nodata": -9999}}, not {profile!r}')
    unused = [name for name in profile if name.lower() in ("mode", "fp", "sharing", "thread_safe", "opener")]
    if unused:
        raise ValueError(f"profile has the key {unused[0]!r}, which is not a property of a raster; leave it out")
    nodata = profile.get("nodata")
    if nodata is not None and (isinstance(nodata, bool) or not isinstance(nodata, int | float | np.number)):
        raise TypeError(f"nodata in profile must be a number or None, not {nodata!r}")
    beside = [name for name in profile if name.lower() in ("tfw", "worldfile", "rpb", "rpctxt")]
    if beside:
        raise ValueError(f"profile has the key {beside[0]!r}, which would write a second file; leave it out")
    _check_transform(profile.get("transform"))
    for name in {"count", "height", "width"} & profile.keys():
        value = profile[name]
        if not is_integer(value) or value < 1:
            kind = ValueError if is_integer(value) else TypeError
            raise kind(f"the {name} in profile must be a positive integer, not {value!r}")


def _check_transform(transform: Any) -> None:
    """Raise TypeError if a transform in a profile is neither None nor six numbers, as an `affine.Affine` is."""
    try:
        is_valid = transform is None or (len(transform) in (6, 9) and all(map(math.isfinite, transform)))
    except TypeError:
        is_valid = False
    if not is_valid:
        raise TypeError(f"transform in profile must be an affine.Affine, not {transform!r}")


def check_limits(worker_settings: Any, observer: Any) -> None:
    """Raise TypeError or ValueError if the limits of workers or the observer have another type or value."""
    if not isinstance(worker_settings, WorkerSettings):
        raise TypeError(
            f"worker_settings must be WorkerSettings, such as WorkerSettings(timeout=60), not {worker_settings!r}"
        )
    for name, least in _LIMITS.items():
        value = getattr(worker_settings, name)
        is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not (is_number and value >= least) and (name, value) != ("memory", None):
            raise ValueError(f"{name} in worker_settings must be a number of at least {least}, not {value!r}")
    if observer is not None and not all(callable(getattr(observer, name, None)) for name in ("started", "finished")):
        raise TypeError(f"observer must be a BlockObserver, with the methods started and finished, not {observer!r}")


def halo_of(function: object, halo: Any) -> int:
    """Return the width of the halo: the argument, or the halo that the function declares.

    Raises
    ------
    TypeError, ValueError
        If the halo is not an integer of at least 0, or smaller than the halo that the function declares.
    """
    declared = getattr(function, "halo", 0)
    for width in (halo, declared):
        if not is_integer(width):
            raise TypeError(f"halo must be a number of cells, not {width!r}")
        if width < 0:
            raise ValueError(f"halo must not be negative, not {width}")
    if 0 < halo < declared:
        raise ValueError(f"halo is {halo}, but the function declares a halo of {declared}; leave the argument out")
    return int(halo or declared)


def check_array(dtype: Any, count: Any, fill: Any) -> None:
    """Raise TypeError or ValueError if an array cannot have a data type, a number of bands, or a value."""
    try:
        np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype must be a data type such as 'float32', not {dtype!r}") from None
    if count is not None and (not is_integer(count) or count < 1):
        kind = ValueError if is_integer(count) else TypeError
        raise kind(f"count must be a positive integer, or None for an array without bands, not {count!r}")
    try:
        held = np.full(1, fill, dtype)
    except (OverflowError, TypeError, ValueError):
        raise ValueError(f"fill must be a value of {np.dtype(dtype)}, not {fill!r}") from None
    if np.dtype(dtype).kind in "iu" and held[0] != fill:
        raise ValueError(f"fill must be a value of {np.dtype(dtype)}, not {fill!r}")


def check_grid_shape(grid: Any, shape: tuple[int, int], name: str) -> None:
    """Raise ValueError if a BlockGrid does not have the rows and columns of the raster or output called `name`."""
    if isinstance(grid, BlockGrid) and (grid.height, grid.width) != shape:
        given = (grid.height, grid.width)
        raise ValueError(f"the grid has {given} rows and columns, but the {name} has {shape}")


def check_grid_halo(grid: Any, halo: int, width: int) -> int:
    """Return the width of the halo of a run: the largest of `width` and the halo of a BlockGrid.

    Parameters
    ----------
    grid : object
        The grid as given by the user.
    halo : int
        The argument `halo` as given by the user.
    width : int
        The argument, or the halo that the function declares.

    Raises
    ------
    ValueError
        If the argument and the halo of a BlockGrid differ.
    """
    own = grid.halo if isinstance(grid, BlockGrid) else 0
    if halo and own and halo != own:
        raise ValueError(f"halo is {halo}, but the grid has a halo of {own}; leave one of them out")
    return max(width, own)


def grid_of_views(views: Any, grid: Any) -> list[Window] | Iterator[Window]:
    """Return the windows of views (x, y, width, height) of riogrande. For an iterator, return an iterator.

    Raises
    ------
    TypeError, ValueError
        If there is a grid, too, or the views have another form.
    """
    if grid is not None:
        raise ValueError("grid and views are both given; leave one of them out")
    if isinstance(views, str | bytes | dict) or not isinstance(views, Iterable):
        raise TypeError(f"views must be tuples (x, y, width, height) of integers, not {views!r}")
    first = list(islice(views, 1)) if isinstance(views, Iterator) else list(views)
    if not first:
        raise ValueError("views is empty; an iterator of views can be used only once")
    windows = [_window_of_view(view) for view in first]
    return chain(windows, map(_window_of_view, views)) if isinstance(views, Iterator) else windows


def _window_of_view(view: Any) -> Window:
    if not isinstance(view, tuple | list | np.ndarray) or len(view) != 4 or not all(map(is_integer, view)):
        raise TypeError(f"views must be tuples (x, y, width, height) of integers, but one of them is {view!r}")
    x, y, width, height = map(int, view)
    return Window(y, x, height, width)


def blocks_of(grid: Any, default: BlockGrid, halo: int, shape: tuple[int, int]) -> BlockGrid | list[Block]:
    """Return the blocks of a grid in any accepted form, with the reference of the default grid.

    Parameters
    ----------
    grid : BlockGrid, pair of int, iterable of windows, or None
        The grid as given by the user. None is `default`.
    default : BlockGrid
        Blocks of the first input.
    halo : int
        Width in cells of the border to read around each block.
    shape : (int, int)
        Rows and columns that windows must not exceed.

    Raises
    ------
    TypeError, ValueError
        If the grid has another form, is empty, or has windows that overlap or exceed the shape.
    """
    if grid is None:
        return replace(default, halo=halo)
    if isinstance(grid, BlockGrid):
        return replace(grid, halo=halo, reference=grid.reference or default.reference)
    if isinstance(grid, str | bytes | dict) or not isinstance(grid, Iterable):
        raise TypeError(f"grid must be {GRID_FORMS}, not {grid!r}")
    entries = list(grid)
    if len(entries) == 2 and all(map(is_integer, entries)):
        if isinstance(grid, set | frozenset):
            raise TypeError(f"grid must be {GRID_FORMS}, not {grid!r}, because a set has no order")
        if min(entries) < 1:
            raise ValueError(f"grid is {grid!r}, but a block needs at least one row and one column")
        return BlockGrid(*shape, int(entries[0]), int(entries[1]), halo, reference=default.reference)
    if not entries:
        raise ValueError("grid has no windows; an iterator of windows can be used only once")
    windows = [window_of(entry) for entry in entries]
    check_windows(windows, *shape)
    whole = BlockGrid(*shape, *shape, halo, reference=default.reference)
    return [whole.block(window) for window in windows]


def window_of(entry: Any) -> Window:
    """Return a window of this package, of rasterio, or of a pair of a window and its index, as a `Window`.

    Raises
    ------
    TypeError, ValueError
        If the entry has another form, or its fields are not whole numbers.
    """
    if isinstance(entry, Window):
        return entry
    if isinstance(entry, Block):
        if entry.core != entry.padded:
            raise ValueError(f"grid has a block with a halo: {entry!r}; pass its core, and set halo")
        return entry.core
    if _is_ranges(entry):
        return _window_of_ranges(entry)
    parts = entry if isinstance(entry, tuple | list) and len(entry) == 2 else [entry]
    found = [part for part in parts if _is_ranges(part) or all(hasattr(part, name) for name in _FIELDS)]
    if len(found) != 1:
        raise TypeError(f"grid must be {GRID_FORMS}, but one of its entries is {entry!r}")
    if _is_ranges(found[0]):
        return _window_of_ranges(found[0])
    values = [getattr(found[0], name) for name in _FIELDS]
    if not all(isinstance(value, numbers.Real) and math.isfinite(value) for value in values):
        raise ValueError(f"grid has a window whose offsets or sizes are not numbers: {found[0]!r}")
    if any(value != round(value) for value in values):
        raise ValueError(f"grid has a window with fractions of cells: {found[0]!r}; round it to whole cells")
    return Window(*(round(value) for value in values))


def _is_ranges(entry: Any) -> bool:
    """Return True for ((first row, end row), (first column, end column)), which rasterio takes as a window."""
    pairs = (
        isinstance(entry, tuple | list) and len(entry) == 2 and all(isinstance(pair, tuple | list) for pair in entry)
    )
    return pairs and all(len(pair) == 2 and all(map(is_integer, pair)) for pair in entry)


def _window_of_ranges(ranges: Any) -> Window:
    (top, bottom), (left, right) = ranges
    return Window(int(top), int(left), int(bottom - top), int(right - left))


def check_windows(windows: Sequence[Window], height: int, width: int) -> None:
    """Refuse windows outside of the raster, and windows that overlap, because blocks are written in any order."""
    covered = Coverage(height, width)
    for window in sorted(windows, key=lambda window: (window.row_off, window.col_off)):  # sorted, this is faster
        covered.add(window)
