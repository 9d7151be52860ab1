"""Describe an open raster file whose place, cells and metadata GDAL knows.

NetCDF and HDF5 files state more than GDAL knows. `inputs.netcdf_open` describes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj

from regionplot.errors import RasterError
from regionplot.geo.dtypes import float_dtype
from regionplot.geo.grid import GridGeometry
from regionplot.geo.upright import upright_grid
from regionplot.inputs.color_tables import class_names, color_table, mask_flags, rgb_bands, unmasked_rgb_bands
from regionplot.inputs.file_crs import stated_crs
from regionplot.inputs.flags import NO_FLAGS, Flags, flags_of
from regionplot.inputs.gdal import check_block
from regionplot.inputs.metadata import band_tags, describe_band
from regionplot.inputs.packing import EVERYTHING, usable_scaling
from regionplot.inputs.reading import FileSource, fingerprint_of
from regionplot.inputs.remote import has_changing_name
from regionplot.inputs.source import RasterInfo, RasterSource
from regionplot.settings.raster import RasterSettings
from regionplot.text import plain_text

if TYPE_CHECKING:
    from regionplot.inputs.attributes import Attributes

_MIN_POINTS = 3
"""Minimum number of ground control points that can place a raster."""


@dataclass(frozen=True)
class OpenGrid:
    """An open raster file, or an open subdataset that holds the variable to draw."""

    dataset: Any
    """A `CachedDataset` or a `ReorderedDataset`."""
    settings: RasterSettings

    @property
    def path(self) -> Path:
        """The file."""
        return self.settings.path

    def source(self, band: int) -> RasterSource:
        """Return the source of a band.

        Raises
        ------
        RasterError
            If the file has no CRS or transform, is too large, or its cells cannot be drawn.
        """
        check_size(self.dataset.shape, self.settings)
        return FileSource(self.info(band, self.geometry(self._crs())))

    def sources(self, band: int) -> tuple[RasterSource, ...]:
        """Return one source for each band. The place of one band is the place of all.

        Raises
        ------
        RasterError
            As for `source`.
        """
        return self._sources_like(self.source(band))

    def _sources_like(self, first: Any) -> tuple[RasterSource, ...]:
        """Return one source for each band, in the place and with the valid range of the first."""
        geometry, valid = first.info.geometry, first.info.valid
        infos = (replace(self.info(number, geometry), valid=valid) for number in self.dataset.indexes)
        return tuple(replace(first, info=info) for info in infos)

    @property
    def attributes(self) -> Attributes | None:
        """Attributes of the variable of a NetCDF or HDF5 file. None for other files."""
        return None

    def _flags(self, tags: Mapping[str, str], description: Mapping[str, object], stored: np.dtype[Any]) -> Flags:
        """Return the CF flags of a band."""
        return flags_of(tags, stored, str(description["units"]), _stated_range(tags))

    def geometry(self, crs: pyproj.CRS) -> GridGeometry:
        """Return the geometry that GDAL gives to the file, with a CRS."""
        return upright_grid(GridGeometry(self.dataset.transform, self.dataset.height, self.dataset.width, crs))

    def info(self, band: int, geometry: GridGeometry) -> RasterInfo:
        """Return the metadata of a band."""
        dataset, settings = self.dataset, self.settings
        given = cell_type(dataset.dtypes[band - 1])
        check_block(self.path, dataset.block_shapes[band - 1], given.itemsize)
        if problem := geometry.problem():
            raise RasterError(
                f"{self.path}: {problem}; set the bounds of the raster "
                f"(gdal_edit.py -a_ullr WEST NORTH EAST SOUTH {self.path.name})"
            )
        if given.kind == "c":
            raise RasterError(
                f"{self.path}: its cells are complex numbers, which a map cannot show; write their amplitude to a file "
                f"first: gdal_translate DERIVED_SUBDATASET:AMPLITUDE:{self.path} amplitude.tif"
            )
        attributes = self.attributes
        stored = given if attributes is None else attributes.stored_type(given)
        nodata = _nodata(dataset, band, stored)
        table = color_table(dataset, band)
        scale, offset = float(dataset.scales[band - 1]), float(dataset.offsets[band - 1])
        if attributes is not None:
            scale, offset = attributes.scaling(scale, offset)
        if settings.mask_and_scale:
            scale, offset = usable_scaling(self.path, scale, offset)
        tags = band_tags(dataset, band, self.path)
        description = describe_band(dataset, band, self.path, settings.valid_time)
        flags = NO_FLAGS if table or (scale, offset) != (1, 0) else self._flags(tags, description, stored)
        return RasterInfo(
            path=self.path,
            gdal_name=str(self.path) if has_changing_name(self.path) else dataset.name,
            fingerprint=fingerprint_of(self.path),
            band=band,
            geometry=geometry,
            dtype=float_dtype(stored) if settings.mask_and_scale else stored,
            nodata=nodata,
            missing=attributes.further_missing(nodata, stored) if attributes and settings.mask_and_scale else (),
            scale=scale,
            offset=offset,
            has_mask="per_dataset" in mask_flags(dataset, band),
            mask_and_scale=settings.mask_and_scale,
            description=description,
            standard_name=plain_text(tags.get("standard_name", "")),
            color_table=table or flags.colors,
            class_names=class_names(dataset.dataset, band) if table else flags.names,
            has_bit_flags=flags.are_masks,
            rgb=rgb_bands(dataset) if settings.mask_and_scale else unmasked_rgb_bands(dataset),
            stored=stored if stored != given else None,
        )

    def _crs(self) -> pyproj.CRS:
        """Return the CRS. The CRS in the settings overrides the file's CRS."""
        self._check_control_points()
        crs = stated_crs(self.dataset, self.settings)
        if crs is None:
            raise RasterError(f'{self.path}: the raster has no CRS; set crs = "EPSG:..." in [raster]')
        self._check_transform()
        return crs

    def _check_control_points(self) -> None:
        """Raise RasterError if the file has ground control points or a sensor model instead of a transform."""
        dataset = self.dataset
        has_points = len(dataset.gcps[0]) >= _MIN_POINTS
        if not dataset.transform.is_identity or not (has_points or dataset.rpcs):
            return
        option = "" if has_points else "-rpc "
        raise RasterError(
            f"{self.path}: the raster has control points (or RPCs) instead of a transform; warp it first: "
            f"gdalwarp {option}-r near {self.path.name} warped.tif"
        )

    def _check_transform(self) -> None:
        """Raise RasterError if the file has no transform, or a transform in which cells have no area."""
        if self.dataset.transform.is_identity:
            raise RasterError(f"{self.path}: the raster has no transform; set its bounds (gdal_edit.py -a_ullr ...)")


