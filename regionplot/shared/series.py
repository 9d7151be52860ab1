"""Sample all times of a product, so that they have the same color scale.

::

    times of a product ─► open ─► sample of the whole raster ─┐
                                                              ├─► values at equal ranks ─► LoadPlan.series ─► scale
    ...                 ─► open ─► sample of the whole raster ─┘
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.errors import RegionplotError
from regionplot.inputs.overview import sample_raster
from regionplot.settings.colors import ColorSettings
from regionplot.shared.fields import Field
from regionplot.shared.groups import OpenedField

_SAMPLE = 4_000_000
"""Approximate maximum number of cells in the samples of a product together."""
_RANKS = 10_001
"""Number of values that stand for all samples of a product. The percentiles 1 and 99 are among them."""


@dataclass
class SeriesScales:
    """The cells that determine the color scale of each product with several times.

    Parameters
    ----------
    fields : iterable of Field
        All fields of the run.
    open_field : callable
        Return a field with its raster opened. Fields for which it raises a RegionplotError do not count.
    """

    fields: Iterable[Field]
    open_field: Callable[[Field], OpenedField]
    _samples: dict[str, NDArray[Any] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Group the fields by product."""
        self._times: dict[str, list[Field]] = defaultdict(list)
        for each in _without_sheets(self.fields):
            if each.problem is None:
                self._times[each.product].append(each)

    def apply(self, opened: OpenedField) -> OpenedField:
        """Return a field whose plan has the cells that determine the color scale of its product.

        The first field of a product opens all times of the product. A field is returned unchanged if its scale does not
        depend on cells, or if its product has only one time.
        """
        if opened.members:
            return OpenedField.of_sheet(opened.field, [self.apply(each) for each in opened.members])
        product, times = opened.field.product, self._times[opened.field.product]
        if opened.data is not None or len(times) < 2 or opened.raster.coloring is not None:
            return opened
        if not _needs_limits(opened.raster.config.colors):
            return opened
        if product not in self._samples:
            self._samples[product] = self._sample(times)
        return replace(opened, plan=replace(opened.plan, series=self._samples[product]))

    def _sample(self, times: Sequence[Field]) -> NDArray[Any] | None:
        samples = []
        for each in times:
            with suppress(RegionplotError):  # the error is reported when the field is drawn
                cells = sample_raster(self.open_field(each).raster.source, rasters=len(times))
                thinned = _thinned(cells, _SAMPLE // len(times))
                samples.append(thinned[np.isfinite(thinned)])
        values = np.concatenate(samples) if samples else np.empty(0)
        if not values.size:
            return None
        ranked = np.quantile(values, np.linspace(0, 1, _RANKS))[None]
        return ranked.astype(values.dtype) if values.dtype.kind == "f" else ranked


def _without_sheets(fields: Iterable[Field]) -> Iterable[Field]:
    """Return fields, with the fields of panels instead of sheets. Each field is returned once."""
    found: dict[str, Field] = {}
    for each in fields:
        members = [member for row in each.members for member in row]
        found.update({member.name: member for member in members or [each]})
    return found.values()


def _thinned(cells: NDArray[Any], count: int) -> NDArray[Any]:
    """Return about this number of cells at equal distances."""
    step = max(1, int(np.sqrt(cells.size / max(1, count))))
    return cells[::step, ::step]


def _needs_limits(colors: ColorSettings) -> bool:
    """Return True if cells determine the limits of the scale, and all maps of a product share the scale."""
    has_limits = colors.vmin is not None and colors.vmax is not None and colors.norm != "quantile"
    return colors.is_adaptive and colors.scale == "series" and not has_limits
