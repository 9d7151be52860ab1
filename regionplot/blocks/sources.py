"""Describe and read the input rasters of blocks. GDAL handles are never shared.

Only the thread that opened a GDAL handle may use the handle. A forked process that uses an inherited handle reads wrong
cells without an error (https://gdal.org/en/stable/user/multithreading.html). So each thread and process opens its own
handles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.arguments import check_paths
from regionplot.blocks.grid import BlockGrid, Georeference
from regionplot.errors import RasterError
from regionplot.geo.grid import GridGeometry, Window
from regionplot.inputs.gdal import gdal_options, open_raster

Inputs = Sequence[str | Path] | str | Path
"""Paths of rasters, or one path."""
_SIDE = 512
"""Minimum side of a merged block, in cells."""
_MAX_CELLS = 2**22
"""Maximum number of cells of a block."""
_MAX_VALUES = 2**24
"""Maximum number of cells of a block, times the number of bands. Blocks of `_SIDE` × `_SIDE` cells are always
allowed."""
_TILE = 256
"""Rows and columns of the tiles of an output, if the tiles of the input are not suitable."""
_MAX_TILE = 1024
"""Maximum number of rows or columns of an input tile whose size is also used for the output."""
LOSSLESS = {"deflate", "lzw", "zstd", "packbits", "lzma"}


@dataclass(frozen=True)
class Labels:
    """Labels of the bands of a raster, one entry per band, and its tags."""

    descriptions: tuple[str | None, ...]
    units: tuple[str | None, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    tags: dict[str, str] = field(default_factory=dict)
    band_tags: tuple[dict[str, str], ...] = ()
    """Tags of each band. Empty if no band has tags of its own."""


@dataclass(frozen=True)
class Sources:
    """The inputs of a run. The profile and the labels are taken from the first input."""

    paths: tuple[Path, ...]
    profile: dict[str, Any]
    """Profile of an output with the properties of the first input, as in rasterio."""
    labels: Labels
    default_grid: BlockGrid
    """Blocks of the first input, merged to a size that is efficient for one job."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the first input."""
        return self.profile["height"], self.profile["width"]

    @classmethod
    def of(cls, inputs: Inputs, bands: Sequence[int] | None = None) -> Sources:
        """Describe inputs. Their grids may differ.

        Parameters
        ----------
        inputs : sequence of path, or path
            At least one raster.
        bands : sequence of int, optional
            Numbers of the bands to read, counted from 1. By default, all bands.

        Raises
        ------
        RasterError
            If inputs cannot be opened or lack a band. All problems are reported together.
        """
        return cls._describe(inputs, bands, lambda *_: [])

    @classmethod
    def on_one_grid(cls, inputs: Inputs, bands: Sequence[int] | None = None) -> Sources:
        """Describe inputs like `of`. Raise RasterError, too, if their shapes, transforms or CRSs differ."""
        return cls._describe(inputs, bands, _differences)

    @classmethod
    def _describe(
        cls, inputs: Inputs, bands: Sequence[int] | None, compare: Callable[[Path, Any, Path, Any], list[str]]
    ) -> Sources:
        paths = check_paths(inputs)
        if not paths:
            raise RasterError("no inputs: give at least one raster")
        with gdal_options(), open_raster(paths[0]) as first:
            check_axes(paths[0], first)
            problems = _missing_bands(paths[0], first, bands)
            for path in paths[1:]:
                with open_raster(path) as other:
                    check_axes(path, other)
                    problems += _missing_bands(path, other, bands)
                    problems += compare(path, other, paths[0], first)
            if problems:
                raise RasterError(*problems)
            return cls(paths, _profile(first, bands), _labels(first, bands), _default_grid(first))


def check_axes(path: Path, dataset: Any) -> None:
    """Refuse a NetCDF file whose axes GDAL ignores, and a file with several grids. Other files need no check."""
    if dataset.count and dataset.driver != "netCDF":
        return
    from regionplot.inputs.netcdf_grid import check_read_by_gdal  # noqa: PLC0415 (imports pyproj and pydantic)

    check_read_by_gdal(path, dataset)


def _missing_bands(path: Path, dataset: Any, bands: Sequence[int] | None) -> list[str]:
    missing = [str(band) for band in bands or () if not 1 <= band <= dataset.count]
    return [f"{path}: there is no band {', '.join(missing)}; the bands are 1 to {dataset.count}"] if missing else []


