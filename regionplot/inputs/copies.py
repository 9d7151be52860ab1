"""Keep copies of files in memory, from where GDAL reads them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from regionplot.system.files import Fingerprint

_MOST = 4
"""Maximum number of copies that a process keeps."""


class Copies:
    """Copies of files in memory, each made once while its file is unchanged. Forked workers inherit them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, Fingerprint | None], Any] = OrderedDict()

    def of(self, path: Path, make: Callable[[], Any]) -> Any:
        """Return the copy of a file. If there is none of the file as it is now, make it.

        The least recently used copy is dropped. GDAL keeps its content until the last dataset is closed.
        """
        key = str(path), Fingerprint.of(path)
        if key not in self._kept:
            self._kept[key] = make()
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]
