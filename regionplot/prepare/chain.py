"""Apply several operations to each block, with one read and one write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from regionplot.blocks.grid import Block
from regionplot.blocks.values import BandReader, Storage, Values
from regionplot.prepare.base import BlockContext, Operation
from regionplot.prepare.steps.expression import Expression


@dataclass(frozen=True)
class Chain:
    """Operations one after the other; a function for `process_blocks`, which reads "datasets".

    The halo is the sum of theirs: what an operation gets wrong where a block is cut lies within that of those after it,
    and is cut off.
    """

    source: BandReader
    operations: tuple[Operation, ...]
    storage: Storage
    others: tuple[tuple[str, BandReader], ...] = ()
    """Further inputs of the same grid, by the names that expressions give them."""

    @classmethod
    def of(
        cls,
        source: BandReader,
        operations: Sequence[Operation],
        storage: Storage | None = None,
        others: Mapping[str, BandReader] | None = None,
    ) -> Chain:
        """Get operations ready for a raster.

        Raises
        ------
        ConfigError, InputError
            If one cannot be done on it.
        """
        named = dict(others or {})
        count = len(source.bands)
        for operation in operations:
            if isinstance(operation, Expression):
                operation.check_others({name: len(other.bands) for name, other in named.items()})
            count = operation.bands(count)
        ready = tuple(operation.on(source.geometry) for operation in operations)
        return cls(source, ready, storage or Storage(source.dtype.name), tuple(named.items()))

    @property
    def halo(self) -> int:
        """Of all operations together."""
        return sum(operation.halo for operation in self.operations)

    @property
    def count(self) -> int:
        """Bands of the result."""
        count = len(self.source.bands)
        for operation in self.operations:
            count = operation.bands(count)
        return count

    def profile(self, profile: Mapping[str, Any]) -> dict[str, Any]:
        """The output's profile."""
        derived = {**profile, "count": len(self.source.bands)}
        for operation in self.operations:
            derived = operation.profile(derived)
        return {**derived, "count": self.count, "dtype": self.storage.dtype, "nodata": self.storage.nodata}

    def __call__(self, datasets: Sequence[Any], block: Block, arguments: object) -> NDArray[Any]:
        """The core of one block of the result."""
        values = self.source.read(datasets[0], block.padded)
        site = BlockContext(block, self.source.geometry, self._others(datasets[1:], block))
        for operation in self.operations:
            values = operation.apply(values, site)
        rows, columns = block.trim
        return self.storage.encode(values[:, rows, columns])

    def _others(self, datasets: Sequence[Any], block: Block) -> dict[str, Values]:
        pairs = zip(self.others, datasets, strict=True)
        return {name: source.read(dataset, block.padded) for (name, source), dataset in pairs}
