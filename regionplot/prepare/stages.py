"""One pass over blocks: the operations, the output profile and the copy of inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from regionplot.blocks.grid import BlockGrid
from regionplot.blocks.new_raster import create_raster
from regionplot.blocks.values import BandReader, Storage
from regionplot.geo.grid import GridGeometry, Window
from regionplot.inputs.curvilinear import resample_bands
from regionplot.inputs.gdal import gdal_errors, gdal_options, opened
from regionplot.inputs.source import RasterInfo
from regionplot.prepare.chain import Chain
from regionplot.prepare.steps.accumulate import Accumulation
from regionplot.prepare.steps.warp import Warp

DEFAULT_BLOCK = 512


@dataclass(frozen=True)
class Stage:
    """One pass over blocks."""

    function: Chain | Warp | Accumulation
    inputs: tuple[Path, ...]
    output: Path
    grid: BlockGrid | None = None
    """The target's, where it is not that of the first input."""


def profile_of(stage: Stage) -> dict[str, Any]:
    """Of a stage's output, as `process_blocks` takes it."""
    function = stage.function
    geometry = function.target if isinstance(function, Warp) else _first(function).geometry
    storage = function.storage
    floats = np.dtype(storage.dtype).kind == "f"
    return {
        "height": geometry.height,
        "width": geometry.width,
        "transform": geometry.affine,
        "crs": geometry.crs.to_wkt(),
        "count": function.count,
        "dtype": storage.dtype,
        "nodata": storage.nodata,
        "tiled": True,
        "blockxsize": DEFAULT_BLOCK,
        "blockysize": DEFAULT_BLOCK,
        "compress": "deflate",
        "zlevel": 1,  # half the time of the usual level, for two percent more bytes
        "predictor": 3 if floats else 2,
        "scales": (storage.scale,) * function.count,
        "offsets": (storage.offset,) * function.count,
    }


def _first(function: Chain | Warp | Accumulation) -> BandReader:
    return function.sources[0] if isinstance(function, Accumulation) else function.source


def count_values(path: Path, source: BandReader, geometry: GridGeometry, count: int) -> BandReader:
    """A source for a file of values that a stage will have written."""
    first = source.bands[0]
    info = RasterInfo(
        path, str(path), None, 1, geometry, source.dtype, np.nan, 1.0, 0.0, has_mask=False, mask_and_scale=True,
        description=first.description,
    )  # fmt: skip
    return BandReader(tuple(replace(info, band=band) for band in range(1, count + 1)))


def copy_input(source: BandReader, path: Path) -> None:
    """A variable of a file that holds several, as a file of values."""
    geometry, storage = source.geometry, Storage(source.dtype.name)
    profile = {
        "driver": "GTiff", "height": geometry.height, "width": geometry.width, "count": len(source.bands),
        "dtype": storage.dtype, "nodata": storage.nodata, "crs": geometry.crs.to_wkt(), "transform": geometry.affine,
    }  # fmt: skip
    with gdal_options(), gdal_errors(source.path, "cannot be read as a raster"), create_raster(path, profile) as target:
        if source.curvilinear:
            for number, values in enumerate(resample_bands(source.curvilinear), 1):
                target.write(storage.encode(values), number)
        else:
            _copy_cells(source, storage, target)


def _copy_cells(source: BandReader, storage: Storage, target: Any) -> None:
    geometry, first = source.geometry, source.bands[0]
    with opened(first.path, first.gdal_name) as dataset:
        for row in range(0, geometry.height, DEFAULT_BLOCK):
            window = Window(row, 0, min(DEFAULT_BLOCK, geometry.height - row), geometry.width)
            values = source.read(dataset, window)
            target.write(storage.encode(values), window=((row, row + window.height), (0, window.width)))
