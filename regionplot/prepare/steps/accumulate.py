"""Accumulate: combine the bands of a raster, or several rasters, into one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.grid import Block
from regionplot.blocks.values import BandReader, Storage, Values
from regionplot.errors import ConfigError
from regionplot.prepare.base import BlockContext, Operation

How = Literal["sum", "mean", "min", "max", "last"]


HOWS: tuple[str, ...] = get_args(How)


@dataclass(frozen=True)
class Accumulate(Operation):
    """All bands into one: the sum, mean, least, greatest, or last of what is not missing.

    A cell is missing if it is so in all of them. Sums are made in double precision, in the order of the bands.
    """

    how: How = "sum"

    def __post_init__(self) -> None:
        if self.how not in HOWS:
            raise ConfigError(f"accumulate {self.how!r} is none of {', '.join(HOWS)}")

    def bands(self, count: int) -> int:
        """See `Operation`."""
        return 1

    def apply(self, values: Values, site: BlockContext) -> Values:
        """See `Operation`; what is stored in the end is not rounded before."""
        return self.of(band[None] for band in values)

    def of(self, layers: Iterable[Values]) -> NDArray[np.float64]:
        """Layers of one shape into one; they are taken one by one, and none is kept."""
        total: NDArray[np.float64] | None = None
        count: Any = 0
        for layer in layers:
            there = ~np.isnan(layer)
            count = count + there
            total = layer.astype(np.float64) if total is None else self._joined(total, layer, there)
        assert total is not None, "there is one layer at least"
        return np.where(count > 0, total / np.maximum(count, 1), np.nan) if self.how == "mean" else total

    def _joined(self, total: NDArray[np.float64], layer: Values, there: NDArray[np.bool_]) -> NDArray[np.float64]:
        if self.how in ("sum", "mean"):
            return np.where(there, np.where(np.isnan(total), 0.0, total) + layer, total)
        if self.how == "last":
            return np.where(there, layer, total)
        extreme = np.fmin if self.how == "min" else np.fmax
        return np.asarray(extreme(total, layer), np.float64)


@dataclass(frozen=True)
class Accumulation:
    """Rasters of one grid into one, band by band; a function for `process_blocks`, which reads "datasets"."""

    sources: Sequence[BandReader]
    """In order; of a single one, its bands are accumulated."""
    operation: Accumulate
    storage: Storage

    @property
    def halo(self) -> int:
        """None is needed."""
        return 0

    @property
    def count(self) -> int:
        """Bands of the result."""
        return 1 if len(self.sources) == 1 else len(self.sources[0].bands)

    def profile(self, profile: Mapping[str, Any]) -> dict[str, Any]:
        """The output's profile."""
        return {**profile, "dtype": self.storage.dtype, "nodata": self.storage.nodata, "count": self.count}

    def __call__(self, datasets: Sequence[Any], block: Block, arguments: object) -> NDArray[Any]:
        """One block of the result."""
        return self.storage.encode(self.operation.of(self._layers(datasets, block)))

    def _layers(self, datasets: Sequence[Any], block: Block) -> Iterator[Values]:
        """One layer after the other, so that memory does not grow with their number."""
        if len(self.sources) > 1:
            for source, dataset in zip(self.sources, datasets, strict=True):
                yield source.read(dataset, block.core)
            return
        for info in self.sources[0].bands:
            yield replace(self.sources[0], bands=(info,)).read(datasets[0], block.core)
