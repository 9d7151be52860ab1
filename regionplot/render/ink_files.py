"""Read the frame and the ink that `render.ink_cache` keeps on disk. This module imports neither settings nor layers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from regionplot.render.ink import Arrays, Covered, PanelInk
from regionplot.system.cache import ArrayCache, user_cache_folder
from regionplot.writers.picture import Bytes

logger = logging.getLogger(__name__)
_MAX_BYTES = 2**30
"""Maximum size of the folder: about 4000 to 10,000 maps of 1400 x 900 pixels. If the maps of a run need
more, the least recently used ink is removed before the next run can use it."""
_WRITES_PER_TRIM = 1024


def ink_folder() -> ArrayCache:
    """Return the folder of kept frames and ink.

    Raises
    ------
    FileNotFoundError
        If the user has no cache folder.
    """
    return ArrayCache(user_cache_folder() / "ink", _MAX_BYTES, _WRITES_PER_TRIM)


def read_frame(folder: ArrayCache, key: str, size: tuple[int, int], colors: int) -> Bytes | None:
    """Return a frame as rows of the palette, shape (height, width). Return None if it is not known.

    Parameters
    ----------
    folder : ArrayCache
        The folder of kept frames.
    key : str
        Key of the frame.
    size : (int, int)
        Width and height of the sheet.
    colors : int
        Number of colors of the palette.
    """
    width, height = size
    rows = (folder.read(key) or {}).get("rows")
    if rows is None or rows.dtype != np.uint8 or rows.shape != (height, width) or rows.max() >= colors:
        return None
    return rows


def read_panel_ink(folder: ArrayCache, key: str, size: int, dtype: type[np.unsignedinteger[Any]]) -> PanelInk | None:
    """Return the ink in the panel of a map. Return None if it is not known.

    Parameters
    ----------
    folder : ArrayCache
        The folder of kept ink.
    key : str
        Key of the entry.
    size : int
        Number of pixels of the panel.
    dtype : type
        Type of the values of the ink.
    """
    return _read(folder, key, lambda arrays: PanelInk.of(arrays, size, dtype))


def read_sheet_ink(folder: ArrayCache, key: str, size: int, dtype: type[np.unsignedinteger[Any]]) -> Covered | None:
    """Return the ink on the sheet of a map. Return None if it is not known.

    Parameters
    ----------
    folder, key, dtype
        As for `read_panel_ink`.
    size : int
        Number of pixels of the sheet.
    """
    return _read(folder, key, lambda arrays: Covered.of(arrays, "sheet", size, dtype))


T = TypeVar("T")


def _read(folder: ArrayCache, key: str, made_of: Callable[[Arrays], T]) -> T | None:
    arrays = folder.read(key)
    try:
        return None if arrays is None else made_of(arrays)
    except (KeyError, ValueError, IndexError) as error:
        logger.debug("%s: the ink is drawn again: %s", key, error)
        return None
