"""Paths of VRT files that the settings allow."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    _Path = Path
else:
    _Path = type(Path())  # Python 3.11 allows only subclasses of the class for this system

_SUFFIX = ".vrt"


class VrtPath(_Path):
    """The path of a VRT that `[raster] allow_vrt` allows. Its sizes and times cover its sources."""

    def stat(self, **options: Any) -> Any:
        """Return the size and the times of the VRT and its sources: sums and latest times.

        The number of the inode is a checksum of all of them, so that each change of a source changes the fingerprint.

        Raises
        ------
        OSError
            If there is no such file.
        """
        from regionplot.system.vrt import source_marks  # noqa: PLC0415 (parses XML)

        own = Path(self)
        found = [own.stat(**options), *source_marks(own)]
        marks = [(each.st_dev, each.st_ino, each.st_size, each.st_mtime_ns, each.st_ctime_ns) for each in found]
        return SimpleNamespace(
            st_mode=found[0].st_mode,
            st_dev=found[0].st_dev,
            st_ino=int.from_bytes(hashlib.sha256(repr(marks).encode()).digest()[:7], "big"),
            st_size=sum(each.st_size for each in found),
            st_mtime=max(each.st_mtime for each in found),
            st_mtime_ns=max(each.st_mtime_ns for each in found),
            st_ctime_ns=max(each.st_ctime_ns for each in found),
        )


def allowed_vrt(path: Path) -> Path:
    """Return a path as a `VrtPath` if its suffix is that of a VRT. Otherwise, return it unchanged."""
    return VrtPath(path) if path.suffix.lower() == _SUFFIX else path


def is_vrt(path: object) -> bool:
    """Return True if a path is that of a VRT that the settings allow."""
    return isinstance(path, VrtPath)
