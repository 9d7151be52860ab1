"""Warp a raster to another grid, for the steps resample and reproject.

Each block of the target is read through a virtual raster of the whole target. Therefore, the cells of a block equal the
cells of a warp without blocks, bit for bit. This does not hold if each block is warped separately
(https://gdal.org/en/stable/programs/gdalwarp.html: `XSCALE`, `-et`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from regionplot.blocks.grid import Block
from regionplot.blocks.values import BandReader, Storage
from regionplot.errors import ConfigError, RasterError, RegionError
from regionplot.geo.crs import horizontal, parse_crs, same_crs, with_meridian
from regionplot.geo.dtypes import fits_dtype
from regionplot.geo.extent import FULL_TURN, Extent
from regionplot.geo.grid import GridGeometry
from regionplot.geo.project import project_extent
from regionplot.inputs.describe import open_bands
from regionplot.inputs.source import RasterInfo
from regionplot.prepare.base import STEP_CONFIG, StepSettings
from regionplot.prepare.options import Modifier, number_or_text
from regionplot.settings.base import InputPath, Text
from regionplot.settings.raster import RasterSettings

if TYPE_CHECKING:
    from regionplot.prepare.plan import Plan

Method = Literal["nearest", "bilinear", "cubic", "lanczos", "average", "mode", "max", "min", "med"]
"""GDAL's methods that give the same result with and without blocks. `sum` is missing, because it loses cells at the
borders of GDAL's chunks.
"""
Positive = Annotated[float, Field(gt=0)]
_EXACT = 1e-9
"""Tolerance of positions, in source cells. With this small value, GDAL transforms each position and does not
interpolate. rasterio 1.4 does not accept 0.
"""
_MAX_CELLS = 2**32
_MERCATOR = ("Mercator (", "Popular Visualisation Pseudo Mercator")
_FAR = 1.5
"""Smallest ratio of a suggested extent to the extent without large distortion, if the suggestion is not used."""
_ROUNDING = 1e-6


@dataclass(frozen=True, config=STEP_CONFIG)
class GridSettings(StepSettings):
    """Base class of resample and reproject: the target grid and the resampling method."""

    modifiers: ClassVar[tuple[Modifier, ...]] = (
        Modifier(
            "resampling", "method", "For resample and reproject: nearest, average ... By default, bilinear.", "METHOD"
        ),
    )

    crs: Text | None = None
    """CRS of the target. By default, the CRS of the raster."""
    resolution: Positive | Annotated[tuple[Positive, Positive], Field(strict=False)] | None = None
    """Size of a cell, or its width and height, in units of the CRS."""
    like: InputPath | None = None
    """Another raster, whose grid is the target."""
    method: Method = "bilinear"
    """Resampling method."""

    def check_target(self) -> None:
        """Refuse settings that define the target grid twice.

        Raises
        ------
        ValueError
            If `like` is given together with `crs` or `resolution`.
        """
        if self.like is not None and (self.crs is not None or self.resolution is not None):
            raise ValueError("give either like, or crs and resolution")

    def add_to(self, plan: Plan) -> None:
        """Add a pass for each input, so that later expressions can combine all inputs on the new grid."""
        plan.finish_chain()
        like = None if self.like is None else open_bands(RasterSettings(path=self.like))[0].describe().geometry
        sides = (self.resolution,) * 2 if isinstance(self.resolution, float) else self.resolution
        crs = None if self.crs is None else parse_crs(self.crs)
        target = target_geometry(plan.main.geometry, crs, sides, like)
        for name, source in plan.sources.items():
            decoded = plan.without_mask(source)
            function = Warp(decoded, target, self.method, Storage(decoded.dtype.name))
            plan.sources[name] = plan.add_stage(function, [decoded])


def parse_grid(text: str) -> dict[str, Any]:
    """Return settings from a size, `WIDTH,HEIGHT`, or a file."""
    parts = [number_or_text(part) for part in text.split(",")]
    if all(isinstance(part, float) for part in parts):
        return {"resolution": parts[0] if len(parts) == 1 else parts}
    return {"like": text}


@dataclasses.dataclass(frozen=True)
class Warp:
    """Warp a raster to another grid: a function for `process_blocks` with `read="datasets"`, over blocks of the target.

    As in GDAL, interpolation uses the valid cells only. For a coarser grid, use `average`, `mode`, `max`, `min` or
    `med`. The other methods use only the cells nearest to a position, and skip the cells in between.
    """

    source: BandReader
    target: GridGeometry
    method: Method
    storage: Storage

    def __post_init__(self) -> None:
        if not all(info.is_plain for info in self.source.bands):
            raise ValueError("a raster with a mask band or several missing values cannot be warped; decode it first")

    @property
    def halo(self) -> int:
        """Return 0. GDAL reads as many cells of the source as it needs."""
        return 0

    @property
    def count(self) -> int:
        """Number of bands of the result."""
        return len(self.source.bands)

    @property
    def geometry(self) -> GridGeometry:
        """Geometry of the result."""
        return self.target

    def profile(self, profile: Mapping[str, Any]) -> dict[str, Any]:
        """Return the rasterio profile of the result, derived from the profile of the source."""
        grid = {"height": self.target.height, "width": self.target.width, "transform": self.target.transform}
        stored = {"dtype": self.storage.dtype, "nodata": self.storage.nodata, "count": self.count}
        return {**profile, **grid, **stored, "crs": self.target.crs.to_wkt()}

    def __call__(self, datasets: Sequence[Any], block: Block, arguments: object) -> NDArray[Any]:
        """Return one block of the result, encoded for storage."""
        core, infos = block.core, self.source.bands
        values = np.empty((len(infos), core.height, core.width), self.source.dtype)
        missing = [_nodata_of(info, datasets[0]) for info in infos]
        for nodata in dict.fromkeys(missing):
            alike = [number for number, other in enumerate(missing) if other == nodata]
            with self._virtual(datasets[0], nodata) as virtual:
                values[alike] = virtual.read([infos[number].band for number in alike], window=core.ranges)
        for band, info in zip(values, infos, strict=True):
            if info.mask_and_scale and (info.scale, info.offset) != (1.0, 0.0):
                band[:] = band * band.dtype.type(info.scale) + band.dtype.type(info.offset)
        return self.storage.encode(values)

    def _virtual(self, dataset: Any, nodata: float | None) -> Any:
        """Return the virtual raster of the target. A cell that is missing in one band can be valid in another."""
        from rasterio.enums import Resampling  # noqa: PLC0415
        from rasterio.vrt import WarpedVRT  # noqa: PLC0415

        (source_crs, source_affine), (crs, affine) = (
            _gdal_crs_and_transform(self.source.geometry),
            _gdal_crs_and_transform(self.target),
        )
        return WarpedVRT(
            dataset, src_crs=source_crs, src_transform=source_affine, crs=crs, transform=affine,
            height=self.target.height, width=self.target.width, resampling=Resampling[self.method], tolerance=_EXACT,
            src_nodata=nodata, nodata=np.nan, dtype=self.source.dtype.name, XSCALE="1", YSCALE="1", NUM_THREADS="1",
            UNIFIED_SRC_NODATA="NO",
        )  # fmt: skip


def _nodata_of(info: RasterInfo, dataset: Any) -> float | None:
    """Return the nodata value of a band, or None if no cell can have it."""
    if info.nodata is None or np.isnan(info.nodata):
        return None
    return info.nodata if fits_dtype(np.dtype(dataset.dtypes[info.band - 1]), info.nodata) else None


def _gdal_crs_and_transform(geometry: GridGeometry) -> tuple[str, Affine]:
    """Return the CRS and transform of a grid for GDAL.

    GDAL needs longitudes within 180 degrees of the prime meridian. For other grids in degrees, such as a grid from 0 to
    360, the prime meridian is moved to the middle of the grid.
    """
    extent, affine = geometry.extent, geometry.transform
    if not geometry.crs.is_geographic or max(-extent.xmin, extent.xmax) <= FULL_TURN / 2 + abs(affine.a):
        return horizontal(geometry.crs).to_wkt(), affine
    middle = (extent.xmin + extent.xmax) / 2
    a, b, c, d, e, f = affine[:6]
    return with_meridian(geometry.crs, middle).to_wkt(), Affine(a, b, c - middle, d, e, f)


def target_geometry(
    source: GridGeometry,
    crs: pyproj.CRS | None = None,
    resolution: Sequence[float] | None = None,
    like: GridGeometry | None = None,
) -> GridGeometry:
    """Return the target grid of a warp.

    Parameters
    ----------
    source : GridGeometry
        Grid of the raster.
    crs : pyproj.CRS, optional
        CRS of the target. By default, the CRS of the source.
    resolution : sequence of float, optional
        Width and height of a cell in units of the CRS of the target. By default, about the resolution of the source.
    like : GridGeometry, optional
        Grid to use as the target. If it is given, the other parameters are ignored.

    Raises
    ------
    ConfigError
        If the resolution cannot be used, or the target is too large.
    RasterError
        If parts of the raster have no coordinates in the CRS of the target.
    """
    if like is not None:
        return like
    target = crs or source.crs
    if resolution is not None and not all(math.isfinite(side) and side > 0 for side in resolution):
        raise ConfigError(f"resolution {resolution} must be above zero")
    geometry = (
        _with_resolution(source, resolution) if same_crs(source.crs, target) else _projected(source, target, resolution)
    )
    if geometry.height * geometry.width > _MAX_CELLS:
        raise ConfigError(
            f"a grid of {geometry.height:,} x {geometry.width:,} cells is too large; choose a coarser resolution"
        )
    return geometry


def _with_resolution(source: GridGeometry, resolution: Sequence[float] | None) -> GridGeometry:
    """Return a grid with the same origin and about the same extent, but another cell size."""
    if resolution is None:
        return source
    if not source.is_axis_aligned:
        raise ConfigError(
            "a rotated grid cannot be resampled to a resolution; reproject it, or use the grid of another raster (like)"
        )
    a, e = source.transform.a, source.transform.e
    width, height = (
        max(1, math.ceil(count * abs(step) / side - _ROUNDING))
        for count, step, side in ((source.width, a, resolution[0]), (source.height, e, resolution[1]))
    )
    affine = Affine(
        math.copysign(resolution[0], a), 0, source.transform.c, 0, math.copysign(resolution[1], e), source.transform.f
    )
    return GridGeometry(affine, height, width, source.crs)


def _projected(source: GridGeometry, crs: pyproj.CRS, resolution: Sequence[float] | None) -> GridGeometry:
    affine, width, height = _suggested(source, source.extent, crs, resolution)
    part = _without_distant_poles(source, affine, (width, height), crs) if source.crs.is_geographic else None
    if part is not None and _is_mercator(crs):
        affine, width, height = _suggested(source, part, crs, resolution)
    elif part is not None or not width or not height or width * height > _MAX_CELLS:
        raise RasterError(
            f"the raster cannot be reprojected to {crs.name!r} as a whole, because parts of it have no coordinates "
            "in this CRS; choose a target grid (like), or crop the raster first"
        )
    return GridGeometry(affine, height, width, crs)


def _is_mercator(crs: pyproj.CRS) -> bool:
    """Return True for a Mercator projection with straight meridians, which places only the poles at infinity."""
    operation = crs.coordinate_operation
    return operation is not None and operation.method_name.startswith(_MERCATOR)


def _suggested(
    source: GridGeometry, part: Extent, crs: pyproj.CRS, resolution: Sequence[float] | None
) -> tuple[Affine, int, int]:
    """Return the transform, width and height that GDAL suggests for a part of a grid in another CRS."""
    import rasterio  # noqa: PLC0415 (GDAL: import it only to read)
    from rasterio.warp import calculate_default_transform  # noqa: PLC0415

    rows = max(1, round(source.height * part.height / source.extent.height))
    try:
        found: tuple[Affine, int, int] = calculate_default_transform(
            horizontal(source.crs).to_wkt(), horizontal(crs).to_wkt(), source.width, rows,
            part.xmin, part.ymin, part.xmax, part.ymax,
            resolution=None if resolution is None else tuple(resolution),
        )  # fmt: skip
    except (rasterio.errors.RasterioError, ValueError) as error:
        raise RasterError(f"the raster cannot be reprojected to {crs.name!r}: {error}") from error
    return found


def _without_distant_poles(
    source: GridGeometry, affine: Affine, size: tuple[int, int], crs: pyproj.CRS
) -> Extent | None:
    """Return the part of a grid in degrees without latitudes that a projection places far away, such as Mercator.

    Return None if the suggested grid has no such latitudes.
    """
    extent = source.extent
    try:
        shown = project_extent(extent, source.crs, crs)
        back = project_extent(shown, crs, source.crs)
    except RegionError:
        return None
    is_far = abs(affine.a) * size[0] > _FAR * shown.width or abs(affine.e) * size[1] > _FAR * shown.height
    south, north = max(extent.ymin, back.ymin), min(extent.ymax, back.ymax)
    return Extent(extent.xmin, extent.xmax, south, north) if is_far and south < north else None
