"""Read rasters in object storage and on web servers: the GDAL options for them, and repeated attempts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from regionplot.errors import RasterError, RasterReplacedError
from regionplot.inputs.unpacked import is_compressed, unpacked
from regionplot.settings.remote_path import RemotePath
from regionplot.settings.vrt_path import is_vrt

logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")
_PAUSES = (0.5, 1.0, 2.0)
"""Seconds before each further attempt. GDAL itself repeats requests that a server answers with an error."""


def options_for(path: Path) -> dict[str, str]:
    """Return further GDAL options for a raster: none for a local file."""
    if not isinstance(path, RemotePath):
        return {}
    from regionplot.system.remote_objects import remote_options  # noqa: PLC0415 (only remote rasters need it)

    return remote_options(path.gdal_name)


def gdal_name(path: Path) -> str | Path:
    """Return the name with which GDAL opens a raster. For a remote object, the name can contain a signature.

    Raises
    ------
    RasterError
        If the raster is compressed, and cannot be unpacked, or if it is a VRT that is refused.
    """
    if is_vrt(path):
        from regionplot.inputs.virtual import checked_vrt  # noqa: PLC0415 (few rasters are a VRT)

        return str(checked_vrt(path).name)
    if is_compressed(path):
        return str(unpacked(path).name)
    return path.gdal_name if isinstance(path, RemotePath) else path


def has_changing_name(path: Path) -> bool:
    """Return True if `gdal_name` must give the name of a raster each time that GDAL opens it."""
    return isinstance(path, RemotePath) or is_compressed(path) or is_vrt(path)


def with_retries(path: Path, read: Callable[[], _Result]) -> _Result:
    """Call a function that reads a raster. If the raster is remote, repeat the call a few times if it fails.

    Raises
    ------
    RasterError
        If the last attempt fails.
    """
    for pause in _PAUSES if isinstance(path, RemotePath) else ():
        try:
            return read()
        except RasterReplacedError:
            raise
        except RasterError as error:
            logger.info("%s; another attempt in %g s", error, pause)
            time.sleep(pause)
    return read()
