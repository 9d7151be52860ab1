"""Find problems of regions before a run: no overlap, few data, odd shapes, equal limits.

The raster is read once, thinned to about a million cells. The shares of missing data are therefore estimates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.colors.key import planned_key
from regionplot.errors import RegionplotError
from regionplot.geo.extent import PanelGrid
from regionplot.geo.region import Region
from regionplot.geo.sampling import sample
from regionplot.geo.windows import cells_per_pixel
from regionplot.inputs.color_tables import RgbBands
from regionplot.layers.stack import lay_out
from regionplot.shared.load import DrawnRaster, LoadedCells
from regionplot.shared.plan import LoadPlan
from regionplot.sheet.layout import Box
from regionplot.sheet.projection import projection_of
from regionplot.sheet.view import View

_SAMPLES = 96
"""Number of sampled points along the longer side of a region."""
_MANY_MISSING = 0.5
"""Share of missing data above which a region is reported."""
_FEW_CELLS = 4.0
"""Number of cells along the shorter side of a region below which it is reported."""
_WASTE = 4.0
"""Ratio of the area of a map to the area of its region above which the region is reported."""
_LISTED = 10
"""Maximum number of regions that are listed for each kind of problem."""


class Kind(Enum):
    """Kind of a problem, with the end of the line that counts further regions."""

    UNUSABLE = "cannot be drawn"
    NO_OVERLAP = "do not overlap the raster"
    MISSING = "have few data"
    TINY = "have few cells"
    THIN = "have an odd shape"
    TWICE = "have the limits of another region"


@dataclass(frozen=True)
class RegionChecker:
    """The raster with which regions are compared.

    Parameters
    ----------
    raster : DrawnRaster
        The raster and its settings.
    """

    raster: DrawnRaster
    preview: LoadedCells

    @classmethod
    def of(cls, raster: DrawnRaster) -> RegionChecker:
        """Read the thinned raster.

        Raises
        ------
        RasterError
            If the raster cannot be read.
        """
        info = raster.info
        plan = LoadPlan(info.geometry.full_window, info.has_windows, info.fingerprint)
        return cls(raster, raster.load_values(replace(plan, series=np.empty(0))))

    def problems(self, regions: Sequence[Region]) -> Iterator[str]:
        """Yield one line for each problem. For each kind of problem, the first regions are listed."""
        found: dict[Kind, list[str]] = defaultdict(list)
        for region in regions:
            for kind, text in self._problems_of(region):
                found[kind].append(f"{region.origin or 'region'}: {region.name}: {text}")
        found[Kind.TWICE] += _equal_limits(regions)
        for kind in Kind:
            yield from found[kind][:_LISTED]
            if len(found[kind]) > _LISTED:
                yield f"{len(found[kind]) - _LISTED:,} more regions {kind.value}"

    def _problems_of(self, region: Region) -> Iterator[tuple[Kind, str]]:
        info, config = self.raster.info, self.raster.config
        box = lay_out(config, planned_key(self.raster.coloring)).panel
        try:
            region = region.at(info.description.get("time"))
            crs = projection_of(region, config.map.projection, info.geometry.crs)
            view = View.of(region, crs, Box(0, 0, _SAMPLES, _SAMPLES), "exact")
        except RegionplotError as error:
            yield Kind.UNUSABLE, str(error)
            return
        found = sample(self._has_data, self.preview.geometry, view.panel, crs, fill=0)
        if not found.inside.any():
            yield Kind.NO_OVERLAP, f"the region ({region.extent}) does not overlap the raster"
            return
        missing = 1 - np.count_nonzero(found.values) / found.values.size
        if missing > _MANY_MISSING:
            yield Kind.MISSING, f"about {missing:.0%} of the region has no data"
        cells = cells_per_pixel(info.geometry, view.panel, crs)
        yield from _shape_problems(view.panel, cells, box, enlarges=config.map.fit == "datalim")

    @property
    def _has_data(self) -> NDArray[np.uint8]:
        """1 for cells with data, and 0 for missing cells."""
        values: NDArray[Any] | None = self.preview.values
        assert values is not None, "the values are loaded"
        if isinstance(self.raster.coloring, RgbBands):
            return np.asarray(values != 0, np.uint8)
        return np.asarray(~np.isnan(values) if values.dtype.kind == "f" else np.ones(values.shape), np.uint8)


def _shape_problems(panel: PanelGrid, cells: float, box: Box, *, enlarges: bool) -> Iterator[tuple[Kind, str]]:
    """Yield the problems with the shape of a region.

    Parameters
    ----------
    panel : PanelGrid
        The region, with square pixels.
    cells : float
        Number of cells of the raster along a pixel.
    box : Box
        Panel of the map.
    enlarges : bool
        True if the map shows a larger area, with the shape of its panel.
    """
    across, down = cells * panel.width, cells * panel.height
    if min(across, down) < _FEW_CELLS:
        yield Kind.TINY, f"the region has only about {across:.1f} x {down:.1f} cells of the raster"
    ratio = panel.extent.width / panel.extent.height
    waste = max(ratio / (box.width / box.height), box.width / box.height / ratio)
    if waste > _WASTE:
        long, short = ("wide", "high") if ratio > 1 else ("high", "wide")
        shape = f"the region is {max(ratio, 1 / ratio):.3g} times as {long} as {short}"
        effect = f"the map shows {waste:.3g} times its area" if enlarges else f"the map is {waste:.3g} times smaller"
        yield Kind.THIN, f"{shape}, so {effect}"


def _equal_limits(regions: Sequence[Region]) -> Iterator[str]:
    first: dict[object, Region] = {}
    for region in regions:
        key = region.extent, region.crs, region.track, region.projection, region.shape
        other = first.setdefault(key, region)
        if other is not region:
            place = f" ({other.origin})" if other.origin else ""
            yield f"{region.origin or 'region'}: {region.name}: the region has the limits of {other.name}{place}"