def _stated_range(tags: Mapping[str, str]) -> tuple[float, float]:
    """Return the valid range that attributes state, without a check against the cells."""
    text = tags.get("valid_range") or "{},{}".format(tags.get("valid_min", ""), tags.get("valid_max", ""))
    limits = text.split(",")
    if len(limits) != len(EVERYTHING):
        return EVERYTHING
    with suppress(ValueError):
        low, high = (text.strip(" {}") for text in limits)
        return float(low or -math.inf), float(high or math.inf)
    return EVERYTHING


def check_size(shape: tuple[int, int], settings: RasterSettings) -> None:
    """Raise RasterError if a file declares more cells than the settings allow.

    Even a small file can declare a very large grid.
    """
    height, width = shape
    if height * width > settings.max_cells:
        raise RasterError(
            f"{settings.path}: the file declares {width:,} x {height:,} cells, more than [raster] max_cells = "
            f"{settings.max_cells:,}; raise max_cells if you trust the file"
        )


def cell_type(name: str) -> np.dtype[Any]:
    """Convert rasterio's name of a data type to a NumPy type."""
    return np.dtype({"complex_int16": "complex64"}.get(name, name))


def _nodata(dataset: Any, band: int, stored: np.dtype[Any]) -> float | None:
    """Return the nodata value of a band. If the cells are in floating point, round it to their precision."""
    value: float | None = dataset.nodatavals[band - 1]
    if value is None:  # rasterio leaves out the largest integers of 64 bits, because float64 rounds them up
        is_rounded = stored.kind in "iu" and stored.itemsize == 8 and "nodata" in mask_flags(dataset, band)
        return float(np.iinfo(stored).max) if is_rounded else None
    return float(stored.type(value)) if stored.kind == "f" else float(value)
