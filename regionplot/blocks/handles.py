"""Keep a bounded number of rasters open for reading, one set per thread and process."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

from regionplot.inputs.gdal import open_raster

_MOST_OPEN = 16
"""Rasters that a thread keeps open; a system may allow a program no more than 1024 files."""


class Datasets(Sequence[Any]):
    """Open rasters, each opened when it is first asked for; of very many, those that were used last stay open."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._open: OrderedDict[int, Any] = OrderedDict()

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        if number not in self._open:
            self._open[number] = open_raster(self._paths[number])
            if len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)  # rasterio closes it when nobody has it any more
        self._open.move_to_end(number)
        return self._open[number]

    def close(self) -> None:
        """Close them."""
        for dataset in self._open.values():
            dataset.close()
        self._open.clear()


class Handles:
    """The open rasters of each thread of each process; pickles and forks as a closed one."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self._local = threading.local()

    def __reduce__(self) -> tuple[type[Handles], tuple[Any, ...]]:
        return type(self), (self.paths,)

    def get(self) -> Datasets:
        """This thread's own."""
        if getattr(self._local, "process", None) != os.getpid():
            self._local.datasets, self._local.process = Datasets(self.paths), os.getpid()
        datasets: Datasets = self._local.datasets
        return datasets

    def close(self) -> None:
        """Close this thread's own."""
        if getattr(self._local, "process", None) == os.getpid():
            self._local.datasets.close()
        self._local = threading.local()
