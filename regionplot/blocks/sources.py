"""Describe and read the rasters that blocks come from. Handles are never shared.

A GDAL handle belongs to the thread that opened it; one inherited through fork gives wrong cells without an error
(https://gdal.org/en/stable/user/multithreading.html). So handles are opened where they are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.grid import BlockGrid
from regionplot.errors import RasterError
from regionplot.geo.grid import Window
from regionplot.inputs.gdal import gdal_options, open_raster

Inputs = Sequence[str | Path] | str | Path
"""Paths of rasters, or of one."""


_SIDE = 512
"""Rows and columns of a usual block, at least."""


_MOST_CELLS = 2**22
"""Of a block made of strips ..."""


_MOST_VALUES = 2**24
"""... and in all its bands."""


_TILE = 256


_LARGEST_TILE = 1024


LOSSLESS = {"deflate", "lzw", "zstd", "packbits", "lzma"}


@dataclass(frozen=True)
class Labels:
    """What a raster says of its bands, one entry for each, and of itself."""

    descriptions: tuple[str | None, ...]
    units: tuple[str | None, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sources:
    """The inputs of a run; profile and labels are those of the first."""

    paths: tuple[Path, ...]
    profile: dict[str, Any]
    """Of an output like it, as rasterio creates it."""
    labels: Labels
    natural: BlockGrid
    """The first input's own blocks, merged until they are large enough to be worth a job."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.profile["height"], self.profile["width"]

    @classmethod
    def of(cls, inputs: Inputs, bands: Sequence[int] | None = None, *, alike: bool = True) -> Sources:
        """Look at the inputs.

        Parameters
        ----------
        inputs : sequence of path, or path
            One at least.
        bands : sequence of int, optional
            Those that will be read, from 1; all by default.
        alike : bool
            All must have the first one's shape, affine transform and CRS.

        Raises
        ------
        RasterError
            If one cannot be opened, lacks a band, or is not like the first; all such faults together.
        """
        paths = tuple(Path(path) for path in ([inputs] if isinstance(inputs, str | Path) else inputs))
        if not paths:
            raise RasterError("no inputs: name one raster at least")
        with gdal_options(), open_raster(paths[0]) as first:
            problems = _missing_bands(paths[0], first, bands)
            for path in paths[1:]:
                with open_raster(path) as other:
                    problems += _missing_bands(path, other, bands)
                    problems += _differences(path, other, paths[0], first) if alike else []
            if problems:
                raise RasterError(*problems)
            return cls(paths, _profile(first, bands), _labels(first, bands), _natural_grid(first))


def _missing_bands(path: Path, dataset: Any, bands: Sequence[int] | None) -> list[str]:
    missing = [str(band) for band in bands or () if not 1 <= band <= dataset.count]
    return [f"{path}: there is no band {', '.join(missing)}: the bands are 1 to {dataset.count}"] if missing else []


def _differences(path: Path, other: Any, first_path: Path, first: Any) -> list[str]:
    """What keeps a raster from being read cell by cell beside the first."""
    found = []
    if other.shape != first.shape:
        found.append(f"{path}: {other.shape} rows and columns, but {first_path} has {first.shape}")
    elif not other.transform.almost_equals(first.transform, 1e-6 * abs(first.transform.determinant) ** 0.5):
        found.append(f"{path}: its cells lie elsewhere than those of {first_path} (another affine transform)")
    if other.crs != first.crs:
        found.append(f"{path}: another CRS than that of {first_path}; reproject it first")
    return found


def _profile(dataset: Any, bands: Sequence[int] | None) -> dict[str, Any]:
    tile = _output_tile(dataset)
    return {
        "driver": "GTiff",
        "dtype": dataset.dtypes[0],
        "count": len(bands) if bands else dataset.count,
        "height": dataset.height,
        "width": dataset.width,
        "crs": dataset.crs,
        "transform": dataset.transform,
        "nodata": dataset.nodata,
        "tiled": True,
        "blockysize": tile[0],
        "blockxsize": tile[1],
        **_compression(dataset),
    }


def _compression(dataset: Any) -> dict[str, Any]:
    """That of a GeoTIFF if it loses nothing; what else is compressed is so by deflate."""
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
    )


def _output_tile(dataset: Any) -> tuple[int, int]:
    """Rows and columns of an output's tiles: the input's, if they are such."""
    height, width = dataset.block_shapes[0]
    fits = all(not side % 16 and side <= _LARGEST_TILE for side in (height, width))
    return (height, width) if fits and width < dataset.width else (_TILE, _TILE)


def _natural_grid(dataset: Any) -> BlockGrid:
    """Whole blocks of the input and whole tiles of the output, if that can be."""
    block_height, block_width = dataset.block_shapes[0]
    most = min(_MOST_CELLS, max(_SIDE**2, _MOST_VALUES // dataset.count))
    if block_width >= dataset.width or block_height * block_width > most:
        rows, columns = _output_tile(dataset)
        width = min(dataset.width, max(1, most // (rows * columns)) * columns)
        return BlockGrid(dataset.height, dataset.width, rows * -(-(_SIDE**2) // (rows * width)), width)
    rows, columns = (side * -(-_SIDE // side) for side in (block_height, block_width))
    return BlockGrid(dataset.height, dataset.width, rows, columns)


def read_block(dataset: Any, window: Window, bands: Sequence[int] | None) -> NDArray[Any]:
    """The stored values of a window, shape (bands, rows, columns)."""
    from rasterio.windows import Window as RasterioWindow  # noqa: PLC0415

    area = RasterioWindow(window.column, window.row, window.width, window.height)
    values: NDArray[Any] = dataset.read(list(bands) if bands else None, window=area)
    return np.atleast_3d(values) if values.ndim < 3 else values


def read_mask(dataset: Any, window: Window) -> NDArray[np.bool_]:
    """Where, in a window, the mask that all bands share says that there is data; shape (rows, columns)."""
    from rasterio.windows import Window as RasterioWindow  # noqa: PLC0415

    area = RasterioWindow(window.column, window.row, window.width, window.height)
    there: NDArray[np.bool_] = dataset.read_masks(1, window=area) != 0
    return there