def _differences(path: Path, other: Any, first_path: Path, first: Any) -> list[str]:
    """Return a message for each difference between the grid of a raster and the grid of the first raster."""
    messages = {
        "shape": f"{path}: it has {other.shape} rows and columns, but {first_path} has {first.shape}",
        "transform": f"{path}: its transform is not that of {first_path}; resample it to the same grid first",
        "crs": f"{path}: its CRS is not that of {first_path}; reproject it first",
    }
    return [messages[difference] for difference in _geometry(other).differences(_geometry(first))]


def _geometry(dataset: Any) -> GridGeometry:
    """Return the geometry of a dataset. The CRS is an object of rasterio, so use it only for comparisons."""
    return GridGeometry(dataset.transform, dataset.height, dataset.width, dataset.crs)


def _profile(dataset: Any, bands: Sequence[int] | None) -> dict[str, Any]:
    tile, first = _output_tile(dataset), (bands[0] if bands else 1) - 1
    return {
        "driver": "GTiff",
        "dtype": dataset.dtypes[first],
        "count": len(bands) if bands else dataset.count,
        "height": dataset.height,
        "width": dataset.width,
        "crs": dataset.crs,
        "transform": dataset.transform,
        "nodata": dataset.nodatavals[first],
        "tiled": True,
        "blockysize": tile[0],
        "blockxsize": tile[1],
        **_compression(dataset),
    }


def _compression(dataset: Any) -> dict[str, Any]:
    """Return the compression of a GeoTIFF, if it is lossless or none. For all other inputs, return deflate."""
    stored = dataset.tags(ns="IMAGE_STRUCTURE")
    name = stored.get("COMPRESSION", "").lower()
    if dataset.driver == "GTiff" and not name:
        return {}
    if name not in LOSSLESS:
        return {"compress": "deflate"}
    return {"compress": name, **({"predictor": int(stored["PREDICTOR"])} if "PREDICTOR" in stored else {})}


def _labels(dataset: Any, bands: Sequence[int] | None) -> Labels:
    chosen = [band - 1 for band in bands] if bands else range(dataset.count)
    tags = {key: value for key, value in dataset.tags().items() if not key.startswith("TIFFTAG_SOFTWARE")}
    return Labels(
        tuple(dataset.descriptions[i] for i in chosen),
        tuple(dataset.units[i] for i in chosen),
        tuple(dataset.scales[i] for i in chosen),
        tuple(dataset.offsets[i] for i in chosen),
        tags,
        tuple(_kept_tags(dataset.tags(i + 1)) for i in chosen),
    )


def _kept_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a band without statistics, which are wrong for new values."""
    return {key: value for key, value in tags.items() if not key.startswith("STATISTICS_")}


def _output_tile(dataset: Any) -> tuple[int, int]:
    """Return the tile size (rows, columns) of an output. It is the block size of the input, if GeoTIFF allows it."""
    height, width = dataset.block_shapes[0]
    fits = all(not side % 16 and side <= _MAX_TILE for side in (height, width))
    return (height, width) if fits and width < dataset.width else (_TILE, _TILE)


def _default_grid(dataset: Any) -> BlockGrid:
    """Return a grid of blocks that consist of whole blocks of the input, or of whole tiles of the output."""
    block_height, block_width = dataset.block_shapes[0]
    reference = Georeference(dataset.transform, dataset.crs)
    most = min(_MAX_CELLS, max(_SIDE**2, _MAX_VALUES // dataset.count))
    if block_width >= dataset.width or block_height * block_width > most:
        rows, columns = _output_tile(dataset)
        width = min(dataset.width, max(1, most // (rows * columns)) * columns)
        return BlockGrid(
            dataset.height, dataset.width, rows * -(-(_SIDE**2) // (rows * width)), width, reference=reference
        )
    rows, columns = (side * -(-_SIDE // side) for side in (block_height, block_width))
    return BlockGrid(dataset.height, dataset.width, rows, columns, reference=reference)


def read_block(dataset: Any, window: Window, bands: Sequence[int] | None) -> NDArray[Any]:
    """Return the stored values in a window, shape (bands, rows, columns)."""
    values: NDArray[Any] = dataset.read(list(bands) if bands else None, window=window.ranges)
    return np.atleast_3d(values) if values.ndim < 3 else values


def read_masked_block(dataset: Any, window: Window, bands: Sequence[int] | None) -> Any:
    """Return the stored values in a window as a masked array, shape (bands, rows, columns)."""
    return dataset.read(list(bands) if bands else None, window=window.ranges, masked=True)


def read_mask(dataset: Any, window: Window) -> NDArray[np.bool_]:
    """Return True for cells of a window that are valid in the mask of the dataset, shape (rows, columns)."""
    valid: NDArray[np.bool_] = dataset.read_masks(1, window=window.ranges) != 0
    return valid
