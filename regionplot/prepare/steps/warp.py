"""Resample and reproject: move a raster to another resolution, CRS or grid.

A block of the target is read through a virtual raster that stands for the whole target. GDAL then works out where cells
come from by their place in the whole, so that blocks equal the whole bit for bit; warping each block by itself does not
give that (https://gdal.org/en/stable/programs/gdalwarp.html: `XSCALE`, `-et`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray

from regionplot.blocks.grid import Block
from regionplot.blocks.values import BandReader, Storage
from regionplot.errors import ConfigError, RasterError
from regionplot.geo.crs import CIRCLE, same_crs, with_meridian
from regionplot.geo.dtypes import fits_dtype
from regionplot.geo.grid import GridGeometry
from regionplot.inputs.source import RasterInfo

Method = Literal["nearest", "bilinear", "cubic", "lanczos", "average", "mode", "max", "min", "med"]
"""Those of GDAL that give blocks the cells of the whole; `sum` loses cells where GDAL cuts its work into parts."""


METHODS: tuple[str, ...] = get_args(Method)


_EXACT = 1e-9
"""Source cells; GDAL then transforms each position instead of interpolating (0 is refused by rasterio 1.4)."""


_MOST_CELLS = 2**32


_ROUNDING = 1e-6


@dataclass(frozen=True)
class Warp:
    """A raster on another grid; a function for `process_blocks` over blocks of the target, which reads "datasets".

    Interpolation looks at the cells that are not missing, as GDAL does it. A coarser grid wants `average` or `mode`;
    the others look at the cells nearest to a position, however many there are in between.
    """

    source: BandReader
    target: GridGeometry
    method: Method
    storage: Storage

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(f"resampling {self.method!r} is none of {', '.join(METHODS)}")
        if any(info.has_mask for info in self.source.bands):
            raise ValueError("a raster with a mask band is decoded first")

    @property
    def halo(self) -> int:
        """None in the target; the source is read as far as it is needed."""
        return 0

    @property
    def count(self) -> int:
        """Bands of the result."""
        return len(self.source.bands)

    def profile(self, profile: Mapping[str, Any]) -> dict[str, Any]:
        """The output's profile."""
        grid = {"height": self.target.height, "width": self.target.width, "transform": self.target.affine}
        stored = {"dtype": self.storage.dtype, "nodata": self.storage.nodata, "count": self.count}
        return {**profile, **grid, **stored, "crs": self.target.crs.to_wkt()}

    def __call__(self, datasets: Sequence[Any], block: Block, arguments: object) -> NDArray[Any]:
        """One block of the result."""
        from rasterio.windows import Window  # noqa: PLC0415

        core, infos = block.core, self.source.bands
        area = Window(core.column, core.row, core.width, core.height)
        values = np.empty((len(infos), core.height, core.width), self.source.dtype)
        missing = [_nodata_of(info, datasets[0]) for info in infos]
        for nodata in dict.fromkeys(missing):
            alike = [number for number, other in enumerate(missing) if other == nodata]
            with self._virtual(datasets[0], nodata) as virtual:
                values[alike] = virtual.read([infos[number].band for number in alike], window=area)
        for band, info in zip(values, infos, strict=True):
            if info.mask_and_scale and (info.scale, info.offset) != (1.0, 0.0):
                band[:] = band * band.dtype.type(info.scale) + band.dtype.type(info.offset)
        return self.storage.encode(values)

    def _virtual(self, dataset: Any, nodata: float | None) -> Any:
        """The target; each band is missing by itself where it has the nodata value."""
        from rasterio.enums import Resampling  # noqa: PLC0415
        from rasterio.vrt import WarpedVRT  # noqa: PLC0415

        (source_crs, source_affine), (crs, affine) = _unrolled(self.source.geometry), _unrolled(self.target)
        return WarpedVRT(
            dataset, src_crs=source_crs, src_transform=source_affine, crs=crs, transform=affine,
            height=self.target.height, width=self.target.width, resampling=Resampling[self.method], tolerance=_EXACT,
            src_nodata=nodata, nodata=np.nan, dtype=self.source.dtype.name, XSCALE="1", YSCALE="1", NUM_THREADS="1",
            UNIFIED_SRC_NODATA="NO",
        )  # fmt: skip


