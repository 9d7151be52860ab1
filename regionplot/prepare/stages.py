"""Define a pass over blocks: its function, files and output profile. Make temporary copies of inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from regionplot.blocks.grid import BlockGrid
from regionplot.blocks.new_raster import create_raster
from regionplot.blocks.values import BandReader, Storage
from regionplot.geo.grid import GridGeometry, Window
from regionplot.inputs.curvilinear import CurvilinearSource, resample_bands
from regionplot.inputs.gdal import gdal_errors, gdal_options, opened
from regionplot.inputs.source import RasterInfo, read_window
from regionplot.prepare.base import StageFunction

DEFAULT_BLOCK = 512


@dataclass(frozen=True)
class Stage:
    """One pass over blocks."""

    function: StageFunction
    inputs: tuple[Path, ...]
    output: Path
    grid: BlockGrid | None = None
    """Blocks of the result. By default, the blocks of the first input."""


def profile_of(stage: Stage) -> dict[str, Any]:
    """Return the output profile of a pass for `process_blocks`."""
    function = stage.function
    geometry = function.geometry
    storage = function.storage
    floats = np.dtype(storage.dtype).kind == "f"
    return {
        "height": geometry.height,
        "width": geometry.width,
        "transform": geometry.transform,
        "crs": geometry.crs.to_wkt(),
        "count": function.count,
        "dtype": storage.dtype,
        "nodata": storage.nodata,
        "tiled": True,
        "blockxsize": DEFAULT_BLOCK,
        "blockysize": DEFAULT_BLOCK,
        "compress": "deflate",
        "zlevel": 1,  # half the time of the default level, and 2 % more bytes
        "predictor": 3 if floats else 2,
        "scales": (storage.scale,) * function.count,
        "offsets": (storage.offset,) * function.count,
    }


def reader_of_result(path: Path, source: BandReader, geometry: GridGeometry, count: int) -> BandReader:
    """Return a reader of the file that a pass will write.

    Parameters
    ----------
    path : Path
        The file. It need not exist yet.
    source : BandReader
        Raster with the data type and the description of the result.
    geometry : GridGeometry
        Grid of the result.
    count : int
        Number of bands of the result.
    """
    first = source.bands[0]
    info = RasterInfo(
        path, str(path), None, 1, geometry, source.dtype, np.nan, 1.0, 0.0, has_mask=False, mask_and_scale=True,
        description=first.description,
    )  # fmt: skip
    descriptions = [band.description for band in source.bands] if count == len(source.bands) else [{}] * count
    return BandReader(tuple(replace(info, band=n, description=own) for n, own in enumerate(descriptions, 1)))


def extract_subdataset(source: BandReader, path: Path) -> None:
    """Copy one variable of a file to a new file, in floating point.

    Raises
    ------
    RasterError
        If the variable cannot be read.
    """
    geometry, storage = source.geometry, Storage(source.dtype.name)
    profile = {
        "driver": "GTiff", "height": geometry.height, "width": geometry.width, "count": len(source.bands),
        "dtype": storage.dtype, "nodata": storage.nodata, "crs": geometry.crs.to_wkt(), "transform": geometry.transform,
    }  # fmt: skip
    with gdal_options(), gdal_errors(source.path, "cannot be read as a raster"), create_raster(path, profile) as target:
        curvilinear = [own for own in source.sources if isinstance(own, CurvilinearSource)]
        if curvilinear:
            for number, values in enumerate(resample_bands(curvilinear), 1):
                target.write(storage.encode(values), number)
        elif source.sources:
            _copy_from_sources(source, storage, target)
        else:
            _copy_cells(source, storage, target)


def _copy_from_sources(source: BandReader, storage: Storage, target: Any) -> None:
    for number, own in enumerate(source.sources, 1):
        for window in _row_windows(source.geometry):
            values, _ = read_window(own, window)
            target.write(storage.encode(values.astype(source.dtype, copy=False)), number, window=window.ranges)


def _copy_cells(source: BandReader, storage: Storage, target: Any) -> None:
    first = source.bands[0]
    with opened(first.path, first.gdal_name) as dataset:
        for window in _row_windows(source.geometry):
            values = source.read(dataset, window)
            target.write(storage.encode(values), window=window.ranges)


def _row_windows(geometry: GridGeometry) -> Iterator[Window]:
    """Return windows of whole rows that cover a grid."""
    return (
        Window(row, 0, min(DEFAULT_BLOCK, geometry.height - row), geometry.width)
        for row in range(0, geometry.height, DEFAULT_BLOCK)
    )
