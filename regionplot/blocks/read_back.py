"""Read a new raster back, and compare its cells with the checksums of the blocks that were written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path

import numpy as np

from regionplot.blocks.checksums import checksum_of
from regionplot.blocks.sinks import write_error
from regionplot.geo.dtypes import cell_dtype
from regionplot.geo.grid import Window
from regionplot.inputs.gdal import gdal_options, open_own_raster
from regionplot.system.threads import thread_pool

Blocks = Iterable[tuple[Window, int | None]]
"""Windows that were written, and the checksums of their values."""


class Comparison(Enum):
    """How cells that are read back are compared."""

    CHECKSUMS = "checksums"
    NONE = "none"
    """Cells are only decoded, because a lossy compression has changed them."""


def verify(
    path: Path, written: Path, blocks: Sequence[tuple[Window, int | None]], readers: int, comparison: Comparison
) -> None:
    """Read a raster back completely, and compare the checksums of its blocks.

    Parameters
    ----------
    path : Path
        Final path of the raster, for messages.
    written : Path
        The closed file.
    blocks : sequence of (Window, int)
        The blocks, and the checksums of their values.
    readers : int
        Number of threads.
    comparison : Comparison
        How the cells are compared.

    Raises
    ------
    RasterError
        If the raster cannot be read, or a checksum differs.
    """

    def verify_part(start: int) -> None:
        part = (blocks[number] for number in range(start, len(blocks), readers))
        _verify_blocks(path, written, part, comparison)

    with thread_pool(readers) as pool:
        for _ in pool.map(verify_part, range(readers)):
            pass


def _verify_blocks(path: Path, written: Path, blocks: Blocks, comparison: Comparison) -> None:
    import rasterio  # noqa: PLC0415

    try:
        with gdal_options(GTIFF_DIRECT_IO="YES"), open_own_raster(written) as dataset:
            memory = np.empty(0, cell_dtype(dataset.dtypes[0]))
            for window, checksum in blocks:
                shape = dataset.count, window.height, window.width
                size = math.prod(shape)
                memory = memory if memory.size >= size else np.empty(size, memory.dtype)
                values = dataset.read(window=window.ranges, out=memory[:size].reshape(shape))
                if comparison is Comparison.CHECKSUMS and checksum is not None and checksum_of(values) != checksum:
                    raise write_error(path, "the cells that were read back differ from the cells that were written")
    except (rasterio.errors.RasterioError, OSError) as error:
        raise write_error(path, error) from error
