"""Apply several operations to each block, with one read and one write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from regionplot.blocks.grid import Block
from regionplot.blocks.values import BandReader, Storage, Values
from regionplot.geo.grid import GridGeometry
from regionplot.prepare.base import BlockContext, Operation


@dataclass(frozen=True)
class Chain:
    """A sequence of operations as one function for `process_blocks` with `read="datasets"`.

    The halo is the sum of the halos of all operations. Results near the border of a padded block can be wrong. These
    results lie outside the core of the block and are trimmed.
    """

    source: BandReader
    operations: tuple[Operation, ...]
    storage: Storage
    extra_inputs: tuple[tuple[str, BandReader], ...] = ()
    """Further inputs on the same grid: the name in expressions, and the reader of each input."""

    @classmethod
    def of(
        cls,
        source: BandReader,
        operations: Sequence[Operation],
        storage: Storage | None = None,
        extra_inputs: Mapping[str, BandReader] | None = None,
    ) -> Chain:
        """Check operations and bind them to the grid of a raster.

        Raises
        ------
        ConfigError, InputError
            If an operation cannot be applied to the raster.
        """
        named = dict(extra_inputs or {})
        check_bands(source, operations, named)
        bound = tuple(operation.bind(source.geometry) for operation in operations)
        return cls(source, bound, storage or Storage(source.dtype.name), tuple(named.items()))

    @property
    def halo(self) -> int:
        """Sum of the halos of all operations."""
        return sum(operation.halo for operation in self.operations)

    @property
    def count(self) -> int:
        """Number of bands of the result."""
        count = len(self.source.bands)
        for operation in self.operations:
            count = operation.bands(count)
        return count

    @property
    def geometry(self) -> GridGeometry:
        """Geometry of the raster and of the result."""
        return self.source.geometry

    def profile(self, profile: Mapping[str, Any]) -> dict[str, Any]:
        """Return the rasterio profile of the result, derived from the profile of the raster."""
        derived = {**profile, "count": len(self.source.bands)}
        for operation in self.operations:
            derived = operation.profile(derived)
        return {**derived, "count": self.count, "dtype": self.storage.dtype, "nodata": self.storage.nodata}

    def __call__(self, datasets: Sequence[Any], block: Block, arguments: object) -> NDArray[Any]:
        """Return the result for the core of one block, encoded for storage."""
        values = self.source.read(datasets[0], block.padded)
        context = BlockContext(block, self.source.geometry, self._read_extra_inputs(datasets[1:], block))
        for operation in self.operations:
            values = operation.apply(values, context)
        rows, columns = block.trim
        return self.storage.encode(values[:, rows, columns])

    def _read_extra_inputs(self, datasets: Sequence[Any], block: Block) -> dict[str, Values]:
        pairs = zip(self.extra_inputs, datasets, strict=True)
        return {name: source.read(dataset, block.padded) for (name, source), dataset in pairs}


def check_bands(source: BandReader, operations: Sequence[Operation], extra_inputs: Mapping[str, BandReader]) -> None:
    """Check that the bands that each operation reads exist.

    Raises
    ------
    ConfigError
        If a band does not exist.
    """
    counts = {name: len(reader.bands) for name, reader in extra_inputs.items()}
    count = len(source.bands)
    for operation in operations:
        operation.check_extra_inputs(counts)
        count = operation.bands(count)