def _nodata_of(info: RasterInfo, dataset: Any) -> float | None:
    """A band's nodata value, if its cells can have it."""
    if info.nodata is None or np.isnan(info.nodata):
        return None
    return info.nodata if fits_dtype(np.dtype(dataset.dtypes[info.band - 1]), info.nodata) else None


def _unrolled(geometry: GridGeometry) -> tuple[str, Affine]:
    """CRS and transform for GDAL, which gives longitudes within half a circle of the prime meridian.

    For a grid in degrees that goes beyond, such as one from 0 to 360, they are counted from its middle.
    """
    extent, affine = geometry.extent, geometry.affine
    if not geometry.crs.is_geographic or max(-extent.xmin, extent.xmax) <= CIRCLE / 2 + abs(affine.a):
        return geometry.crs.to_wkt(), affine
    middle = (extent.xmin + extent.xmax) / 2
    a, b, c, d, e, f = affine[:6]
    own = float(geometry.crs.prime_meridian.longitude) if geometry.crs.prime_meridian else 0.0
    return with_meridian(geometry.crs, own + middle).to_wkt(), Affine(a, b, c - middle, d, e, f)


def target_geometry(
    source: GridGeometry,
    crs: pyproj.CRS | None = None,
    resolution: Sequence[float] | None = None,
    like: GridGeometry | None = None,
) -> GridGeometry:
    """The grid that a raster is to be brought onto.

    Parameters
    ----------
    source : GridGeometry
        That of the raster.
    crs : pyproj.CRS, optional
        The target's; the source's by default.
    resolution : sequence of float, optional
        Width and height of a cell in units of the target's CRS; by default, about as fine as the source.
    like : GridGeometry, optional
        The very grid; nothing else counts then.

    Raises
    ------
    ConfigError
        If there is no such grid, or it is too large.
    """
    if like is not None:
        return like
    target = crs or source.crs
    if resolution is not None and not all(math.isfinite(side) and side > 0 for side in resolution):
        raise ConfigError(f"resolution {resolution} must be above zero")
    geometry = (
        _finer_or_coarser(source, resolution)
        if same_crs(source.crs, target)
        else _projected(source, target, resolution)
    )
    if geometry.height * geometry.width > _MOST_CELLS:
        raise ConfigError(
            f"a grid of {geometry.height:,} x {geometry.width:,} cells is too large; take a coarser resolution"
        )
    return geometry


def _finer_or_coarser(source: GridGeometry, resolution: Sequence[float] | None) -> GridGeometry:
    """The same extent from the same corner, in cells of another size."""
    if resolution is None:
        return source
    if not source.is_axis_aligned:
        raise ConfigError(
            "a rotated grid cannot be resampled to a resolution; reproject it, or take a grid like another's"
        )
    a, e = source.affine.a, source.affine.e
    width, height = (
        max(1, math.ceil(count * abs(step) / side - _ROUNDING))
        for count, step, side in ((source.width, a, resolution[0]), (source.height, e, resolution[1]))
    )
    affine = Affine(
        math.copysign(resolution[0], a), 0, source.affine.c, 0, math.copysign(resolution[1], e), source.affine.f
    )
    return GridGeometry(affine, height, width, source.crs)


def _projected(source: GridGeometry, crs: pyproj.CRS, resolution: Sequence[float] | None) -> GridGeometry:
    import rasterio  # noqa: PLC0415 (GDAL: only who reads pays for its import)
    from rasterio.warp import calculate_default_transform  # noqa: PLC0415

    extent = source.extent
    try:
        affine, width, height = calculate_default_transform(
            source.crs.to_wkt(), crs.to_wkt(), source.width, source.height,
            extent.xmin, extent.ymin, extent.xmax, extent.ymax,
            resolution=None if resolution is None else tuple(resolution),
        )  # fmt: skip
    except (rasterio.errors.RasterioError, ValueError) as error:
        raise RasterError(f"the raster cannot be brought into {crs.name!r}: {error}") from error
    if not width or not height or width * height > _MOST_CELLS:
        raise RasterError(
            f"the raster cannot be brought into {crs.name!r} as a whole: parts of it lie where that has no "
            "coordinates; take a grid that you choose (like), or cut the raster first"
        )
    return GridGeometry(affine, height, width, crs)
