"""Keep a limited number of rasters open for reading, separately in each thread and process."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, overload

from regionplot.inputs.gdal import gdal_options, open_raster

_MAX_OPEN = 16
"""Number of rasters that a thread keeps open. Some systems allow 1024 open files per program."""


class Datasets(Sequence[Any]):
    """Open rasters. Each raster is opened at its first use. At most `_MAX_OPEN` rasters stay open."""

    def __init__(
        self, paths: Sequence[Path], open_options: Mapping[int, Mapping[str, Any]], gdal: Mapping[str, str]
    ) -> None:
        self._paths, self._options, self._gdal = paths, open_options, gdal
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
            with gdal_options(**self._gdal):
                self._open[number] = open_raster(self._paths[number], None, self._options.get(number, {}))
            if len(self._open) > _MAX_OPEN:
                self._open.popitem(last=False)  # rasterio closes a dataset that is no longer referenced
        self._open.move_to_end(number)
        return self._open[number]

    def close(self) -> None:
        """Close all rasters."""
        for dataset in self._open.values():
            dataset.close()
        self._open.clear()


class Handles:
    """Open rasters, one set per thread and process. A copy in another process starts without open rasters."""

    def __init__(
        self,
        paths: Sequence[Path],
        open_options: Sequence[Mapping[str, Any]] = (),
        gdal: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Take the paths of rasters, the open options of GDAL's drivers for each raster, and options of GDAL."""
        self.paths, self._gdal = tuple(paths), dict(gdal)
        self._options = {number: dict(options) for number, options in enumerate(open_options) if options}
        self._local = threading.local()

    def __reduce__(self) -> tuple[type[Handles], tuple[Any, ...]]:
        options = [self._options.get(number, {}) for number in range(len(self.paths))]
        return type(self), (self.paths, options, self._gdal)

    def get(self) -> Datasets:
        """Return the rasters of this thread."""
        if getattr(self._local, "process", None) != os.getpid():
            self._local.datasets, self._local.process = Datasets(self.paths, self._options, self._gdal), os.getpid()
        datasets: Datasets = self._local.datasets
        return datasets

    def close(self) -> None:
        """Close the rasters of this thread."""
        if getattr(self._local, "process", None) == os.getpid():
            self._local.datasets.close()
        self._local = threading.local()
