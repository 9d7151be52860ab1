"""Read samples of the stored cells of a source, to check its metadata."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from regionplot.geo.grid import Window
from regionplot.inputs.axes_source import AxesSource, OrderedSource
from regionplot.inputs.curvilinear import CurvilinearSource
from regionplot.inputs.reading import FileSource

_SIDE = 512
"""Maximum number of rows and columns of a sample."""
Cells = FileSource | AxesSource | OrderedSource
"""Sources of the file's own cells."""
Source = Cells | CurvilinearSource
"""Sources of raster files."""


def with_changes(source: Source, **changes: Any) -> Source:
    """Return a source with changed metadata.

    Parameters
    ----------
    source : FileSource, CurvilinearSource, AxesSource or OrderedSource
        The source.
    **changes
        Fields of `RasterInfo`.
    """
    if isinstance(source, CurvilinearSource):
        return source.with_cells(with_changes(_cells_of(source), **changes))
    return replace(source, info=replace(source.info, **changes))


def samples_of(source: Source) -> Iterator[NDArray[Any]]:
    """Yield stored cells from the middle of a source, then cells from all its parts.

    Raises
    ------
    RasterError
        If the cells cannot be read.
    """
    cells = _cells_of(source)
    given = cells.info.dtype if isinstance(cells, FileSource) else cells.stored
    stored = with_changes(cells, mask_and_scale=False, dtype=cells.info.stored or given)
    geometry = stored.describe().geometry
    height, width = geometry.height, geometry.width
    rows, columns = min(height, _SIDE), min(width, _SIDE)
    yield stored.read(Window((height - rows) // 2, (width - columns) // 2, rows, columns), (rows, columns))
    if (rows, columns) != (height, width):
        yield stored.read(geometry.full_window, (rows, columns))


def _cells_of(source: Source) -> Cells:
    """Return the source of the file's own cells."""
    if not isinstance(source, CurvilinearSource):
        return source
    assert isinstance(source.cells, FileSource | OrderedSource), "the cells of a curvilinear grid come from a file"
    return source.cells
