"""Stop the HDF5 library from printing its errors to stderr. GDAL and netCDF4 report the errors as exceptions."""

from __future__ import annotations

import ctypes
import re
import sys
import threading
from functools import cache
from pathlib import Path

_MAPS = Path("/proc/self/maps")
_PACKAGES = {"h5py", "netCDF4", "pyogrio", "rasterio"}
"""Packages that can have copies of the library."""
_H5E_DEFAULT = 0
_silent = threading.local()
"""Paths of the libraries that are silenced in this thread. In HDF5, this setting belongs to a thread."""


def silence_hdf5() -> None:
    """Silence all loaded copies of the library, for this thread.

    Packages can have their own copies. This works only on Linux, because other systems do not list the loaded libraries
    in a file.
    """
    done: set[str] = _silent.__dict__.setdefault("paths", set())
    for path in _loaded_libraries(frozenset(_PACKAGES & sys.modules.keys())) - done:
        done.add(path)
        library = ctypes.CDLL(path)
        if hasattr(library, "H5Eset_auto2"):
            library.H5Eset_auto2(ctypes.c_int64(_H5E_DEFAULT), None, None)  # see H5E_auto2_t in H5Epublic.h


@cache
def _loaded_libraries(_packages: frozenset[str]) -> frozenset[str]:
    """Return the paths of the loaded copies of the library. They change only if another package is imported."""
    try:
        text = _MAPS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return frozenset()
    return frozenset(re.findall(r"(/\S*/libhdf5[-.][^/\s]*)$", text, re.MULTILINE))
