"""Receive results: into a new raster file, an open dataset, or a function.

GDAL holds cells back until a file is closed, and rasterio tells nobody if that fails: on a full disk a file is cut and
no error comes. So a file is read back, and each block compared with a checksum of what was to be written, before it
takes the place of what was there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from regionplot.blocks.grid import Block
from regionplot.errors import RasterError
from regionplot.geo.grid import Window

LOSSY_OPTIONS = {"nbits", "discard_lsb", "max_z_error"}


_FULL = 2**20
"""A disk with fewer bytes left is full."""


@runtime_checkable
class Sink(Protocol):
    """Who takes the blocks."""

    @property
    def dtype(self) -> str | None:
        """Of the values it takes; None: any."""

    @property
    def count(self) -> int | None:
        """Bands it takes; None: any."""

    @property
    def file(self) -> Path | None:
        """What it has open for writing."""

    def write(self, block: Block, values: NDArray[Any], checksum: int | None) -> None:
        """Take a block's values; they are good until this returns."""


@dataclass
class FunctionSink:
    """A function of the block and its values, which it may keep."""

    function: Callable[[Block, NDArray[Any]], object]
    dtype: str | None = None
    count: int | None = None
    file: Path | None = None

    def write(self, block: Block, values: NDArray[Any], checksum: int | None) -> None:  # noqa: ARG002
        """See `Sink`."""
        self.function(block, values if values.flags.owndata else values.copy())


@dataclass
class DatasetSink:
    """An open rasterio dataset."""

    dataset: Any
    name: str
    """What to call it in messages."""
    written: list[tuple[Window, int | None]] = field(default_factory=list)

    @property
    def dtype(self) -> str | None:
        """See `Sink`."""
        return str(self.dataset.dtypes[0])

    @property
    def count(self) -> int | None:
        """See `Sink`."""
        return int(self.dataset.count)

    @property
    def file(self) -> Path | None:
        """See `Sink`."""
        return Path(self.dataset.name)

    def write(self, block: Block, values: NDArray[Any], checksum: int | None) -> None:
        """See `Sink`."""
        import rasterio  # noqa: PLC0415
        from rasterio.windows import Window as RasterioWindow  # noqa: PLC0415

        core = block.core
        area = RasterioWindow(core.column, core.row, core.width, core.height)
        try:
            self.dataset.write(values if values.ndim == 3 else values[None], window=area)
        except (rasterio.errors.RasterioError, OSError) as error:
            raise write_error(Path(self.name), error) from error
        self.written.append((core, checksum))


def write_error(path: Path, error: object) -> RasterError:
    """The error that tells why a raster is not in its place."""
    hint = ""
    with suppress(OSError):
        hint = "; the disk is full" if shutil.disk_usage(path.parent).free < _FULL else ""
    return RasterError(f"{path}: could not be written whole: {error}{hint}")
